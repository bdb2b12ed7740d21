import { AppError, notFound } from '../errors.ts'
import type { CommandBody } from '../../shared/gateway-protocol.ts'
import { type Gateway, GatewayError } from '../plugins/gateway.ts'
import type { Log } from '../system/log.ts'
import type { Activity } from './activity.ts'
import { createChains, pause } from './chains.ts'
import type { MediaOut } from './media.ts'
import type { NewOut, OutboxStore, OutRow } from './outbox-store.ts'
import type { Tx } from './tables.ts'

/** Refusals of the platform until an entry is a dead letter; waiting for a channel that is down counts for nothing. */
const ATTEMPTS = 8
const TIMEOUTS = 20
const MAX_AGE_MS = 3 * 24 * 3600_000
const FIRST_RETRY_MS = 1000
const LAST_RETRY_MS = 300_000
/** Whatever a platform asks for: everything else in the chat waits behind it. */
const LONGEST_WAIT_MS = 3600_000
const SEND_MS = 30_000
const SEND_MEDIA_MS = 180_000
/** Nothing becomes better by sending it again. */
const FINAL = new Set([
  'invalid_request',
  'too_large',
  'unauthorized',
  'chat_not_found',
  'message_not_found',
  'forbidden',
])
/** The platform takes no such file. */
const WITHOUT_FILE = new Set(['not_implemented', 'too_large'])
/** The plugin, not the message: tried again without counting. */
const DOWN = new Set(['gone', 'back_pressure', 'not_connected'])

export type Outbox = ReturnType<typeof createOutbox>

/**
 * Sends what is in the outbox: in order within a chat, chats side by side, each entry with the same request id until
 * the plugin says that it is done. A plugin that is down is waited for.
 */
