import type { RunMessage } from '../../shared/sessions.ts'
import type { TurnEvent } from '../../shared/turn-events.ts'
import { framesOf } from '../support/app.ts'

type Get = (path: string, init: RequestInit) => Promise<Response>

/** What a reader knows of one turn: its text so far, and its end once it came. */
export type Seen = { text: string; ends: string[]; final?: string }

/**
 * Follows one session through crashes of the server as a page does: it comes back with the last id that it saw, and
 * loads the messages again when it is told to. `get` throws while there is no server.
 */
export function followSession(session: string, get: Get) {
  const turns = new Map<string, Seen>()
  /** What was on the screen when it had to be loaded again. */
  const shown: { turnId: string; text: string }[] = []
  const stop = new AbortController()
  /** The last offset seen; the stream begins after it. */
  let offset = 0
  let resets = 0
  let reconnects = 0

  const turnOf = (id: string): Seen => {
    const known = turns.get(id)
    if (known) return known
    const seen: Seen = { text: '', ends: [] }
    turns.set(id, seen)
    return seen
  }

  function take(event: TurnEvent): void {
    if (event.offset <= offset) throw new Error(`${session}: offset ${event.offset} came after ${offset}`)
    offset = event.offset
    const seen = turnOf(event.turn_id)
    if (event.type === 'text') seen.text += event.delta
    if (event.type === 'turn_finished') {
      seen.ends.push(event.state)
      seen.final = event.text
    }
  }

  /** What was seen may never have been written: what the server knows takes its place. */
  async function reload(): Promise<void> {
    const messages: RunMessage[] = []
    let before = ''
    let newest: { offset: number; open: TurnEvent[] } | undefined
    for (;;) {
      const response = await get(`/api/sessions/${session}/messages?limit=200${before}`, {})
      const page = await response.json() as {
        messages: RunMessage[]
        nextCursor: string | null
        offset: number
        open: TurnEvent[]
      }
      newest ??= page
      messages.unshift(...page.messages)
      if (!page.nextCursor) break
      before = `&before=${page.nextCursor}`
    }
    for (const [turnId, { text }] of turns) shown.push({ turnId, text })
    turns.clear()
    for (const message of messages) {
      if (message.role !== 'assistant') continue
      const seen = turnOf(message.turn_id)
      seen.text += message.text
      if (message.state) seen.ends.push(message.state)
      if (message.state) seen.final = message.text
    }
    offset = 0
    for (const event of newest.open) take(event)
    offset = newest.offset
  }

  async function connect(): Promise<void> {
    const response = await get(`/api/sessions/${session}/events?after=0`, {
      headers: { 'last-event-id': String(offset) },
      signal: stop.signal,
    })
    if (response.status === 404) return // No message was accepted yet.
    if (!response.ok) throw new Error(`the stream answered ${response.status}`)
    for await (const frame of framesOf(response)) {
      if (frame.event === 'reset') {
        resets++
        await response.body!.cancel().catch(() => {})
        return await reload()
      }
      if (frame.data) take(JSON.parse(frame.data) as TurnEvent)
    }
  }

  const done = (async () => {
    while (!stop.signal.aborted) {
      try {
        await connect()
      } catch (error) {
        if (error instanceof Error && /came after|answered [45]/.test(error.message)) throw error
      }
      reconnects++
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  })()
  done.catch(() => {}) // Thrown to whoever stops the reader.

  return {
    turns,
    shown,
    get resets() {
      return resets
    },
    get reconnects() {
      return reconnects
    },
    /** Ends the reader; throws what it found wrong. */
    async stop(): Promise<void> {
      stop.abort()
      await done
    },
  }
}
