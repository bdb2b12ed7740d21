import type { ChannelApi } from '../sdk/channel.ts'
import type { SlackApi } from './api.ts'
import { type SlackMessage, threadOfMessage } from './events.ts'
import { isLater } from './ids.ts'
import { SlackRefusal } from './refusal.ts'

/** Channels and threads whose last message is remembered, those that spoke last. */
const MAX_CHANNELS = 200
const MAX_THREADS = 200
const PAGE = 200
/** Pages that are read of one place after a long absence; what is older is left out. */
const MAX_PAGES = 10
const SAVE_MS = 500
/** Between our clock and Slack's. */
const MARGIN_MS = 10_000
/** Of refusals that are none a moment later. */
const PASSING = new Set(['rate_limited', 'platform_error', 'not_connected'])

/** A channel, or a thread in it. */
export type Place = { channel: string; thread?: string | undefined }

type Thread = { last: string; ours: boolean }
type Kept = { channels: [string, string][]; threads: [string, Thread][] }

/** How far every place is read, kept by the core, and what was said since. */
export async function openHistory({ channel: { state, log }, api }: {
  channel: Pick<ChannelApi, 'state' | 'log'>
  api: SlackApi
}) {
  const kept = await state.get<Kept>('read')
  const channels = new Map(kept?.channels)
  const threads = new Map(kept?.threads)
  let timer: ReturnType<typeof setTimeout> | undefined
  let saving: Promise<void> = Promise.resolve()

  const keyOf = ({ channel, thread }: Place): string => `${channel}/${thread}`
  const lastOf = (place: Place): string | undefined =>
    place.thread ? threads.get(keyOf(place))?.last : channels.get(place.channel)

  function put<T>(map: Map<string, T>, key: string, value: T, max: number): void {
    map.delete(key)
    map.set(key, value)
    if (map.size > max) map.delete(map.keys().next().value!)
  }

  function save(): Promise<void> {
    clearTimeout(timer)
    timer = undefined
    saving = saving.then(() => state.set('read', { channels: [...channels], threads: [...threads] } satisfies Kept))
      .catch((error: Error) => log.error(`The place could not be kept: ${error.message}`))
    return saving
  }

  function changed(): void {
    timer ??= setTimeout(save, SAVE_MS)
  }

  function noteThread(place: Place, { last, ours }: Thread): void {
    const before = threads.get(keyOf(place))
    const later = before && isLater(before.last, last) ? before.last : last
    put(threads, keyOf(place), { last: later, ours: ours || (before?.ours ?? false) }, MAX_THREADS)
    changed()
  }

  /** Everything after a message, the oldest first. */
  async function since(place: Place, oldest: string): Promise<SlackMessage[]> {
    const found: SlackMessage[] = []
    let cursor: string | undefined
    for (let page = 0; page < MAX_PAGES; page++) {
      const args = { channel: place.channel, oldest, limit: PAGE, cursor }
      const answer: Page = place.thread
        ? await api.call('conversations.replies', { ...args, ts: place.thread })
        : await api.call('conversations.history', args)
      found.push(...answer.messages)
      cursor = answer.response_metadata?.next_cursor || undefined
      if (!cursor) break
      if (page === MAX_PAGES - 1) {
        log.warn('More was said than is read after an absence; the oldest was left out', place)
      }
    }
    return found
      .filter(({ ts }) => isLater(ts, oldest))
      .map((message) => ({ ...message, channel: place.channel }))
      .sort((one, other) => isLater(one.ts, other.ts) ? 1 : -1)
  }

  return {
    save,

    /** A message was told to the core, which has stored it. */
    hear(message: Pick<SlackMessage, 'channel' | 'ts' | 'thread_ts'>): void {
      const { channel, ts } = message
      const thread = threadOfMessage(message)
      if (thread) return noteThread({ channel, thread }, { last: ts, ours: false })
      const before = channels.get(channel)
      if (!before || isLater(ts, before)) put(channels, channel, ts, MAX_CHANNELS)
      changed()
    },

    /** We wrote in a thread, so what follows there is for us. */
    join: ({ channel, thread }: Required<Place>, ts: string): void =>
      noteThread({ channel, thread: thread! }, { last: ts, ours: true }),

    knows: (place: Place): boolean => lastOf(place) !== undefined,
    isOurs: (place: Place): boolean => threads.get(keyOf(place))?.ours ?? false,

    /**
     * Where something may have been missed, those that spoke last first, and from which message on: the last that was
     * heard, or `since` if that is earlier, for a later one may have been heard before an earlier one.
     */
    places(since = Infinity): { place: Place; from: string }[] {
      const earliest = Number.isFinite(since) ? ((since - MARGIN_MS) / 1000).toFixed(6) : undefined
      const listed = [
        ...[...channels].map(([channel, from]) => ({ place: { channel }, from })),
        ...[...threads].map(([key, { last }]) => {
          const [channel = '', thread] = key.split('/')
          return { place: { channel, thread }, from: last }
        }),
      ]
      return listed
        .sort((one, other) => isLater(one.from, other.from) ? -1 : 1)
        .map(({ place, from }) => ({ place, from: earliest && isLater(from, earliest) ? earliest : from }))
    },

    /** What was said in a place after a message; nothing when the place is gone or closed to us. */
    async missed(place: Place, from: string): Promise<SlackMessage[]> {
      try {
        return await since(place, from)
      } catch (error) {
        if (!(error instanceof SlackRefusal) || PASSING.has(error.code)) throw error
        if (error.code !== 'chat_not_found' && error.error !== 'not_in_channel') {
          log.warn(`What was said meanwhile could not be read: ${error.message}`, place)
        } else if (place.thread) threads.delete(keyOf(place))
        else channels.delete(place.channel)
        changed()
        return []
      }
    },
  }
}

type Page = { messages: SlackMessage[]; response_metadata?: { next_cursor?: string } }

export type History = Awaited<ReturnType<typeof openHistory>>
