import { ulid } from 'ulid'
import { type Gateway, GatewayError } from '../plugins/gateway.ts'
import type { AskRow } from './inbox-store.ts'
import type { Outbox } from './outbox.ts'
import type { OutboxStore } from './outbox-store.ts'
import { withoutMarkers } from './reply-text.ts'
import { chatKind } from './session-key.ts'
import { firstPart, type TextLimit } from './split.ts'

/** A reply that is ready by then is sent whole. */
const PATIENCE_MS = 1500
const FEWEST_CHARS = 40
/** Between two edits; groups have stricter limits on every platform. */
const PACE_MS = { dm: 1500, group: 3000 }
const SLOWEST_MS = 60_000
const EDIT_MS = 10_000

export type LiveReply = ReturnType<typeof createLiveReply>

/** Shows a reply while it is written: one message, edited at a polite rate. What is final goes through the outbox. */
export function createLiveReply(deps: {
  ask: AskRow
  gateway: () => Gateway | undefined
  limit: () => TextLimit
  outbox: Outbox
  store: OutboxStore
  now: () => number
}) {
  const { ask, gateway, outbox, store, now } = deps
  const begun = now()
  let text = ''
  let shown = ''
  let pace = chatKind(ask.chat_type) === 'dm' ? PACE_MS.dm : PACE_MS.group
  let timer: ReturnType<typeof setTimeout> | undefined
  let busy: Promise<void> = Promise.resolve()
  let over = false

  function later(ms: number): void {
    if (over || timer) return
    timer = setTimeout(() => {
      timer = undefined
      busy = step().catch(() => {
        // The final text comes through the outbox whatever happens to this preview.
        over = true
      })
    }, ms)
  }

  async function step(): Promise<void> {
    const carrier = gateway()
    const part = firstPart(withoutMarkers(text), deps.limit())
    if (over || carrier?.state !== 'ready' || part === shown) return
    const row = await store.byKey(keyOf(ask))
    if (!row) {
      if (part.length < FEWEST_CHARS) return
      shown = part
      await outbox.add({
        ...ask,
        kind: 'send',
        key: keyOf(ask),
        body: { text: part, reply_to: ask.reply_to },
        session_id: ask.session_id,
        turn_id: ask.turn_id,
      })
      return later(pace)
    }
    if (row.state === 'waiting') return later(pace)
    if (row.message_id === null) return
    const { chat_id } = ask
    const edit = { type: 'edit_message' as const, chat_id, message_id: row.message_id, content: part }
    try {
      await carrier.command(edit, { request_id: ulid(), timeout_ms: EDIT_MS })
      shown = part
    } catch (error) {
      if (!(error instanceof GatewayError)) throw error
      pace = Math.min(SLOWEST_MS, Math.max(error.retry_after_ms ?? 0, pace * 2))
    }
    later(pace)
  }

  return {
    add(delta: string): void {
      text += delta
      later(shown === '' ? Math.max(0, begun + PATIENCE_MS - now()) : pace)
    },
    /** Another model call begins; what was said before a tool ran gives way to it. */
    restart(): void {
      text = ''
    },
    /** Resolves when nothing of it is under way; from here on only the outbox speaks. */
    async stop(): Promise<void> {
      over = true
      clearTimeout(timer)
      await busy
    },
  }
}

/** The same for each attempt at a question, so that a second one goes on in the same message. */
export const keyOf = (ask: Pick<AskRow, 'id'>): string => `live:${ask.id}`
