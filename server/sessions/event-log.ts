import type { Transaction } from 'kysely'
import type { Database } from '../db/open.ts'
import { unwritable } from '../db/sql-error.ts'
import { AppError } from '../errors.ts'
import type { TurnEvent, TurnEventBody } from '../../shared/turn-events.ts'
import type { Log } from '../system/log.ts'
import { createEntries, type Entry, type Filter, type TurnRef } from './entries.ts'
import { coalesce, type StoredEvent } from './event-codec.ts'
import { createSegmentStore, type Segment } from './segment-store.ts'

export type { Filter, TurnRef } from './entries.ts'

/** The transaction of a commit. Each store that takes part narrows it to its own tables, hence no type here. */
// oxlint-disable-next-line no-explicit-any
export type Tx = Transaction<any>
/** What `commit` writes beside its rows: events of one turn. */
type Work<T> = (tx: Tx) => Promise<Done<T>>
type Done<T> = {
  result: T
  turn?: TurnRef
  events?: TurnEventBody[]
  /** These are the first events of the turn, and more follow soon: they need not be read again. */
  begins?: boolean
}
/** Of `commit`, or of `tell`, which has only events. */
type Job = ({ work: Work<unknown> } | { told: Done<void> }) & {
  resolve(value: unknown): void
  reject(error: unknown): void
}

/**
 * The log of turn events: one order over the whole server, readers with an offset (design §2).
 *
 * What is committed is always a prefix of what was handed out, so a reader either saw durable events or, after a
 * crash, stands in a range that `isLost` knows.
 */
export interface EventLog {
  /** Publishes at once and commits soon (`FLUSH_MS`); for deltas, whose loss in a crash is told by `isLost`. */
  append(turn: TurnRef, events: TurnEventBody[]): void
  /**
   * Runs `work` in a transaction together with its events and everything appended before, and publishes them only
   * when that is durable. Commits that wait share one transaction; one that throws takes only itself back.
   */
  commit<T>(work: Work<T>): Promise<T>
  /**
   * Publishes events once they are written with everything appended before: no end of this process takes what a reader
   * saw, only one of the machine may. `commit` without its wait for the disk.
   */
  tell(turn: TurnRef, events: TurnEventBody[]): Promise<void>
  /** Resolves when everything appended so far is durable. */
  flush(): Promise<void>
  /** Batches of events after `after`, first from the log, then live, until the signal aborts. Never buffers for a slow reader. */
  follow(filter: Filter, after: number, signal: AbortSignal): AsyncGenerator<Entry[]>
  /** All events of a turn so far, committed or not, deltas joined. */
  turnEvents(turn: TurnRef): Promise<StoredEvent[]>
  /**
   * What `read` gives, when it told of one moment: it is run again if a commit of the session came meanwhile, for its
   * queries, `turnEvents` and `head()` would each tell of another. Throws `unavailable` when it never holds still.
   */
  atRest<T>(sid: number, read: () => Promise<T>): Promise<T>
  /** The offset of the newest event; follow from here to see only what comes. */
  head(): number
  /** Whether a reader at this offset may have seen events that a crash took, or asks for another log. */
  isLost(after: number): boolean
  /** Commits what is pending and wakes every reader for the last time. */
  close(): Promise<void>
}

const FLUSH_MS = 25
/** Added for each open turn, so that many at once share a commit and the rows in it rather than write one per delta. */
const FLUSH_MS_PER_TURN = 0.25
const FLUSH_MS_AT_MOST = 250
const RESERVE = 1_000_000
const RETRY_MS = 1000
/** How long a stopping server tries to write what is pending. */
const CLOSE_MS = 3000
/** Events of an open turn before its deltas are joined in memory. */
const JOIN_AT = 2000
/** Tries of a read to fall between two commits of its session; a commit takes about as long as a read. */
const READS = 100

