import { setTimeout as sleep } from 'node:timers/promises'
import type { ChannelApi } from '../sdk/channel.ts'
import { PluginError } from '../sdk/errors.ts'
import { type MatrixApi, path } from './api.ts'
import { OutputClosed } from '../sdk/stdio.ts'
import { eventsOf, type RoomEvent, type SyncAnswer } from './events.ts'
import { type Self, whoAmI } from './self.ts'

/** The server holds an empty answer back for so long. */
const POLL_MS = 30_000
const FIRST_DELAY_MS = 1000
const MAX_DELAY_MS = 60_000
const PAGE = 100
/** Of one room after a long absence; what is older is left out, and said. */
const MAX_PAGES = 20

const FILTER = JSON.stringify({
  presence: { not_types: ['*'] },
  account_data: { not_types: ['*'] },
  room: {
    ephemeral: { not_types: ['*'] },
    account_data: { not_types: ['*'] },
    timeline: { limit: PAGE, types: ['m.room.message', 'm.room.encrypted', 'm.room.member', 'm.room.encryption'] },
    state: { types: ['m.room.member', 'm.room.encryption'], lazy_load_members: true },
  },
})

/**
 * Reads what happens until the plugin stops. The place in the stream is kept by the core, and moves on when the core
 * has everything before it; what was said before the first start is not answered.
 */
export async function follow({ channel, api, self, joinInvites, readReceipts, note, take, state }: {
  channel: ChannelApi
  api: MatrixApi
  self: Self
  joinInvites: boolean
  readReceipts: boolean
  /** Hears of what changed in a room before the first message that is told of. */
  note: (room: string, event: RoomEvent) => void
  take: (room: string, event: RoomEvent) => Promise<void>
  state: (connected: boolean) => void
}): Promise<void> {
  const { signal, log } = channel
  let connected = false
  let delay = FIRST_DELAY_MS
  let since = await channel.state.get<string>('since')

  async function read(): Promise<void> {
    const me = await whoAmI(api, self)
    const answer = await api.call<SyncAnswer>('GET', 'client/v3/sync', {
      query: { since, filter: FILTER, timeout: since && connected ? String(POLL_MS) : '0' },
      timeoutMs: POLL_MS + 30_000,
    })
    if (!connected) {
      connected = true
      state(true)
      channel.status(true, { identity: me })
    }
    delay = FIRST_DELAY_MS
    for (const room of Object.keys(answer.rooms?.invite ?? {})) await join(room)
    const last = new Map<string, string>()
    if (since !== undefined) {
      for (const [room, { timeline, state }] of Object.entries(answer.rooms?.join ?? {})) {
        for (const event of eventsOf(state?.events)) note(room, event)
        const events = eventsOf(timeline?.events)
        const missed = timeline?.limited && timeline.prev_batch ? await gap(room, timeline.prev_batch, since) : []
        for (const event of [...missed, ...events]) {
          await told(room, event)
          if (event.sender !== me) last.set(room, event.event_id)
        }
      }
    }
    if (answer.next_batch === since) return
    since = answer.next_batch
    await channel.state.set('since', since)
    if (readReceipts) { for (const [room, event] of last) receipt(room, event) }
  }

  /** One that can't be told is left out: it would come again and again, and nothing after it. */
  async function told(room: string, event: RoomEvent): Promise<void> {
    try {
      await take(room, event)
    } catch (error) {
      if (signal.aborted || error instanceof PluginError || error instanceof OutputClosed) throw error
      log.error(`A message can not be read and is left out: ${(error as Error).message}`, {
        room,
        event: event.event_id,
      })
    }
  }

  /** What was said in a room between two answers that leave something out between them. */
  async function gap(room: string, from: string, until: string): Promise<RoomEvent[]> {
    const found: RoomEvent[] = []
    let token: string | undefined = from
    for (let page = 0; token !== undefined; page++) {
      if (page === MAX_PAGES) {
        log.warn('More was said in a room than is read after an absence; the oldest was left out', { room })
        break
      }
      const answer: { chunk: unknown[]; end?: string } = await api.call(
        'GET',
        path`client/v3/rooms/${room}/messages`,
        { query: { dir: 'b', from: token, to: until, limit: String(PAGE) } },
      )
      found.unshift(...eventsOf(answer.chunk).toReversed())
      token = answer.chunk.length > 0 && answer.end !== until ? answer.end : undefined
    }
    return found
  }

  async function join(room: string): Promise<void> {
    if (!joinInvites) return log.info('An invitation was left alone, for they are not accepted', { room })
    try {
      await api.call('POST', path`client/v3/join/${room}`, { body: {} })
    } catch (error) {
      log.warn(`An invitation could not be accepted: ${(error as Error).message}`, { room })
    }
  }

  function receipt(room: string, event: string): void {
    api.call('POST', path`client/v3/rooms/${room}/receipt/m.read/${event}`, { body: {} })
      .catch((error: Error) => log.debug(`A receipt was refused: ${error.message}`))
  }

  while (!signal.aborted) {
    try {
      await read()
    } catch (error) {
      if (signal.aborted) return
      if (!(error instanceof PluginError) || error.code === 'unauthorized') throw error
      connected = false
      state(false)
      channel.status(false, { detail: error.message })
      log.warn(`Nothing can be read: ${error.message}`)
      await sleep(error.retryAfterMs ?? delay, undefined, { signal }).catch(() => {})
      delay = Math.min(delay * 2, MAX_DELAY_MS)
    }
  }
}
