import * as v from 'valibot'
import type { Attachment, Author, TurnInput, TurnState } from './turn-events.ts'

/** Client-chosen ids such as `tg:155490357`, `session-1732226400000`, `agent:client:8hex`; no slash, no control characters. */
export const SessionId = v.pipe(
  v.string(),
  v.minLength(1, 'must not be empty'),
  v.maxLength(200, 'must have at most 200 characters'),
  // deno-lint-ignore no-control-regex
  v.regex(/^[^\s/\\\x00-\x1f\x7f%?#]+$/, 'must not contain spaces, slashes, %, ? or #'),
  v.check((id) => id !== '.' && id !== '..', 'must not be a dot path'),
  v.check((id) => id !== 'search', 'must not be "search", which has an address of its own'),
)

export const QueuePolicy = v.picklist(['fifo', 'merge', 'interrupt'])
export type QueuePolicy = v.InferOutput<typeof QueuePolicy>

export const AttachmentInput = v.pipe(
  v.object({
    type: v.optional(v.picklist(['image', 'file', 'voice', 'video'])),
    kind: v.optional(v.picklist(['image', 'file', 'voice', 'video'])),
    path: v.pipe(v.string(), v.maxLength(4096)),
    filename: v.optional(v.pipe(v.string(), v.maxLength(255))),
    mime_type: v.optional(v.pipe(v.string(), v.maxLength(255))),
  }),
)
export type AttachmentInput = v.InferOutput<typeof AttachmentInput>

export const AuthorInput = v.object({
  kind: v.picklist(['human', 'agent']),
  handle: v.optional(v.pipe(v.string(), v.maxLength(200))),
  display: v.optional(v.pipe(v.string(), v.maxLength(200))),
})

/** Characters of one message: more than any model reads; larger things are attachments. */
export const MAX_TEXT = 1_048_576
/** Files of one message. */
export const MAX_ATTACHMENTS = 32

export const TurnText = v.pipe(
  v.string(),
  v.maxLength(MAX_TEXT, 'is longer than 1,048,576 characters; attach it as a file'),
)

/** `provider:model` for one message; the session's own, or the default, answers when left out. */
export const ModelName = v.optional(v.pipe(v.string(), v.maxLength(300)))

export const SendMessageInput = v.object({
  text: TurnText,
  attachments: v.optional(v.pipe(v.array(AttachmentInput), v.maxLength(MAX_ATTACHMENTS))),
  author: v.optional(AuthorInput),
  model: ModelName,
})
export type SendMessageInput = v.InferOutput<typeof SendMessageInput>

export const CreateSessionInput = v.object({
  session_id: v.optional(SessionId),
  title: v.optional(v.pipe(v.string(), v.minLength(1), v.maxLength(200))),
  model: v.optional(v.nullable(v.pipe(v.string(), v.maxLength(300)))),
  queue_policy: v.optional(QueuePolicy),
})
export type CreateSessionInput = v.InferOutput<typeof CreateSessionInput>

export const UpdateSessionInput = v.object({
  title: v.optional(
    v.pipe(v.string(), v.minLength(1, 'must not be empty'), v.maxLength(200, 'must have at most 200 characters')),
  ),
  /** `provider:model`; null returns to the default. */
  model: v.optional(v.nullable(v.pipe(v.string(), v.maxLength(300)))),
  pinned: v.optional(v.boolean()),
  queue_policy: v.optional(QueuePolicy),
})
export type UpdateSessionInput = v.InferOutput<typeof UpdateSessionInput>

/** One row of the session list; OpenAgent's fields (spec openagent-api §2.8) and ours. */
export type Session = {
  session_id: string
  client_id: string | null
  title: string | null
  model: string | null
  framework: string | null
  created_at: number
  created_at_iso: string
  last_active_at: number
  last_active_at_iso: string
  parent_session_id: string | null
  origin: 'chat' | 'delegation' | 'scheduler' | 'workflow' | 'event'
  pinned: boolean
  queue_policy: QueuePolicy
  message_count: number
  /** Where an edited message was taken from, when this session is a branch. */
  branched_from: { session_id: string; message_id: string } | null
  /** Whether a turn is open right now. */
  _live: boolean
}

export type ToolInfo = {
  tool_name: string
  tool_call_id: string
  tool_args: Record<string, unknown>
  tool_call_error: boolean | null
  result: string | null
}

/** One entry of a transcript (spec openagent-api §2.8 `RunMessage`, and ours: `turn_id`, `state`, `reasoning`, `error`). */
export type RunMessage = {
  id: string
  role: 'user' | 'assistant' | 'tool' | 'compaction'
  text: string
  /** Epoch seconds. */
  timestamp: number
  turn_id: string
  toolInfo?: ToolInfo & { duration_ms?: number }
  reasoning?: string
  compaction?: { phase: 'done'; folded_messages: number; tokens_before: number; tokens_after: number }
  attachments?: Attachment[]
  model?: string
  author?: Author
  /** How the turn ended, on its last message. */
  state?: TurnState
  error?: { class: string; message: string }
  /** Of the whole turn, on its last message. */
  usage?: { input_tokens: number; output_tokens: number; cost_usd: number | null }
}

/** A turn as REST answers it. */
export type Turn = {
  turn_id: string
  session_id: string
  state: TurnState
  /** 0 = running now, 1 = next, …; null once final. */
  position: number | null
  input: TurnInput
  created_at: number
  finished_at: number | null
  model: string | null
  text: string | null
  error: { class: string; message: string } | null
}

/** What fills the model's window (spec openagent-api §2.8 `SessionContext`). */
export type SessionContext = {
  session_id: string
  model?: string
  model_label?: string
  context_window: number
  window_source?: 'openrouter' | 'provider' | 'fallback'
  used_tokens?: number
  free_tokens?: number
  used_pct?: number
  measured_input_tokens?: number
  sections: { key: 'system' | 'tools' | 'messages' | 'summary' | 'free'; label: string; tokens: number; pct: number }[]
  cost_usd?: number | null
  total_input_tokens?: number
  total_output_tokens?: number
  cache_read_tokens?: number
  reasoning_tokens?: number
  pricing_available?: boolean
  turns?: number
}
