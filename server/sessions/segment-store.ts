import { CompiledQuery, type Transaction } from 'kysely'
import type { Database } from '../db/open.ts'
import { coalesce, expand, firstOffset, sliceAfter, type StoredEvent } from './event-codec.ts'
import type { Filter, TurnRef } from './entries.ts'

export type SegmentTables = {
  turn_segments: { last_offset: number; first_offset: number; sid: number; turn_id: string; events: string }
  event_epochs: { from_offset: number; lost_after: number; reserved_to: number }
  sessions: { sid: number; id: string; handle: string }
}

type Tx = Transaction<SegmentTables>

/** Events of one turn that become one row; adjacent deltas are joined there. */
export type Segment = { turn: TurnRef; events: StoredEvent[] }

/** Rows of one statement: few enough that it runs in a millisecond. */
const TOGETHER = 128
const INSERT = `insert into turn_segments (last_offset, first_offset, sid, turn_id, events)
  select value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4 from json_each(?)
  where value ->> 2 in (select sid from sessions)`

/** Segments whose events are read in one go. */
const WINDOW = 64
/** How many segments further on one is looked for that begins inside the window: a turn that took long. */
const OVERLAP = 4096
/** Lost ranges kept; a reader that comes back from before more restarts than this loads again anyway. */
const EPOCHS = 100

