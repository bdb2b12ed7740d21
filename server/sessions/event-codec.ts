import type { TurnEventBody } from '../../shared/turn-events.ts'

/**
 * A turn event as a segment stores it: `o` offset, `t` epoch ms, `e` the event.
 * Adjacent deltas are stored as one; `c` then holds `[offset, length, gap, length, gap, length, …]` of the
 * originals (lengths in UTF-16 units), so that a reader can resume inside it to the byte.
 */
export type StoredEvent = { o: number; t: number; e: TurnEventBody; c?: number[] }

/** Joins adjacent deltas of one kind; what is read back is the same text with the same offsets. */
export function coalesce(events: readonly StoredEvent[]): StoredEvent[] {
  const out: StoredEvent[] = []
  for (const next of events) {
    const last = out.at(-1)
    if (!last || !isDelta(last.e) || last.e.type !== next.e.type) {
      out.push(next)
      continue
    }
    const joined = { ...last.e, delta: last.e.delta + (next.e as { delta: string }).delta }
    const cuts = last.c ? [...last.c] : [last.o, last.e.delta.length]
    appendCuts(cuts, last.o, next)
    out[out.length - 1] = { o: next.o, t: next.t, e: joined, c: cuts }
  }
  return out
}

/** The events after `offset`; a joined delta that spans it is cut where the reader stopped. */
export function sliceAfter(events: readonly StoredEvent[], offset: number): StoredEvent[] {
  const out: StoredEvent[] = []
  for (const event of events) {
    if (event.o <= offset) continue
    out.push(event.c ? cutAfter(event, event.c, offset) : event)
  }
  return out
}

/** The first offset that an event covers. */
export const firstOffset = (event: StoredEvent): number => event.c?.[0] ?? event.o

const isDelta = (e: TurnEventBody): e is Extract<TurnEventBody, { delta: string }> =>
  e.type === 'text' || e.type === 'reasoning'

function appendCuts(cuts: number[], lastOffset: number, next: StoredEvent): void {
  if (!next.c) {
    cuts.push(next.o - lastOffset, (next.e as { delta: string }).delta.length)
    return
  }
  cuts.push(next.c[0]! - lastOffset, ...next.c.slice(1))
}

function cutAfter(event: StoredEvent, cuts: number[], offset: number): StoredEvent {
  let at = 0
  let seen = 0
  for (let i = 0; i < cuts.length; i += 2) {
    at += cuts[i]!
    if (at > offset) break
    seen += cuts[i + 1]!
  }
  if (seen === 0) return event
  const e = event.e as Extract<TurnEventBody, { delta: string }>
  return { o: event.o, t: event.t, e: { ...e, delta: e.delta.slice(seen) } }
}

/** The opposite of `coalesce` for one event. */
export function expand(event: StoredEvent): StoredEvent[] {
  if (!event.c) return [event]
  const e = event.e as Extract<TurnEventBody, { delta: string }>
  const out: StoredEvent[] = []
  let offset = 0
  let at = 0
  for (let i = 0; i < event.c.length; i += 2) {
    offset += event.c[i]!
    const length = event.c[i + 1]!
    out.push({ o: offset, t: event.t, e: { ...e, delta: e.delta.slice(at, at + length) } })
    at += length
  }
  return out
}
