import type { TurnEventBody } from '../../shared/turn-events.ts'

/**
 * A turn event as a segment stores it: `o` offset, `t` epoch ms, `e` the event.
 * Adjacent deltas are stored as one; `c` then holds `[offset, length, gap, length, gap, length, …]` of the
 * originals (lengths in UTF-16 units), so that a reader can resume inside it to the byte.
 */
export type StoredEvent = { o: number; t: number; e: TurnEventBody; c?: number[] }

/**
 * Joins adjacent deltas of one kind; what is read back is the same text with the same offsets. Progress of a call that
 * later progress or the result has outdated is left out.
 */
export function coalesce(all: readonly StoredEvent[]): StoredEvent[] {
  const events = all.some(({ e }) => e.type === 'tool_progress') ? withoutOutdated(all) : all
  const out: StoredEvent[] = []
  /** The last of `out` when it was joined here, and so is ours to lengthen: copying it each time would be quadratic. */
  let own: { event: StoredEvent; delta: Delta; cuts: number[] } | undefined
  for (const next of events) {
    const last = out.at(-1)
    if (!last || !isDelta(last.e) || !isDelta(next.e) || last.e.type !== next.e.type) {
      out.push(next)
      own = undefined
      continue
    }
    if (!own) {
      const cuts = last.c ? [...last.c] : [last.o, last.e.delta.length]
      const delta = { ...last.e }
      own = { event: { ...last, e: delta, c: cuts }, delta, cuts }
      out[out.length - 1] = own.event
    }
    appendCuts(own.cuts, own.event.o, next, next.e)
    own.delta.delta += next.e.delta
    own.event.o = next.o
    own.event.t = next.t
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

type Delta = Extract<TurnEventBody, { delta: string }>

const isDelta = (e: TurnEventBody): e is Delta => e.type === 'text' || e.type === 'reasoning'

function withoutOutdated(events: readonly StoredEvent[]): StoredEvent[] {
  const outdated = new Set<string>()
  return events.toReversed().filter(({ e }) => {
    if (e.type !== 'tool_progress' && e.type !== 'tool_result') return true
    const keep = e.type === 'tool_result' || !outdated.has(e.call_id)
    outdated.add(e.call_id)
    return keep
  }).reverse()
}

function appendCuts(cuts: number[], lastOffset: number, next: StoredEvent, { delta }: Delta): void {
  if (!next.c) {
    cuts.push(next.o - lastOffset, delta.length)
    return
  }
  cuts.push(next.c[0]! - lastOffset)
  for (let i = 1; i < next.c.length; i++) cuts.push(next.c[i]!)
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