/** The rows of the event log. */
export function createSegmentStore({ kysely, batch }: Pick<Database, 'kysely' | 'batch'>) {
  const db = kysely.withTables<SegmentTables>()

  function rows(filter: Filter) {
    // A cross join, for SQLite keeps its order: otherwise it begins with all sessions of the handle, and sorts.
    const query = db.selectFrom('turn_segments as g').crossJoin('sessions as s').whereRef('s.sid', '=', 'g.sid')
      .select(['g.last_offset', 'g.first_offset', 'g.turn_id', 'g.events', 's.sid', 's.id', 's.handle'])
      .orderBy('g.last_offset')
    const own = filter.sid === undefined
      ? query.where('s.handle', '=', filter.handle)
      : query.where('g.sid', '=', filter.sid)
    return filter.session_ids ? own.where('s.id', 'in', [...filter.session_ids]) : own
  }

  /** Segments that begin at or before an offset and end after it. */
  function rowsAcross(filter: Filter, offset: number) {
    let ahead = db.selectFrom('turn_segments').select('last_offset').where('last_offset', '>', offset)
      .orderBy('last_offset').limit(1).offset(OVERLAP)
    if (filter.sid !== undefined) ahead = ahead.where('sid', '=', filter.sid)
    return rows(filter).where('g.last_offset', '>', offset).where('g.first_offset', '<=', offset)
      .where('g.last_offset', '<', (e) => e.fn.coalesce(ahead, e.lit(Number.MAX_SAFE_INTEGER))).execute()
  }

  return {
    /** Opens an epoch above everything that was ever handed out, and tells the ranges that were lost before. */
    beginEpoch(reserve: number): Promise<{ from: number; lost: { after: number; before: number }[] }> {
      return db.transaction().execute(async (tx) => {
        const epochs = await tx.selectFrom('event_epochs').selectAll().orderBy('from_offset', 'desc').limit(EPOCHS)
          .execute()
        const newest = await tx.selectFrom('turn_segments').select((e) => e.fn.max('last_offset').as('offset'))
          .executeTakeFirst()
        const from = (epochs[0]?.reserved_to ?? 0) + 1
        const lostAfter = Number(newest?.offset ?? 0)
        await tx.insertInto('event_epochs').values({
          from_offset: from,
          lost_after: lostAfter,
          reserved_to: from + reserve,
        }).execute()
        const lost = [...epochs, { from_offset: from, lost_after: lostAfter }]
          .map((epoch) => ({ after: epoch.lost_after, before: epoch.from_offset }))
        return { from, lost }
      })
    },

    /**
     * Runs `work` in one transaction. `attempt` runs a part of it under a savepoint: when that part throws, only it
     * is taken back.
     */
    async transaction(
      work: (tx: Tx, attempt: <T>(part: () => Promise<T>) => Promise<T>) => Promise<void>,
    ): Promise<void> {
      const tx = await db.startTransaction().execute()
      const attempt = async <T>(part: () => Promise<T>): Promise<T> => {
        const point = await tx.savepoint('part').execute()
        try {
          const result = await part()
          await point.releaseSavepoint('part').execute()
          return result
        } catch (error) {
          await (await point.rollbackToSavepoint('part').execute()).releaseSavepoint('part').execute()
          throw error
        }
      }
      try {
        await work(tx, attempt)
        await tx.commit().execute()
      } catch (error) {
        if (!tx.isCommitted && !tx.isRolledBack) await tx.rollback().execute().catch(() => {})
        throw error
      }
    },
    reserve: (tx: Tx, epoch: number, to: number) =>
      tx.updateTable('event_epochs').set({ reserved_to: to }).where('from_offset', '=', epoch).execute(),

    /**
     * In one statement for many: one each would cost several times as much. What is of a session that was deleted
     * meanwhile is left out, for it must not keep the others from being written.
     */
    async insert(tx: Tx, segments: Segment[]): Promise<void> {
      for (const rows of inserts(segments)) await tx.executeQuery(CompiledQuery.raw(INSERT, [rows]))
    },

    /** The same in a commit of its own that nobody waits for the disk with; `segments` is asked once it has begun. */
    async note(segments: () => Segment[]): Promise<void> {
      await batch(() => inserts(segments()).map((rows) => ({ sql: INSERT, parameters: [rows] })), { sync: false })
    },

    /** What is stored of a turn, before it is written anew as a whole. */
    async remove(tx: Tx, turnId: string): Promise<void> {
      await tx.deleteFrom('turn_segments').where('turn_id', '=', turnId).execute()
    },

    async turnEvents(tx: Tx | undefined, turnId: string): Promise<StoredEvent[]> {
      const rows = await (tx ?? db).selectFrom('turn_segments').select('events').where('turn_id', '=', turnId)
        .orderBy('last_offset').execute()
      return coalesce(rows.flatMap((row) => JSON.parse(row.events) as StoredEvent[]))
    },

    /**
     * The next events after an offset, in order of offset. Where turns overlap, joined deltas are taken apart
     * again: a reader that stops between them must not miss the part of a delta that lies before its offset.
     */
    async read(filter: Filter, after: number): Promise<{ turn: TurnRef; event: StoredEvent }[]> {
      const window = await rows(filter).where('g.last_offset', '>', after).limit(WINDOW).execute()
      const upTo = window.length < WINDOW ? Infinity : window.at(-1)!.last_offset
      const across = upTo === Infinity ? [] : await rowsAcross(filter, upTo)
      const inside = [...window, ...across]
      const overlapping = inside.some((row, i) => i > 0 && row.first_offset <= inside[i - 1]!.last_offset)
      const out: { turn: TurnRef; event: StoredEvent }[] = []
      for (const row of inside) {
        const turn = { sid: row.sid, session_id: row.id, handle: row.handle, turn_id: row.turn_id }
        const stored = JSON.parse(row.events) as StoredEvent[]
        const events = overlapping || upTo !== Infinity ? stored.flatMap(expand) : stored
        for (const event of sliceAfter(events, after)) if (event.o <= upTo) out.push({ turn, event })
      }
      out.sort((a, b) => a.event.o - b.event.o)
      // A turn that ended between the two queries was read in its pieces and as a whole.
      return out.filter(({ event }, i) => i === 0 || event.o !== out[i - 1]!.event.o)
    },
  }
}

/** The rows of segments, as `INSERT` takes them. */
function inserts(segments: Segment[]): string[] {
  const all: string[] = []
  for (let from = 0; from < segments.length; from += TOGETHER) {
    const rows = segments.slice(from, from + TOGETHER).map(({ turn, events }) => [
      events.at(-1)!.o,
      firstOffset(events[0]!),
      turn.sid,
      turn.turn_id,
      JSON.stringify(coalesce(events)),
    ])
    all.push(JSON.stringify(rows))
  }
  return all
}
