import type { Generated } from 'kysely'
import type { TurnState } from '../../shared/turn-events.ts'

/** Rows of `0002-sessions.sql`; they stay inside the stores. Times are epoch milliseconds. */
export type SessionTables = {
  sessions: {
    sid: Generated<number>
    handle: string
    id: string
    title: string | null
    title_by_user: Generated<number>
    model: string | null
    queue_policy: string | null
    pinned: Generated<number>
    origin: Generated<string>
    parent_sid: number | null
    client_id: string | null
    agent: string | null
    branched_from_session: string | null
    branched_from_message: string | null
    message_count: Generated<number>
    visible_from: Generated<number>
    history_from: Generated<number>
    summary: string | null
    system_prompt: string | null
    created_at: number
    last_active_at: number
  }
  turns: {
    tid: Generated<number>
    id: string
    sid: number
    state: TurnState
    ord: number
    not_before: Generated<number>
    input: string
    model: string | null
    used_model: string | null
    text: string | null
    error: string | null
    caller: string
    created_at: number
    started_at: number | null
    finished_at: number | null
  }
  message_keys: { sid: number; key: string; hash: string; turn_id: string }
  messages: {
    mid: Generated<number>
    sid: number
    turn_id: string
    role: 'user' | 'assistant' | 'tool' | 'compaction'
    step: Generated<number>
    text: string
    data: string | null
    hidden: Generated<number>
    at: number
  }
  messages_fts: { rowid: number; text: string; messages_fts: string }
  model_calls: {
    id: Generated<number>
    sid: number
    turn_id: string
    model: string
    input_tokens: number
    output_tokens: number
    cache_read_tokens: number
    reasoning_tokens: number
    estimated: number
    cost_usd: number | null
    source: Generated<string>
    at: number
  }
}
