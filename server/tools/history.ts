import { sql } from 'kysely'
import type { ToolCall } from '../../shared/tools.ts'
import type { Db } from '../db/open.ts'
import { briefly } from './gate.ts'

type HistoryTables = {
  messages: { mid: number; sid: number; turn_id: string; role: string; data: string | null; at: number }
  sessions: { sid: number; id: string; handle: string; title: string | null; origin: string }
}

/** As a message of the role `tool` keeps it. */
type Kept = {
  tool?: {
    tool_name: string
    tool_call_id: string
    tool_args: Record<string, unknown> | null
    tool_call_error: boolean
    duration_ms?: number
  }
}

/** A call that was made, from the transcript. `at` is epoch milliseconds. */
export type PastCall = {
  tool: string
  arguments: Record<string, unknown>
  session: { sid: number; id: string; origin: string }
  at: number
}

export type LastCalls = { count: number; last_at: number; ok: boolean }
export type ToolHistory = ReturnType<typeof createToolHistory>

/** Looks back this far when it counts. */
const RECENT = 5000

/** The calls in the log, for back-tests and for the list of tools. */
export function createToolHistory(database: Db) {
  const db = database.withTables<HistoryTables>()

  return {
    /** Newest first. */
    async calls(handle: string, since: number, limit: number): Promise<PastCall[]> {
      const rows = await db.selectFrom('messages as m').innerJoin('sessions as s', 's.sid', 'm.sid')
        .select(['m.data', 'm.at', 's.sid', 's.id', 's.origin']).where('m.role', '=', 'tool')
        .where('s.handle', '=', handle).where('m.at', '>=', since).orderBy('m.mid', 'desc').limit(limit).execute()
      return rows.flatMap(({ data, at, sid, id, origin }) => {
        const { tool } = JSON.parse(data ?? '{}') as Kept
        return tool ? [{ tool: tool.tool_name, arguments: tool.tool_args ?? {}, session: { sid, id, origin }, at }] : []
      })
    },

    /** The last calls to one tool, newest first. */
    async callsOf(handle: string, name: string, limit: number): Promise<ToolCall[]> {
      const recent = db.selectFrom('messages as m').innerJoin('sessions as s', 's.sid', 'm.sid')
        .select(['m.mid', 'm.data', 'm.at', 'm.turn_id', 's.id as session_id', 's.title as session_title'])
        .where('m.role', '=', 'tool').where('s.handle', '=', handle).orderBy('m.mid', 'desc').limit(RECENT)
      const rows = await db.selectFrom(recent.as('r')).selectAll()
        .where(sql<string>`json_extract(data, '$.tool.tool_name')`, '=', name).orderBy('mid', 'desc').limit(limit)
        .execute()
      return rows.flatMap(({ data, at, turn_id, session_id, session_title }) => {
        const { tool } = JSON.parse(data ?? '{}') as Kept
        if (!tool) return []
        return [{
          session_id,
          session_title,
          turn_id,
          call_id: tool.tool_call_id,
          arguments: briefly(tool.tool_args ?? {}).arguments,
          ok: !tool.tool_call_error,
          duration_ms: tool.duration_ms ?? null,
          at: at / 1000,
        }]
      })
    },

    /** By tool: how many of the handle's last calls were to it, and how the last one ended. */
    async lastCalls(handle: string): Promise<Map<string, LastCalls>> {
      const recent = db.selectFrom('messages as m').innerJoin('sessions as s', 's.sid', 'm.sid')
        .select([
          'm.mid',
          'm.at',
          sql<string>`json_extract(m.data, '$.tool.tool_name')`.as('name'),
          sql<number>`json_extract(m.data, '$.tool.tool_call_error')`.as('error'),
        ]).where('m.role', '=', 'tool').where('s.handle', '=', handle).orderBy('m.mid', 'desc').limit(RECENT)
      const rows = await db.selectFrom(recent.as('r')).select([
        'name',
        // Of the row with the largest mid: SQLite takes the other columns from there.
        'error',
        sql<number>`max(mid)`.as('newest'),
        'at',
        sql<number>`count(*)`.as('count'),
      ]).groupBy('name').execute()
      return new Map(rows.map((row) => [row.name, { count: row.count, last_at: row.at, ok: !row.error }]))
    },
  }
}
