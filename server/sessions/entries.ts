import type { TurnEvent } from '../../shared/turn-events.ts'

/** Where an event belongs. */
export type TurnRef = { sid: number; session_id: string; handle: string; turn_id: string }

export const refOf = (session: { sid: number; id: string; handle: string }, turnId: string): TurnRef => ({
  sid: session.sid,
  session_id: session.id,
  handle: session.handle,
  turn_id: turnId,
})

/** What a reader follows: one session, or everything of a handle (optionally only some of its sessions). */
export type Filter = { handle: string; sid?: number; session_ids?: ReadonlySet<string> }

/** A published event and where it belongs; encodings are made once, however many readers there are. */
export type Entry = {
  offset: number
  sid: number
  handle: string
  session_id: string
  event: TurnEvent
  /** `event` as JSON, filled by the first reader that needs it. */
  json?: string
  /** SSE frames by event name (empty for none), filled by the first reader that needs one. */
  frames?: Record<string, Uint8Array>
}

/** How many of the newest events stay in memory; a reader further behind reads the database. */
const KEEP = 4096

/**
 * The newest events in memory, in order of offset, and those who wait for more.
 * Readers pull: one that does not read holds nothing here.
 */
export function createEntries() {
  let all: Entry[] = []
  let bySession = new Map<number, Entry[]>()
  /** Everything published after this offset is in memory. */
  let start = Infinity
  let held: { from: number; sids: ReadonlySet<number>; over: Promise<void>; end(): void } | undefined
  /** Commits that each session had since its events were last trimmed. */
  let commits = new Map<number, number>()
  const waitingBySession = new Map<number, Set<() => void>>()
  const waitingForAll = new Set<() => void>()
  let closed = false

  function insert(list: Entry[], entry: Entry): void {
    let at = list.length
    while (at > 0 && list[at - 1]!.offset > entry.offset) at--
    if (at === list.length) list.push(entry)
    else list.splice(at, 0, entry)
  }

  function trim(): void {
    const gone = all.slice(0, all.length - KEEP)
    all = all.slice(-KEEP)
    start = gone.at(-1)!.offset
    bySession = new Map()
    commits = new Map()
    for (const entry of all) {
      const list = bySession.get(entry.sid)
      if (list) list.push(entry)
      else bySession.set(entry.sid, [entry])
    }
  }

  function wake(sid: number): void {
    const waiting = waitingBySession.get(sid)
    if (waiting) { for (const resolve of [...waiting]) resolve() }
    for (const resolve of [...waitingForAll]) resolve()
  }

  /** Events from here on are not shown yet: they wait for a commit that has lower offsets than what is published. */
  const limitOf = (filter: Filter): number =>
    held && (filter.sid === undefined || held.sids.has(filter.sid)) ? held.from : Infinity

  return {
    add(entry: Entry): void {
      if (start === Infinity) start = entry.offset - 1
      insert(all, entry)
      const list = bySession.get(entry.sid)
      if (list) insert(list, entry)
      else bySession.set(entry.sid, [entry])
      // Twice the limit, so that trimming costs little per event.
      if (all.length > 2 * KEEP) trim()
      if (!held) wake(entry.sid)
    },
    /** What follows is kept back until `release`: a commit of these sessions is on its way. */
    hold(from: number, sids: ReadonlySet<number>): void {
      let end = () => {}
      const over = new Promise<void>((resolve) => end = resolve)
      held = { from, sids, over, end }
    },
    release(): void {
      const was = held
      held = undefined
      if (!was) return
      for (const sid of was.sids) commits.set(sid, (commits.get(sid) ?? 0) + 1)
      for (const sid of new Set([...was.sids, ...waitingBySession.keys()])) wake(sid)
      was.end()
    },
    /** Resolves when no commit of the session is on its way, with a number that the next one changes. */
    async settled(sid: number): Promise<number> {
      while (held?.sids.has(sid)) await held.over
      return commits.get(sid) ?? 0
    },
    /** Whether no commit of the session began since `settled` gave this number. */
    isStill: (sid: number, since: number): boolean => !held?.sids.has(sid) && (commits.get(sid) ?? 0) === since,
    start: (): number => start,
    visibleHead: (newest: number): number => held ? Math.min(newest, held.from - 1) : newest,
    after(filter: Filter, cursor: number): Entry[] {
      const list = filter.sid === undefined ? all : bySession.get(filter.sid) ?? []
      const limit = limitOf(filter)
      let from = list.length
      while (from > 0 && list[from - 1]!.offset > cursor) from--
      const out: Entry[] = []
      for (let i = from; i < list.length && list[i]!.offset < limit; i++) {
        const entry = list[i]!
        if (filter.sid === undefined && entry.handle !== filter.handle) continue
        if (filter.session_ids && !filter.session_ids.has(entry.session_id)) continue
        out.push(entry)
      }
      return out
    },
    /** Resolves when something may have come, the signal aborted or the log closed. */
    wait(filter: Filter, signal: AbortSignal): Promise<void> {
      if (closed) return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
      return new Promise((resolve) => {
        let waiting = waitingForAll
        if (filter.sid !== undefined) {
          waiting = waitingBySession.get(filter.sid) ?? new Set()
          waitingBySession.set(filter.sid, waiting)
        }
        const done = () => {
          waiting.delete(done)
          if (filter.sid !== undefined && waiting.size === 0 && waitingBySession.get(filter.sid) === waiting) {
            waitingBySession.delete(filter.sid)
          }
          signal.removeEventListener('abort', done)
          resolve()
        }
        waiting.add(done)
        signal.addEventListener('abort', done, { once: true })
      })
    },
    close(): void {
      closed = true
      for (const sid of [...waitingBySession.keys()]) wake(sid)
      for (const resolve of [...waitingForAll]) resolve()
    },
  }
}
