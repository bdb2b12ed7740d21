import type { ChannelApi } from '../sdk/channel.ts'
import type { SlackApi } from './api.ts'
import type { SlackMessage } from './events.ts'
import type { Place } from './history.ts'
import { SlackRefusal } from './refusal.ts'

/** How a message says which command it came of; people don't see it. */
export const EVENT_TYPE = 'gatehouse_message'

/** A command is made on the same machine, but clocks step. */
const SLACK_MS = 60_000
const PAGE = 200
const MAX_PAGES = 5
const REMEMBERED = 1000

/**
 * Finds out whether a command was done already. Slack does a call as often as it is made, so a command that is older
 * than this process, or whose call ended in the dark, is looked for among what we posted.
 */
export function createPosted({ api, log, started = Date.now() }: {
  api: SlackApi
  log: ChannelApi['log']
  started?: number
}) {
  const unsure = new Set<string>()
  let warned = false

  async function look(place: Place, oldest: string, request: string): Promise<string | undefined> {
    let cursor: string | undefined
    for (let page = 0; page < MAX_PAGES; page++) {
      const args = { channel: place.channel, oldest, limit: PAGE, cursor, include_all_metadata: true }
      const { messages, response_metadata }: Page = place.thread
        ? await api.call('conversations.replies', { ...args, ts: place.thread })
        : await api.call('conversations.history', args)
      const found = messages.find(({ metadata }) =>
        metadata?.event_type === EVENT_TYPE && metadata.event_payload?.request_id === request
      )
      if (found) return found.ts
      cursor = response_metadata?.next_cursor || undefined
      if (!cursor) return undefined
    }
    return undefined
  }

  return {
    /** Nobody knows whether it was done. */
    doubt(request: string): void {
      unsure.add(request)
      if (unsure.size > REMEMBERED) unsure.delete(unsure.values().next().value!)
    },

    /** The message that a command became earlier; undefined when it was not done, or can't have been. */
    async find(place: Place, request: string): Promise<string | undefined> {
      const made = timeOf(request)
      const older = made !== undefined && made < started
      if (!older && !unsure.has(request)) return undefined
      const oldest = ((made ?? Date.now() - 3_600_000) - SLACK_MS) / 1000
      try {
        const ts = await look(place, oldest.toFixed(6), request)
        unsure.delete(request)
        return ts
      } catch (error) {
        if (!(error instanceof SlackRefusal) || error.code === 'rate_limited') throw error
        // Sent twice is better than not at all.
        if (!warned) log.warn(`Messages that may have been sent before can't be looked for: ${error.message}`)
        warned = true
        return undefined
      }
    },
  }
}

type Page = { messages: SlackMessage[]; response_metadata?: { next_cursor?: string } }

export type Posted = ReturnType<typeof createPosted>

const DIGITS = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'

/** When a ULID was made; the core names its commands so. */
function timeOf(request: string): number | undefined {
  if (!/^[0-7][0-9A-HJKMNP-TV-Z]{25}(-|$)/.test(request)) return undefined
  let time = 0
  for (const digit of request.slice(0, 10)) time = time * 32 + DIGITS.indexOf(digit)
  return time
}
