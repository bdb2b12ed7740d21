import { CompiledQuery, type Transaction } from 'kysely'
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

/**
 * Asked before each call of a tool, hence written out. It has no `order by`: a read that the database sorts runs in
 * another thread, which costs more than all the rest of it.
 */
const OF = `select r.*, s.id as session_id from tool_rules r left join sessions s on s.sid = r.sid
  where r.handle = ? and (? is null or r.sid is null or r.sid = ?)`

/** Rules by their place, then grants, newest first. */
const inOrder = (a: RuleRow, b: RuleRow): number => {
  if (a.kind !== b.kind) return a.kind === 'rule' ? -1 : 1
  return a.position - b.position || b.created_at - a.created_at
}

/** Rules and standing answers; the only SQL about them. */
export function createRuleStore(database: Db) {
  const db = database.withTables<RuleTables>()

  return {
    /** Rules in their order, then grants, newest first; grants for a session only where `sid` is that one. */
    async of(handle: string, sid?: number): Promise<RuleRow[]> {
      const { rows } = await db.executeQuery<RuleRow>(CompiledQuery.raw(OF, [handle, sid, sid]))
      return [...rows].sort(inOrder)
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

    /** Takes back what was allowed of these tools, whoever allowed it. */
    revoke: (tools: readonly string[]) =>
      db.deleteFrom('tool_rules').where('kind', '=', 'grant').where('tool', 'in', tools).returningAll().execute(),

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