export function createOutbox(deps: {
  store: OutboxStore
  gateway: (name: string) => Gateway | undefined
  media: { outgoing: MediaOut; sent: (carrier: Gateway, id: string) => Promise<void> }
  activity: Activity
  changed: () => void
  log: Log
  now: () => number
}) {
  const { store, gateway, activity, changed, log, now } = deps
  const lanes = createChains()
  const busy = new Set<string>()
  const again = new Set<string>()
  const inFlight = new Set<string>()
  const timers = new Map<string, ReturnType<typeof setTimeout>>()
  const stop = new AbortController()
  const laneOf = (channel: string, chatId: string): string => JSON.stringify([channel, chatId])

  /** Looks whether a chat has something to send; cheap when it has not. */
  function kick(channel: string, chatId: string): void {
    const lane = laneOf(channel, chatId)
    if (stop.signal.aborted) return
    if (busy.has(lane)) {
      again.add(lane)
      return
    }
    busy.add(lane)
    void lanes.run(lane, async () => {
      do {
        again.delete(lane)
        await drain(channel, chatId, lane).catch(async (error) => {
          log.error('outbox.failed', 'The outbox could not be worked on; trying again', { error: String(error) })
          await pause(FIRST_RETRY_MS, stop.signal)
          again.add(lane)
        })
      } while (again.has(lane) && !stop.signal.aborted)
      busy.delete(lane)
    })
  }

  async function drain(channel: string, chatId: string, lane: string): Promise<void> {
    while (!stop.signal.aborted) {
      const carrier = gateway(channel)
      if (carrier?.state !== 'ready') return
      const row = await store.next(channel, chatId)
      if (!row) return
      const wait = row.next_at - now()
      // Nothing is put off for longer; then the clock was set back.
      if (wait > 0 && wait <= LONGEST_WAIT_MS) {
        clearTimeout(timers.get(lane))
        timers.set(lane, setTimeout(() => (timers.delete(lane), kick(channel, chatId)), Math.min(wait, LAST_RETRY_MS)))
        return
      }
      inFlight.add(row.id)
      try {
        // Read once more: until now it could be rewritten.
        const last = await store.get(row.id)
        if (last?.state === 'waiting') await deliver(carrier, last)
      } finally {
        inFlight.delete(row.id)
      }
    }
  }

  async function deliver(carrier: Gateway, row: OutRow): Promise<void> {
    if (now() - row.created_at > MAX_AGE_MS) return await bury(row, 'It could not be delivered for three days')
    const target = row.body.target === undefined ? undefined : await store.get(row.body.target)
    if (target?.message_id === null && target.state === 'sent' && target.body.text === row.body.text) {
      await store.update(row.id, { state: 'sent', sent_at: now() })
      return
    }
    // Nothing to take away.
    if (isRemoval(row) && !target?.message_id) return void await store.update(row.id, { state: 'sent', sent_at: now() })
    let late = false
    try {
      const body = await commandOf(carrier, row, target?.message_id ?? undefined)
      const timeout_ms = row.kind === 'media' ? SEND_MEDIA_MS : SEND_MS
      const { message_id } = await carrier.command(body, { request_id: row.id, timeout_ms })
      await delivered(row, message_id ?? target?.message_id ?? null)
    } catch (error) {
      late = error instanceof GatewayError && error.code === 'timeout'
      await failed(carrier, row, error)
    }
    // After a deadline the plugin may still be at it.
    if (row.kind === 'media' && !late) await deps.media.sent(carrier, row.id)
  }

  async function delivered(row: OutRow, messageId: string | null): Promise<void> {
    const done = { state: 'sent' as const, message_id: messageId, error: null, sent_at: now() }
    if (!await store.update(row.id, done)) return
    activity.sent(row.channel)
    changed()
  }

  async function commandOf(carrier: Gateway, row: OutRow, messageId: string | undefined): Promise<CommandBody> {
    const { chat_id, body } = row
    if (isRemoval(row) && messageId !== undefined) return { type: 'delete_message', chat_id, message_id: messageId }
    if (row.kind === 'edit' && messageId !== undefined) {
      return { type: 'edit_message', chat_id, message_id: messageId, content: body.text }
    }
    const place = { chat_id, ...(row.thread_id === '' ? {} : { thread_id: row.thread_id }) }
    if (row.kind === 'media' && body.attachment) {
      const media = await deps.media.outgoing(carrier, row, body.attachment)
      if (typeof media !== 'string') {
        return { type: 'send_media', ...place, media, ...(body.text ? { caption: body.text } : {}) }
      }
      return { type: 'send_message', ...place, content: media }
    }
    return {
      type: 'send_message',
      ...place,
      content: body.text,
      ...(body.reply_to === undefined ? {} : { reply_to: body.reply_to }),
      ...(body.buttons === undefined ? {} : { inline_keyboard: body.buttons }),
    }
  }

  async function failed(carrier: Gateway, row: OutRow, error: unknown): Promise<void> {
    if (!(error instanceof GatewayError)) {
      if (!(error instanceof AppError)) throw error
      return await bury(row, error.message)
    }
    const { code, message } = error
    const words = `${code}: ${message}`
    if (DOWN.has(code)) {
      // One that left `ready` calls again by itself; this is for one that only says so.
      const next_at = now() + (carrier.state === 'ready' ? delayOf(Math.min(row.attempts + 3, 6)) : 0)
      await store.update(row.id, { error: words, next_at })
      return
    }
    if (isRemoval(row) && code === 'message_not_found') return await delivered(row, null)
    activity.failed(row.channel, words)
    // The file can't go this way; its name can.
    if (row.kind === 'media' && WITHOUT_FILE.has(code) && row.body.attachment) {
      const why = code === 'too_large' ? ' (too large for this channel)' : ''
      const text = [row.body.text, `📎 ${row.body.attachment.filename}${why}`].filter(Boolean).join('\n')
      await store.update(row.id, { kind: 'send', body: { text }, error: words })
      return
    }
    const attempts = row.attempts + 1
    if (FINAL.has(code) || attempts >= (code === 'timeout' || code === 'rate_limited' ? TIMEOUTS : ATTEMPTS)) {
      return await bury({ ...row, attempts }, words)
    }
    const wait = Math.min(error.retry_after_ms ?? delayOf(attempts), LONGEST_WAIT_MS)
    await store.update(row.id, { attempts, error: words, next_at: now() + wait })
  }

  async function bury(row: OutRow, error: string): Promise<void> {
    await store.update(row.id, { state: 'dead', attempts: row.attempts, error })
    activity.failed(row.channel, error)
    log.warn('outbox.dead', 'A message could not be delivered; it is kept and can be sent again', {
      channel: row.channel,
      id: row.id,
      error,
    })
    changed()
  }

  return {
    kick,

    /** Writes an entry and sends it; its id, or undefined when its key was there before. */
    async add(out: NewOut): Promise<string | undefined> {
      const id = await store.add(undefined, out)
      if (id !== undefined) kick(out.channel, out.chat_id)
      return id
    },

    /** Changes what a waiting entry will say; false when it is being sent or was, also with what it said before. */
    rewrite: async (id: string, body: OutRow['body'], tx?: Tx): Promise<boolean> =>
      !inFlight.has(id) && await store.update(id, { body }, tx) && !inFlight.has(id),

    /** A channel came up: everything that waits for it. */
    async resume(channel?: string): Promise<void> {
      for (const chat of await store.chatsWaiting(channel)) kick(chat.channel, chat.chat_id)
    },

    /** Whether something is on its way into a chat. */
    sendingTo: (channel: string, chatId: string): boolean => busy.has(laneOf(channel, chatId)),

    /** An answer that came after its deadline. */
    async late(requestId: string, messageId: string | undefined): Promise<void> {
      const row = await store.get(requestId)
      if (row?.state === 'waiting') await delivered(row, messageId ?? null)
      const carrier = row?.kind === 'media' && !inFlight.has(requestId) ? gateway(row.channel) : undefined
      if (carrier) await deps.media.sent(carrier, requestId)
    },

    async sendAgain(id: string): Promise<OutRow> {
      const revived = await store.revive(id)
      const row = await this.get(id)
      if (!revived) {
        throw new AppError('conflict', `This message is ${row.state}; only a dead one is sent again`)
      }
      kick(row.channel, row.chat_id)
      changed()
      return row
    },

    async discard(id: string): Promise<OutRow> {
      const row = await this.get(id)
      if (!await store.discard(id)) throw new AppError('conflict', `This message is ${row.state} already`)
      changed()
      return await this.get(id)
    },

    async get(id: string): Promise<OutRow> {
      const row = await store.get(id)
      if (!row) throw notFound('message', id)
      return row
    },

    async stop(): Promise<void> {
      stop.abort()
      for (const timer of timers.values()) clearTimeout(timer)
      let timer: ReturnType<typeof setTimeout> | undefined
      await Promise.race([lanes.idle(), new Promise((resolve) => timer = setTimeout(resolve, 2000))])
      clearTimeout(timer)
    },
  }
}

/** Grows with each attempt; some jitter, so that chats do not come back all at once. */
const delayOf = (attempts: number): number =>
  Math.round(Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** (attempts - 1)) * (0.75 + Math.random() / 2))

/** An edit to nothing takes the message away. */
const isRemoval = ({ kind, body }: OutRow): boolean => kind === 'edit' && body.text === ''
