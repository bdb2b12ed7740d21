import { sql, type Transaction } from 'kysely'
import type { Db } from '../db/open.ts'
import type { Approval, ApprovalPattern } from '../../shared/approvals.ts'
import type { TurnRef } from '../sessions/event-log.ts'

export type ApprovalTables = {
  approvals: {
    id: string
    sid: number
    turn_id: string
    call_id: string
    tool: string
    arguments: string
    reason: string
    state: Approval['state']
    decided_by: string | null
    created_at: number
    expires_at: number
    decided_at: number | null
    via: Approval['via']
    decision_reason: string | null
    pattern: ApprovalPattern['kind'] | null
    /** JSON of `ApprovalPattern[]`. */
    patterns: string
  }
  sessions: { sid: number; id: string; handle: string; title: string | null; origin: string }
  turns: { id: string; state: string; caller: string }
}

export type ApprovalRow = ApprovalTables['approvals'] & {
  session_id: string
  session_title: string | null
  origin: string
  handle: string
  /** JSON of who sent the message that the turn works on. */
  caller: string | null
}
type Tx = Transaction<ApprovalTables>

/** What is written of an answer. */
export type Settled = {
  state: Approval['state']
  by: string
  via: Approval['via']
  reason: string | null
  pattern: ApprovalPattern['kind'] | null
  at: number
}

/** Written out, for with a parameter SQLite can't tell that the index of pending ones covers it. */
const isPending = sql<boolean>`a.state = 'pending'`

/** Questions and their answers; the only SQL about them. */
export function createApprovalStore(database: Db) {
  const db = database.withTables<ApprovalTables>()
  const rows = () =>
    // A cross join, for SQLite keeps its order: otherwise it begins with all sessions of a handle.
    db.selectFrom('approvals as a').crossJoin('sessions as s').whereRef('s.sid', '=', 'a.sid')
      .leftJoin('turns as t', 't.id', 'a.turn_id').selectAll('a').select([
        's.id as session_id',
        's.title as session_title',
        's.origin',
        's.handle',
        't.caller',
      ])

  return {
    get: (id: string): Promise<ApprovalRow | undefined> => rows().where('a.id', '=', id).executeTakeFirst(),
    ofTurn: (turnId: string): Promise<ApprovalRow[]> =>
      rows().where('a.turn_id', '=', turnId).orderBy('a.id').execute(),
    pendingOf: (sid: number): Promise<ApprovalRow[]> =>
      rows().where('a.sid', '=', sid).where(isPending).orderBy('a.id').execute(),
    overdue: (now: number): Promise<ApprovalRow[]> =>
      rows().where(isPending).where('a.expires_at', '<=', now).limit(100).execute(),
    /** Newest first. */
    list(handle: string, of: {
      state: Approval['state'] | 'answered' | 'all'
      limit: number
      session_id?: string | undefined
      tool?: string | undefined
      before?: string | undefined
    }): Promise<ApprovalRow[]> {
      let query = rows().where('s.handle', '=', handle).orderBy('a.id', 'desc').limit(of.limit)
      if (of.state === 'answered') query = query.where('a.state', '!=', 'pending')
      else if (of.state === 'pending') query = query.where(isPending)
      else if (of.state !== 'all') query = query.where('a.state', '=', of.state)
      if (of.tool !== undefined) query = query.where('a.tool', '=', of.tool)
      if (of.session_id !== undefined) query = query.where('s.id', '=', of.session_id)
      if (of.before !== undefined) query = query.where('a.id', '<', of.before)
      return query.execute()
    },

    insert: (tx: Tx, of: {
      id: string
      turn: TurnRef
      call_id: string
      tool: string
      arguments: Record<string, unknown>
      reason: string
      patterns: ApprovalPattern[]
      created_at: number
      expires_at: number
    }) =>
      tx.insertInto('approvals').values({
        id: of.id,
        sid: of.turn.sid,
        turn_id: of.turn.turn_id,
        call_id: of.call_id,
        tool: of.tool,
        arguments: JSON.stringify(of.arguments),
        reason: of.reason,
        state: 'pending',
        decided_by: null,
        created_at: of.created_at,
        expires_at: of.expires_at,
        decided_at: null,
        via: null,
        decision_reason: null,
        pattern: null,
        patterns: JSON.stringify(of.patterns),
      }).execute(),

    /** The first answer wins. */
    async decide(tx: Tx, id: string, { state, by, via, reason, pattern, at }: Settled): Promise<boolean> {
      const result = await tx.updateTable('approvals')
        .set({ state, decided_by: by, via, decision_reason: reason, pattern, decided_at: at })
        .where('id', '=', id).where('state', '=', 'pending').executeTakeFirst()
      return result.numUpdatedRows > 0n
    },

    /** Puts a turn whose last question was answered back in its queue, where it is first. */
    resumeTurnWhenAnswered: (tx: Tx, turnId: string) =>
      tx.updateTable('turns').set({ state: 'queued' }).where('id', '=', turnId).where('state', '=', 'awaiting_approval')
        .where(({ not, exists, selectFrom }) =>
          not(exists(selectFrom('approvals').select('id').where('turn_id', '=', turnId).where('state', '=', 'pending')))
        ).execute(),
  }
}
