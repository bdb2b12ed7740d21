import { sql, type Transaction } from 'kysely'
import type { ToolDecision } from '../../shared/tools.ts'
import type { Db } from '../db/open.ts'

type RuleTables = {
  tool_rules: {
    id: string
    handle: string
    kind: 'rule' | 'grant'
    position: number
    decision: ToolDecision
    tool: string
    condition: string | null
    arguments: string | null
    sid: number | null
    note: string
    created_by: string
    created_at: number
  }
  sessions: { sid: number; id: string; handle: string }
}

/** Times are epoch milliseconds. */
export type RuleRow = RuleTables['tool_rules'] & { session_id: string | null }
export type NewGrant = Pick<
  RuleRow,
  'id' | 'handle' | 'tool' | 'arguments' | 'sid' | 'created_by' | 'created_at'
>
export type RuleStore = ReturnType<typeof createRuleStore>

/** Rules and standing answers; the only SQL about them. */
export function createRuleStore(database: Db) {
  const db = database.withTables<RuleTables>()

  return {
    /** Rules in their order, then grants, newest first; grants for a session only where `sid` is that one. */
    async of(handle: string, sid?: number): Promise<RuleRow[]> {
      const query = db.selectFrom('tool_rules as r').leftJoin('sessions as s', 's.sid', 'r.sid').selectAll('r')
        .select('s.id as session_id').where('r.handle', '=', handle)
      const narrow = sid === undefined ? query : query.where(sql<boolean>`(r.sid is null or r.sid = ${sid})`)
      const rows = await narrow.orderBy('r.kind', 'desc').orderBy('r.position').orderBy('r.created_at', 'desc')
        .execute()
      return rows
    },

    /** Puts these rules in the place of all rules of the handle; `check` sees the old ones and may throw. */
    replace: (handle: string, rows: Omit<RuleRow, 'session_id'>[], check: (now: RuleRow[]) => void): Promise<void> =>
      db.transaction().execute(async (tx) => {
        const now = await tx.selectFrom('tool_rules').selectAll().where('handle', '=', handle)
          .where('kind', '=', 'rule').orderBy('position').execute()
        check(now.map((row) => ({ ...row, session_id: null })))
        await tx.deleteFrom('tool_rules').where('handle', '=', handle).where('kind', '=', 'rule').execute()
        if (rows.length > 0) await tx.insertInto('tool_rules').values(rows).execute()
      }),

    /** The removed row. */
    remove: (handle: string, id: string) =>
      db.deleteFrom('tool_rules').where('handle', '=', handle).where('id', '=', id).returningAll().executeTakeFirst(),

    /** A standing yes, in the transaction of the answer that gave it. */
    async grant(transaction: object, grant: NewGrant): Promise<void> {
      const row = {
        ...grant,
        kind: 'grant' as const,
        position: 0,
        decision: 'allow' as const,
        condition: null,
        note: '',
      }
      await (transaction as Transaction<RuleTables>).insertInto('tool_rules').orIgnore().values(row).execute()
    },
  }
}