/** The log over the local database; throws what the database throws at opening. */
export async function createEventLog(
  deps: { database: Pick<Database, 'kysely' | 'batch'>; log: Log; now: () => number },
): Promise<EventLog> {
  const { log, now } = deps
  const store = createSegmentStore(deps.database)
  const epochs = await store.beginEpoch(RESERVE)
  let next = epochs.from
  let reservedTo = epochs.from + RESERVE

  const entries = createEntries()
  /** Every event of a turn that is open in this process. */
  const turns = new Map<string, StoredEvent[]>()
  /** Turns whose events are being read, with what came to them since. */
  const loading = new Map<string, { fresh: StoredEvent[]; all: Promise<StoredEvent[]> }>()
  let pending: { turn: TurnRef; event: StoredEvent }[] = []
  /** What was pending before the commit that is on its way. */
  let committing: typeof pending = []
  const jobs: Job[] = []
  let flushTimer: ReturnType<typeof setTimeout> | undefined
  let draining: Promise<void> | undefined
  let flushed: (() => void)[] = []

  function record(turn: TurnRef, body: TurnEventBody): { turn: TurnRef; event: StoredEvent } {
    const event: StoredEvent = { o: next++, t: now(), e: body }
    return { turn, event }
  }

  function remember({ turn, event }: { turn: TurnRef; event: StoredEvent }): void {
    loading.get(turn.turn_id)?.fresh.push(event)
    const known = turns.get(turn.turn_id)
    // Read from the database between its commit and now; whatever doesn't belong at the end is read anew.
    if (known && (known.at(-1)?.o ?? 0) >= event.o) return void turns.delete(turn.turn_id)
    if (known) known.push(event)
    // A long answer is held as text, not as the many events that it came in.
    if (known && known.length >= JOIN_AT) turns.set(turn.turn_id, coalesce(known))
    if (event.e.type === 'turn_finished') turns.delete(turn.turn_id)
  }

  const publish = (record: { turn: TurnRef; event: StoredEvent }): void =>
    entries.add(entryOf(record.turn, record.event))

  const hasWork = (): boolean => jobs.length > 0 || pending.length > 0 || flushed.length > 0

  function drain(): Promise<void> {
    if (!draining && hasWork()) draining = drainAll()
    return draining ?? Promise.resolve()
  }

  async function drainAll(): Promise<void> {
    while (hasWork()) {
      clearTimeout(flushTimer)
      flushTimer = undefined
      await drainOnce()
    }
    // In the same tick as the last look: work that comes a microtask later must start a drain of its own.
    draining = undefined
  }

  async function drainOnce(): Promise<void> {
    const batch = jobs.splice(0, 64)
    const waiting = flushed
    flushed = []
    const done: { job: Job; result: unknown }[] = []
    const failed: { job: Job; error: unknown }[] = []
    let taken: typeof pending = []
    const begun: string[] = []
    const fresh: typeof pending = []
    /** Everything up to this moment; what is handed out from here on has to come in a later commit. */
    const take = (jobs: Done<unknown>[]): typeof pending => {
      taken = pending
      committing = taken
      pending = []
      for (const { turn, events = [] } of jobs) if (turn) fresh.push(...events.map((event) => record(turn, event)))
      if (fresh.length > 0) entries.hold(fresh[0]!.event.o, new Set(fresh.map(({ turn }) => turn.sid)))
      return [...taken, ...fresh]
    }
    const notes = batch.flatMap((job) => 'told' in job ? [job.told] : [])
    // Also when somebody flushes: a commit that writes nothing waits for no disk, and what was told has not waited yet.
    const reserves = waiting.length > 0 || next > reservedTo - RESERVE / 2
    const reserve = reserves ? next + RESERVE : reservedTo
    try {
      if (notes.length === batch.length && !reserves) {
        await store.note(() => segmentsOf(take(notes)))
        done.push(...batch.map((job) => ({ job, result: undefined })))
      } else {
        await store.transaction(async (tx, attempt) => {
          const works: Done<unknown>[] = []
          for (const job of batch) {
            try {
              const work = 'told' in job
                ? job.told
                : await (batch.length > 1 ? attempt(() => job.work(tx)) : job.work(tx))
              works.push(work)
              if (work.turn && work.begins) begun.push(work.turn.turn_id)
              done.push({ job, result: work.result })
            } catch (error) {
              failed.push({ job, error })
              if (batch.length === 1) throw error
            }
          }
          await store.insert(tx, await folded(tx, segmentsOf(take(works))))
          if (reserves) await store.reserve(tx, epochs.from, reserve)
        })
      }
      reservedTo = reserve
    } catch (error) {
      entries.release()
      pending = [...taken, ...pending]
      committing = []
      flushed.push(...waiting)
      for (const job of batch) job.reject(told(failed.find((item) => item.job === job)?.error ?? error))
      if (failed.some((item) => item.error === error)) return
      log.error('log.commit_failed', 'Turn events could not be committed; trying again', { error: String(error) })
      if (jobs.length === 0) await new Promise((resolve) => setTimeout(resolve, RETRY_MS))
      return
    }
    committing = []
    entries.committed((fresh.at(-1) ?? taken.at(-1))?.event.o ?? 0)
    for (const turnId of begun) if (!turns.has(turnId)) turns.set(turnId, [])
    for (const item of fresh) {
      remember(item)
      publish(item)
    }
    entries.release()
    for (const { job, result } of done) job.resolve(result)
    for (const { job, error } of failed) job.reject(told(error))
    for (const resolve of waiting) resolve()
  }

  /** A turn that ends is folded into a single row. */
  async function folded(tx: Tx, segments: Segment[]): Promise<Segment[]> {
    for (const segment of segments) {
      if (segment.events.at(-1)!.e.type !== 'turn_finished') continue
      const { turn_id } = segment.turn
      const before = turns.get(turn_id) ?? await store.turnEvents(tx, turn_id)
      const newest = before.at(-1)?.o ?? 0
      await store.remove(tx, turn_id)
      segment.events = [...before, ...segment.events.filter((event) => event.o > newest)]
    }
    return segments
  }

  function append(turn: TurnRef, bodies: TurnEventBody[]): void {
    for (const body of bodies) {
      const item = record(turn, body)
      remember(item)
      pending.push(item)
      publish(item)
    }
    if (!draining) flushTimer ??= setTimeout(() => void drain(), flushAfter())
  }

  const flushAfter = (): number => Math.min(FLUSH_MS + turns.size * FLUSH_MS_PER_TURN, FLUSH_MS_AT_MOST)

  /** The events of a turn from the database and from what is not in it yet. */
  function load(turnId: string): Promise<StoredEvent[]> {
    const fresh = [...committing, ...pending].filter(({ turn }) => turn.turn_id === turnId).map(({ event }) => event)
    const all = store.turnEvents(undefined, turnId).then((stored) => {
      const newest = stored.at(-1)?.o ?? 0
      const all = [...stored, ...fresh.filter((event) => event.o > newest)]
      if (all.length > 0 && all.at(-1)!.e.type !== 'turn_finished') turns.set(turnId, all)
      return all
    }).finally(() => loading.delete(turnId))
    loading.set(turnId, { fresh, all })
    return all
  }

  return {
    append,
    commit: <T>(work: Work<T>) =>
      new Promise<T>((resolve, reject) => {
        jobs.push({ work, resolve: resolve as (value: unknown) => void, reject })
        void drain()
      }),
    tell: (turn, events) =>
      new Promise<void>((resolve, reject) => {
        jobs.push({ told: { result: undefined, turn, events }, resolve: () => resolve(), reject })
        void drain()
      }),
    flush: () =>
      new Promise((resolve) => {
        flushed.push(resolve)
        void drain()
      }),

    async *follow(filter, after, signal) {
      let cursor = after
      const follower = entries.follower(filter, signal)
      try {
        while (!signal.aborted) {
          const start = entries.start()
          if (cursor < start) {
            const stored = await store.read(filter, cursor)
            if (stored.length > 0) {
              cursor = stored.at(-1)!.event.o
              yield stored.map((item) => entryOf(item.turn, item.event))
              continue
            }
            if (entries.start() !== start) continue
          }
          const live = entries.after(filter, cursor)
          if (live.length > 0) {
            cursor = live.at(-1)!.offset
            yield live
            continue
          }
          // Others' events may have filled the memory meanwhile; what it missed of them is none of this reader's.
          cursor = Math.max(cursor, await follower.wait())
        }
      } finally {
        follower.end()
      }
    },

    async turnEvents(turn) {
      return coalesce(turns.get(turn.turn_id) ?? await (loading.get(turn.turn_id)?.all ?? load(turn.turn_id)))
    },

    async atRest(sid, read) {
      for (let attempt = 0; attempt < READS; attempt++) {
        const moment = await entries.settled(sid)
        const result = await read()
        if (entries.isStill(sid, moment)) return result
      }
      throw new AppError('unavailable', 'The conversation changes faster than it can be read; try again')
    },

    head: () => entries.visibleHead(next - 1),
    isLost: (after) => after >= next || epochs.lost.some((range) => after > range.after && after < range.before),
    async close() {
      clearTimeout(flushTimer)
      if (pending.length > 0 || jobs.length > 0) {
        let timer: ReturnType<typeof setTimeout> | undefined
        await Promise.race([drain(), new Promise((resolve) => timer = setTimeout(resolve, CLOSE_MS))])
        clearTimeout(timer)
      }
      entries.close()
    },
  }
}

/** One row per turn. */
function segmentsOf(records: { turn: TurnRef; event: StoredEvent }[]): Segment[] {
  const byTurn = new Map<string, Segment>()
  for (const { turn, event } of records) {
    const segment = byTurn.get(turn.turn_id)
    if (segment) segment.events.push(event)
    else byTurn.set(turn.turn_id, { turn, events: [event] })
  }
  return [...byTurn.values()]
}

/** An error of the disk in words for whoever sent what could not be stored. */
const told = (error: unknown): unknown => unwritable(error) ?? error

function entryOf(turn: TurnRef, stored: StoredEvent): Entry {
  const event: TurnEvent = {
    v: 1,
    offset: stored.o,
    session_id: turn.session_id,
    turn_id: turn.turn_id,
    at: stored.t,
    ...stored.e,
  }
  return { offset: stored.o, sid: turn.sid, handle: turn.handle, session_id: turn.session_id, event }
}
