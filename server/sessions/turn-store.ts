import { type Selectable, sql, type Transaction, type Updateable } from 'kysely'
import type { Db } from '../db/open.ts'
import type { Turn } from '../../shared/sessions.ts'
import type { TurnInput } from '../../shared/turn-events.ts'
import type { Caller, Scope } from '../auth/principal.ts'
import type { SessionTables } from './tables.ts'

type Tx = Transaction<SessionTables>

/** A turn as the runner works with it. */
export type TurnRow = Omit<Selectable<SessionTables['turns']>, 'input' | 'caller' | 'error'> & {
  input: TurnInput
  caller: Caller
  error: { class: string; message: string } | null
}

/** Written out, for with parameters SQLite can't tell that the index of open turns covers it, and would sort. */
const isOpen = sql<boolean>`state in ('queued', 'running', 'awaiting_approval')`

/** With the plus, SQLite sorts the few open turns rather than look through all turns in this order. */
const byAge = sql<number>`+turns.tid`

/** The queue of every session, and what became of each turn. */
export function createTurnStore(database: Db) {
  const db = database.withTables<SessionTables>()

  const select = (tx?: Tx) => (tx ?? db).selectFrom('turns').selectAll()

  return {
    get: async (id: string): Promise<TurnRow | undefined> => {
      const row = await select().where('id', '=', id).executeTakeFirst()
      return row && toTurnRow(row)
    },

    /** Open turns of a session in the order in which they run. */
    open: async (sid: number, tx?: Tx): Promise<TurnRow[]> =>
      (await select(tx).where('sid', '=', sid).where(isOpen).orderBy('ord').execute()).map(toTurnRow),

    /** What would run next; nothing while a turn of the session runs or waits for an answer. */
    next: async (sid: number): Promise<TurnRow | undefined> => {
      const row = await select().where('sid', '=', sid).where(isOpen).orderBy('ord').limit(1)
        .executeTakeFirst()
      return row && row.state === 'queued' ? toTurnRow(row) : undefined
    },

    /** The turn that took a message with this key, and the hash of that message. */
    byKey: async (tx: Tx, sid: number, key: string): Promise<{ turn_id: string; hash: string } | undefined> =>
      await tx.selectFrom('message_keys').select(['turn_id', 'hash']).where('sid', '=', sid).where('key', '=', key)
        .executeTakeFirst(),

    addKey: async (tx: Tx, row: SessionTables['message_keys']): Promise<void> =>
      void await tx.insertInto('message_keys').values(row).execute(),

    async insert(tx: Tx, turn: {
      id: string
      sid: number
      input: TurnInput
      model: string | null
      caller: Caller
      not_before: number
      /** Before everything that waits, behind what runs. */
      first?: boolean
      /** It doesn't wait, and is about to be answered by this model. */
      runs?: { used_model: string }
      at: number
    }): Promise<TurnRow> {
      const ord = turn.first
        ? sql<number>`coalesce((select min(ord) from turns where sid = ${turn.sid} and state = 'queued'), 1) - 1`
        : sql<
          number
        >`coalesce((select max(ord) from turns where sid = ${turn.sid} and state in ('queued', 'running', 'awaiting_approval')), 0) + 1`
      const row = await tx.insertInto('turns').values({
        id: turn.id,
        sid: turn.sid,
        state: turn.runs ? 'running' : 'queued',
        ord,
        not_before: turn.not_before,
        input: JSON.stringify(turn.input),
        model: turn.model,
        caller: JSON.stringify({ ...turn.caller, scopes: [...turn.caller.scopes] }),
        created_at: turn.at,
        ...(turn.runs ? { ...turn.runs, started_at: turn.at } : {}),
      } as never).returningAll().executeTakeFirstOrThrow()
      return toTurnRow(row)
    },

    update: async (
      tx: Tx,
      id: string,
      change: Omit<Updateable<SessionTables['turns']>, 'input' | 'caller' | 'error'> & {
        input?: TurnInput
        error?: { class: string; message: string } | null
      },
    ): Promise<void> => {
      const { input, error, ...rest } = change
      await tx.updateTable('turns').set({
        ...rest,
        ...(input ? { input: JSON.stringify(input) } : {}),
        ...(error !== undefined ? { error: error && JSON.stringify(error) } : {}),
      }).where('id', '=', id).execute()
    },

    /** Moves a turn only from the state that the caller saw; false when somebody was quicker. */
    transition: async (
      tx: Tx,
      id: string,
      from: TurnRow['state'],
      change: Updateable<SessionTables['turns']>,
    ): Promise<boolean> => {
      const result = await tx.updateTable('turns').set(change).where('id', '=', id).where('state', '=', from)
        .executeTakeFirst()
      return result.numUpdatedRows > 0n
    },

    /**
     * Takes a turn out of the queue to run it: its input as it is now. Undefined when it does not wait any more, or not
     * for this model any more.
     */
    start: async (
      tx: Tx,
      id: string,
      model: string | null,
      change: Updateable<SessionTables['turns']>,
    ): Promise<TurnInput | undefined> => {
      const row = await tx.updateTable('turns').set({ ...change, state: 'running' }).where('id', '=', id)
        .where('state', '=', 'queued').where('model', 'is', model).returning('input').executeTakeFirst()
      return row && JSON.parse(row.input) as TurnInput
    },

    /** Ends an open turn; false when it had ended already. */
    close: async (
      tx: Tx,
      id: string,
      end: {
        state: TurnRow['state']
        used_model: string | null
        text: string
        error: TurnRow['error']
        finished_at: number
      },
    ): Promise<boolean> => {
      const result = await tx.updateTable('turns').set({ ...end, error: end.error && JSON.stringify(end.error) })
        .where('id', '=', id).where(isOpen).executeTakeFirst()
      return result.numUpdatedRows > 0n
    },

    removeQueued: async (tx: Tx, sid: number, ids: string[]): Promise<void> => {
      if (ids.length === 0) return
      await tx.deleteFrom('turns').where('sid', '=', sid).where('state', '=', 'queued').where('id', 'in', ids).execute()
    },

    /** Turns that a stopped process left open, oldest first. */
    left: async (state: 'running' | 'awaiting_approval'): Promise<TurnRow[]> =>
      (await select().where(isOpen).where('state', '=', state).orderBy(byAge).execute()).map(toTurnRow),

    /** Open turns of all sessions that came from somewhere, newest first. */
    openFrom: async (origin: string): Promise<TurnRow[]> =>
      (await db.selectFrom('turns').innerJoin('sessions', 'sessions.sid', 'turns.sid').selectAll('turns')
        .where(isOpen).where('origin', '=', origin).orderBy(byAge, 'desc').execute()).map(toTurnRow),

    sessionsWithQueue: async (): Promise<number[]> =>
      (await db.selectFrom('turns').select('sid').distinct().where(isOpen).where('state', '=', 'queued').execute())
        .map((row) => row.sid),

    /** `cross` keeps the order of the tables: from the few open turns to their sessions. */
    liveSessions: async (handle: string, limit: number): Promise<string[]> => {
      const { rows } = await sql<{ id: string }>`
        select s.id from turns cross join sessions s on s.sid = turns.sid
        where ${isOpen} and state != 'queued' and s.handle = ${handle}
        order by ${byAge} desc limit ${limit}`.execute(db)
      return rows.map((row) => row.id)
    },

    counts: async (): Promise<{ active: number; queued: number }> => {
      const { rows } = await sql<{ state: string; n: number }>`
        select state, count(*) as n from turns where state in ('queued', 'running', 'awaiting_approval') group by state`
        .execute(db)
      const of = (state: string) => rows.find((row) => row.state === state)?.n ?? 0
      return { active: of('running') + of('awaiting_approval'), queued: of('queued') }
    },
  }
}

export type TurnStore = ReturnType<typeof createTurnStore>

function toTurnRow(row: Selectable<SessionTables['turns']>): TurnRow {
  const caller = JSON.parse(row.caller) as Omit<Caller, 'scopes'> & { scopes: Scope[] }
  return {
    ...row,
    input: JSON.parse(row.input) as TurnInput,
    caller: { ...caller, scopes: new Set(caller.scopes) },
    error: row.error ? JSON.parse(row.error) as TurnRow['error'] : null,
  }
}

/** A turn as clients read it; `position` is 0 for the one that runs. */
export const toTurn = (row: TurnRow, sessionId: string, position: number | null): Turn => ({
  turn_id: row.id,
  session_id: sessionId,
  state: row.state,
  position,
  input: row.input,
  created_at: row.created_at / 1000,
  finished_at: row.finished_at === null ? null : row.finished_at / 1000,
  model: row.used_model ?? row.model,
  text: row.text,
  error: row.error,
})
