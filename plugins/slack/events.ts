/** A file of a message, as far as it is looked at. */
export type SlackFile = {
  id: string
  name?: string | null
  title?: string | null
  mimetype?: string
  subtype?: string
  size?: number
  mode?: string
  is_external?: boolean
  file_access?: string
  url_private?: string
  url_private_download?: string
}

/** A message as events and histories give it; a history leaves out the channel. */
export type SlackMessage = {
  type: string
  subtype?: string
  hidden?: boolean
  channel: string
  ts: string
  thread_ts?: string
  parent_user_id?: string
  user?: string
  bot_id?: string
  team?: string
  text?: string
  files?: SlackFile[]
  attachments?: {
    is_share?: boolean
    is_msg_unfurl?: boolean
    author_name?: string
    text?: string
    files?: SlackFile[]
  }[]
  metadata?: { event_type?: string; event_payload?: Record<string, unknown> }
}

/** Any event, before it is known which. */
export type SlackEvent = { type: string; subtype?: string; user?: unknown; channel?: string; event_ts?: string }

/** Messages of people. Of news, such as somebody's joining, there is nothing to answer. */
const SAID = new Set([undefined, 'file_share', 'thread_broadcast', 'me_message'])

/**
 * Whether a person says something. Other bots are passed over, or two of them would talk for ever; so are edits, which
 * Slack also makes of a link that it shows a preview of.
 */
export function isSaid(event: SlackEvent | SlackMessage): event is SlackMessage & { user: string } {
  if (event.type !== 'message' && event.type !== 'app_mention') return false
  const { subtype, hidden, bot_id, user, channel, ts } = event as SlackMessage
  if (!SAID.has(subtype) || hidden || bot_id || user === 'USLACKBOT') return false
  return [user, channel, ts].every((id) => typeof id === 'string' && id !== '')
}

/** The thread that a message stands in; the first one of a thread stands above it. */
export const threadOfMessage = ({ ts, thread_ts }: Pick<SlackMessage, 'ts' | 'thread_ts'>): string | undefined =>
  thread_ts === ts ? undefined : thread_ts
