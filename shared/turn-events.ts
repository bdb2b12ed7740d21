/** States of a turn (design §1). `queued`, `running` and `awaiting_approval` are open, the others final. */
export type TurnState = 'queued' | 'running' | 'awaiting_approval' | 'completed' | 'failed' | 'interrupted'

export const isFinal = (state: TurnState): boolean =>
  state === 'completed' || state === 'failed' || state === 'interrupted'

/** A file that belongs to a turn; `path` is absolute on the server and inside the home (spec openagent-api §1.2). */
export type Attachment = {
  type: 'image' | 'file' | 'voice' | 'video'
  path: string
  filename: string
  mime_type?: string
  /** Bytes. */
  size?: number
}

export type Author = { kind: 'human' | 'agent'; handle?: string; display?: string }

/** What one turn was asked. */
export type TurnInput = {
  text: string
  attachments?: Attachment[]
  author?: Author
  source?: 'user_typed' | 'stt' | 'system'
}

/** Tokens of one model call as the provider counted them; `estimated` when the stream was cut before it said. */
export type TokenUsage = {
  input_tokens: number
  output_tokens: number
  cache_read_tokens?: number
  cache_write_tokens?: number
  reasoning_tokens?: number
  estimated?: boolean
}

/** How far a tool call is; `progress` only grows. */
export type ToolProgress = { progress: number; total?: number; message?: string }

/** Why a model call or a turn failed; retry and fail-over follow from it (design §7). */
export type FailureClass =
  | 'auth'
  | 'rate_limited'
  | 'overloaded'
  | 'context_overflow'
  | 'network'
  | 'invalid'
  | 'limit'
  | 'internal'

/**
 * One immutable record of a turn, as readers get it.
 *
 * A turn is `turn_queued`, then `turn_started`, then any mix of the others, then exactly one `turn_finished`.
 * `text` and `reasoning` are deltas: concatenated in order of offset they are the whole text of that step.
 * A `step` separates model calls: text before a tool call belongs to the step before it.
 */
export type TurnEventBody =
  | { type: 'turn_queued'; input: TurnInput; position: number }
  | { type: 'turn_started'; input: TurnInput; model: string | null }
  | { type: 'step'; index: number; model: string }
  | { type: 'text'; delta: string }
  | { type: 'reasoning'; delta: string }
  | { type: 'tool_call'; call_id: string; name: string; arguments: Record<string, unknown> }
  /** Now and then while a call runs; of those of one call only the newest counts, and a result ends them. */
  | ({ type: 'tool_progress'; call_id: string } & ToolProgress)
  | { type: 'tool_result'; call_id: string; name: string; ok: boolean; result: string; duration_ms: number }
  | {
    type: 'approval'
    approval_id: string
    call_id: string
    name: string
    arguments: Record<string, unknown>
    reason: string
    /** What a standing yes would cover; the first unless the answer names another. */
    patterns?: { kind: 'exact' | 'tool'; text: string }[]
    /** Epoch seconds. */
    expires_at: number
  }
  | {
    type: 'approval_decided'
    approval_id: string
    call_id: string
    decision: 'allow_once' | 'allow_session' | 'allow_always' | 'deny' | 'expired' | 'cancelled'
    by: string
    /** What the one who answered said of it. */
    reason?: string
  }
  /** `cut`: the model call ended before its answer was whole. `source`: who asked, where it was not the turn itself. */
  | { type: 'usage'; model: string; usage: TokenUsage; cost_usd: number | null; source?: string; cut?: true }
  | { type: 'retry'; attempt: number; after_ms: number; reason: string; class: FailureClass }
  | {
    type: 'compaction'
    phase: 'running' | 'done' | 'error'
    folded_messages?: number
    tokens_before?: number
    tokens_after?: number
    summary?: string
    error?: string
  }
  | { type: 'notice'; text: string }
  | {
    type: 'turn_finished'
    state: 'completed' | 'failed' | 'interrupted'
    /** The final text with reply markers removed. */
    text: string
    attachments?: Attachment[]
    model: string | null
    error?: { class: FailureClass; message: string }
  }

/** A turn event with its place in the log; `offset` grows over the whole server and is never used twice. */
export type TurnEvent = TurnEventBody & {
  v: 1
  offset: number
  session_id: string
  turn_id: string
  /** Epoch milliseconds. */
  at: number
}
