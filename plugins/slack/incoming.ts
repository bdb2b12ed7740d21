import type { ChannelApi, Incoming } from '../sdk/channel.ts'
import { PluginError } from '../sdk/errors.ts'
import type { SlackApi } from './api.ts'
import { type SlackFile, type SlackMessage, threadOfMessage } from './events.ts'
import type { History } from './history.ts'
import { isDirect } from './ids.ts'
import type { People } from './people.ts'
import { readable } from './readable.ts'

/** Who we are; empty until Slack said it. */
export type Self = { id: string; name: string; bot: string }

/** How conversations are told apart. */
export type Threads = {
  /** Each message that calls us begins a thread. */
  answer_in_threads: boolean
  /** In a thread that we wrote in, everything is for us. */
  follow_threads: boolean
}

/** Tells the core of what people write. */
export function createIncoming({ channel, api, people, history, self, threads }: {
  channel: ChannelApi
  api: SlackApi
  people: People
  history: History
  self: Self
  threads: Threads
}) {
  async function fileOf(given: SlackFile): Promise<{ file: SlackFile; url?: string; problem?: string }> {
    // Of a file from another workspace only the id comes along.
    const file = given.file_access === 'check_file_info'
      ? (await api.call<{ file: SlackFile }>('files.info', { file: given.id }).catch(() => ({ file: given }))).file
      : given
    const name = file.name || file.title || 'without a name'
    const address = file.url_private_download ?? file.url_private
    if (!address || file.mode === 'tombstone' || file.mode === 'hidden_by_limit') {
      return { file, problem: `[the file ${name} is not there any more]` }
    }
    if (file.is_external || !api.isSlacks(address)) return { file, problem: `[a file elsewhere: ${name}, ${address}]` }
    const large = `[the file ${name} is larger than ${inWords(channel.maxFileBytes)} and was left out]`
    if ((file.size ?? 0) > channel.maxFileBytes) return { file, problem: large }
    try {
      const type = file.mimetype || 'application/octet-stream'
      return { file, url: await api.download(address, (data) => channel.file({ name, type, data })) }
    } catch (error) {
      if (error instanceof PluginError && error.code === 'too_large') return { file, problem: large }
      channel.log.warn(`A file could not be fetched: ${(error as Error).message}`)
      return { file, problem: `[the file ${name} could not be fetched]` }
    }
  }

  async function textOf({ text = '', subtype, attachments = [] }: SlackMessage): Promise<string> {
    // Our name at the beginning is how a channel calls us, and no part of the words.
    const own = new RegExp(`^\\s*<@${self.id}(\\|[^>]*)?>[:,]?\\s*`)
    const words = text.replace(own, '') || text
    const nameOf = (id: string) => id === self.id ? Promise.resolve(self.name) : people.nameOf(id)
    const shared = attachments.filter(({ is_share, is_msg_unfurl }) => is_share || is_msg_unfurl)
      .map(({ author_name, text = '' }) => author_name ? `${author_name}: ${text}` : text)
    const parts = await Promise.all([words, ...shared].map((part) => readable(part, nameOf)))
    return (subtype === 'me_message' ? '* ' : '') + parts.filter(Boolean).join('\n')
  }

  /** One message for each file, the first with the words; a message without any is one. */
  async function contentsOf(message: SlackMessage): Promise<Incoming['content'][]> {
    const text = await textOf(message)
    const files = [...message.files ?? [], ...(message.attachments ?? []).flatMap(({ files = [] }) => files)]
    if (files.length === 0) return text === '' ? [] : [{ type: 'text', text }]
    const contents: Incoming['content'][] = []
    for (const [i, given] of files.entries()) {
      const { file, url, problem } = await fileOf(given)
      const caption = [i === 0 ? text : '', problem].filter(Boolean).join('\n')
      contents.push({
        type: 'media',
        media_type: kindOf(file),
        ...(url ? { url } : {}),
        ...(caption ? { caption } : {}),
      })
    }
    return contents
  }

  return async (message: SlackMessage & { user: string }): Promise<void> => {
    const { channel: chat_id, ts, user, parent_user_id, team } = message
    const direct = isDirect(chat_id)
    const called = direct || message.type === 'app_mention' || mentions(message, self)
    const stands = threadOfMessage(message)
    const thread = stands ?? (threads.answer_in_threads && called && !direct ? ts : undefined)
    const ours = stands !== undefined &&
      (parent_user_id === self.id || (threads.follow_threads && history.isOurs({ channel: chat_id, thread: stands })))
    // What a thread is about stands above it; that is told once.
    const first = stands !== undefined && !history.knows({ channel: chat_id, thread: stands })
    const [person, contents] = await Promise.all([people.get(user), contentsOf(message)])
    for (const [i, content] of contents.entries()) {
      await channel.received({
        message_id: i === 0 ? ts : `${ts}#${i + 1}`,
        chat_id,
        sender: { id: user, ...person },
        content,
        routing: { channel: 'slack', chat_type: direct ? 'dm' : 'group', thread_id: thread, team_id: team },
        ...(first && i === 0 ? { reply_to: stands } : {}),
        mentions_bot: called,
        reply_to_bot: ours,
        timestamp: new Date(Number(ts) * 1000).toISOString(),
      })
    }
  }
}

const mentions = ({ text = '' }: SlackMessage, { id }: Self): boolean =>
  text.includes(`<@${id}>`) || text.includes(`<@${id}|`)

function kindOf({ mimetype = '', subtype }: SlackFile): string {
  // What Slack records itself.
  if (subtype === 'slack_audio') return 'voice'
  const kind = mimetype.split('/')[0]!
  return ['image', 'audio', 'video'].includes(kind) ? kind : 'document'
}

const inWords = (bytes: number): string =>
  bytes < 2 ** 20 ? `${Math.floor(bytes / 1024)} KB` : `${Math.floor(bytes / 2 ** 20)} MB`
