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

/** A reader that has read everything and waits for more. */
type Follower = {
  wake(seen: number): void
  /**
   * Resolves when something may have come, the signal aborted or the log closed, with an offset up to which there is
   * nothing that a reader which had read everything has not seen; 0 when that is not known.
   */
  wait(): Promise<number>
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
  /** Everything published up to this offset is in the database. */
  let durable = 0
  let held: { from: number; sids: ReadonlySet<number>; over: Promise<void>; end(): void } | undefined
  /** How many events are looked through for what may go: often enough, and seldom enough to cost little per event. */
  let trimAt = 2 * KEEP
  let commitCount = 0
  /** The number of each session's newest commit; those up to `forgotten` may be missing. */
  let commits = new Map<number, number>()
  let forgotten = 0
  const followersOfSession = new Map<number, Set<Follower>>()
  const followersOfAll = new Set<Follower>()

  function insert(list: Entry[], entry: Entry): void {
    let at = list.length
    while (at > 0 && list[at - 1]!.offset > entry.offset) at--
    if (at === list.length) list.push(entry)
    else list.splice(at, 0, entry)
  }

  /** What is not in the database yet stays: nobody could read it there. */
  function trim(): void {
    let count = all.length - KEEP
    while (count > 0 && all[count - 1]!.offset > durable) count--
    if (count === 0) return
    start = all[count - 1]!.offset
    all = all.slice(count)
    trimAt = all.length + KEEP
    bySession = new Map()
    commits = new Map()
    forgotten = commitCount
    for (const entry of all) {
      const list = bySession.get(entry.sid)
      if (list) list.push(entry)
      else bySession.set(entry.sid, [entry])
    }
  }

  const wake = (followers: Iterable<Follower> | undefined, seen: number): void => {
    if (followers) { for (const follower of followers) follower.wake(seen) }
  }

  /** A number that each commit of the session changes. */
  const newestCommit = (sid: number): number => commits.get(sid) ?? forgotten

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
      if (all.length > trimAt) trim()
      const seen = entry.offset - 1
      if (!held?.sids.has(entry.sid)) wake(followersOfSession.get(entry.sid), seen)
      if (!held) wake(followersOfAll, seen)
    },
    /** Everything published up to this offset is in the database now. */
    committed(offset: number): void {
      durable = offset
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
      commitCount++
      for (const sid of was.sids) {
        commits.set(sid, commitCount)
        wake(followersOfSession.get(sid), was.from - 1)
      }
      wake(followersOfAll, was.from - 1)
      was.end()
    },
    /** Resolves when no commit of the session is on its way, with a number that the next one changes. */
    async settled(sid: number): Promise<number> {
      while (held?.sids.has(sid)) await held.over
      return newestCommit(sid)
    },
    /** Whether no commit of the session began since `settled` gave this number. */
    isStill: (sid: number, since: number): boolean => !held?.sids.has(sid) && newestCommit(sid) === since,
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
    /** To wait for what comes to `filter`; `end` when nobody does any more. */
    follower(filter: Filter, signal: AbortSignal): Follower & { end(): void } {
      let resolve: ((seen: number) => void) | undefined
      const wake = (seen: number): void => {
        resolve?.(seen)
        resolve = undefined
      }
      const stop = (): void => wake(0)
      const follower: Follower = {
        wake,
        wait: () => new Promise((done) => (signal.aborted ? done(0) : (resolve = done))),
      }
      const { sid } = filter
      const followers = sid === undefined ? followersOfAll : followersOfSession.get(sid) ?? new Set()
      if (sid !== undefined) followersOfSession.set(sid, followers)
      followers.add(follower)
      signal.addEventListener('abort', stop, { once: true })
      const end = (): void => {
        signal.removeEventListener('abort', stop)
        followers.delete(follower)
        if (sid !== undefined && followers.size === 0 && followersOfSession.get(sid) === followers) {
          followersOfSession.delete(sid)
        }
      }
      return { ...follower, end }
    },
    close(): void {
      for (const followers of followersOfSession.values()) wake(followers, 0)
      wake(followersOfAll, 0)
    },
  }
}
