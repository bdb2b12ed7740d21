import * as v from 'valibot'
import type * as approvals from '../../shared/approvals.ts'
import type * as auth from '../../shared/auth.ts'
import type * as models from '../../shared/models.ts'
import type * as problems from '../../shared/problem.ts'
import type * as sessions from '../../shared/sessions.ts'
import type * as turns from '../../shared/turn-events.ts'
import { Attachment } from './attachment.ts'
import * as channelSchemas from './channel-schemas.ts'
import * as toolSchemas from './tool-schemas.ts'

/**
 * The main answers as schemas: what the document describes, and what the tests hold real answers against. The types in
 * `shared/` stay the source; `satisfies` keeps each schema within its type.
 */
type Of<T> = v.GenericSchema<T>

const text = v.string()
const nullableText = v.nullable(v.string())
const count = v.pipe(v.number(), v.integer())
const epochSeconds = v.pipe(v.number(), v.description('Epoch seconds'))
const rfc3339 = v.pipe(v.string(), v.isoTimestamp())
const anyObject = v.record(v.string(), v.unknown())

const Problem = v.object({
  type: text,
  title: text,
  status: count,
  detail: text,
  instance: v.optional(text),
  code: v.pipe(text, v.description('Stable; decide by it')),
  error: v.pipe(text, v.description('The same as detail')),
  requestId: text,
  retryable: v.boolean(),
  errors: v.optional(v.array(v.object({ pointer: text, message: text }))),
}) satisfies Of<problems.Problem>

const Author = v.object({
  kind: v.picklist(['human', 'agent']),
  handle: v.optional(text),
  display: v.optional(text),
}) satisfies Of<turns.Author>

const TurnInput = v.object({
  text,
  attachments: v.optional(v.array(Attachment)),
  author: v.optional(Author),
  source: v.optional(v.picklist(['user_typed', 'stt', 'system'])),
}) satisfies Of<turns.TurnInput>

const TurnState = v.picklist(['queued', 'running', 'awaiting_approval', 'completed', 'failed', 'interrupted'])

const Failure = v.object({ class: text, message: text })

const FailureClass = v.picklist([
  'auth',
  'rate_limited',
  'overloaded',
  'context_overflow',
  'network',
  'invalid',
  'limit',
  'internal',
])

const Turn = v.object({
  turn_id: text,
  session_id: text,
  state: TurnState,
  position: v.pipe(v.nullable(count), v.description('0 runs now, 1 is next; null once final')),
  input: TurnInput,
  created_at: epochSeconds,
  finished_at: v.nullable(epochSeconds),
  model: nullableText,
  text: nullableText,
  error: v.nullable(Failure),
}) satisfies Of<sessions.Turn>

const Session = v.object({
  session_id: text,
  client_id: nullableText,
  title: nullableText,
  model: nullableText,
  framework: nullableText,
  created_at: epochSeconds,
  created_at_iso: rfc3339,
  last_active_at: epochSeconds,
  last_active_at_iso: rfc3339,
  parent_session_id: nullableText,
  origin: v.picklist(['chat', 'delegation', 'scheduler', 'workflow', 'event']),
  pinned: v.boolean(),
  queue_policy: v.picklist(['fifo', 'merge', 'interrupt']),
  message_count: count,
  branched_from: v.nullable(v.object({ session_id: text, message_id: text })),
  _live: v.pipe(v.boolean(), v.description('Whether a turn is open right now')),
}) satisfies Of<sessions.Session>

const ToolInfo = v.object({
  tool_name: text,
  tool_call_id: text,
  tool_args: anyObject,
  tool_call_error: v.nullable(v.boolean()),
  result: nullableText,
  duration_ms: v.optional(v.number()),
}) satisfies Of<sessions.ToolInfo>

const RunMessage = v.object({
  id: text,
  role: v.picklist(['user', 'assistant', 'tool', 'compaction']),
  text,
  timestamp: epochSeconds,
  turn_id: text,
  toolInfo: v.optional(ToolInfo),
  reasoning: v.optional(text),
  compaction: v.optional(
    v.object({ phase: v.literal('done'), folded_messages: count, tokens_before: count, tokens_after: count }),
  ),
  attachments: v.optional(v.array(Attachment)),
  model: v.optional(text),
  author: v.optional(Author),
  state: v.optional(TurnState),
  error: v.optional(Failure),
  usage: v.optional(v.object({ input_tokens: count, output_tokens: count, cost_usd: v.nullable(v.number()) })),
}) satisfies Of<sessions.RunMessage>

const TokenUsage = v.object({
  input_tokens: count,
  output_tokens: count,
  cache_read_tokens: v.optional(count),
  cache_write_tokens: v.optional(count),
  reasoning_tokens: v.optional(count),
  estimated: v.optional(v.boolean()),
}) satisfies Of<turns.TokenUsage>

const ApprovalPattern = v.object({
  kind: v.picklist(['exact', 'tool']),
  text: v.pipe(text, v.description('What a standing yes would cover, in words')),
})
const decision = v.picklist(['allow_once', 'allow_session', 'allow_always', 'deny', 'expired', 'cancelled'])

/** Where an event stands in the log; offsets grow over the whole server and are never used twice. */
const place = {
  v: v.literal(1),
  offset: count,
  session_id: text,
  turn_id: text,
  at: v.pipe(v.number(), v.description('Epoch milliseconds')),
}

const TurnEvent = v.variant('type', [
  v.object({ ...place, type: v.literal('turn_queued'), input: TurnInput, position: count }),
  v.object({ ...place, type: v.literal('turn_started'), input: TurnInput, model: nullableText }),
  v.object({ ...place, type: v.literal('step'), index: count, model: text }),
  v.object({ ...place, type: v.literal('text'), delta: text }),
  v.object({ ...place, type: v.literal('reasoning'), delta: text }),
  v.object({ ...place, type: v.literal('tool_call'), call_id: text, name: text, arguments: anyObject }),
  v.object({
    ...place,
    type: v.literal('tool_progress'),
    call_id: text,
    progress: v.number(),
    total: v.optional(v.number()),
    message: v.optional(text),
  }),
  v.object({
    ...place,
    type: v.literal('tool_result'),
    call_id: text,
    name: text,
    ok: v.boolean(),
    result: text,
    duration_ms: v.number(),
  }),
  v.object({
    ...place,
    type: v.literal('approval'),
    patterns: v.optional(v.array(ApprovalPattern)),
    approval_id: text,
    call_id: text,
    name: text,
    arguments: anyObject,
    reason: text,
    expires_at: epochSeconds,
  }),
  v.object({
    ...place,
    type: v.literal('approval_decided'),
    approval_id: text,
    call_id: text,
    decision,
    by: text,
    reason: v.optional(text),
  }),
  v.object({
    ...place,
    type: v.literal('usage'),
    model: text,
    usage: TokenUsage,
    cost_usd: v.nullable(v.number()),
    source: v.pipe(v.optional(text), v.description('Who asked the model in the middle of a call: mcp:<server>')),
  }),
  v.object({
    ...place,
    type: v.literal('retry'),
    attempt: count,
    after_ms: v.number(),
    reason: text,
    class: FailureClass,
  }),
  v.object({
    ...place,
    type: v.literal('compaction'),
    phase: v.picklist(['running', 'done', 'error']),
    folded_messages: v.optional(count),
    tokens_before: v.optional(count),
    tokens_after: v.optional(count),
    summary: v.optional(text),
    error: v.optional(text),
  }),
  v.object({ ...place, type: v.literal('notice'), text }),
  v.object({
    ...place,
    type: v.literal('turn_finished'),
    state: v.picklist(['completed', 'failed', 'interrupted']),
    text,
    attachments: v.optional(v.array(Attachment)),
    model: nullableText,
    error: v.optional(v.object({ class: FailureClass, message: text })),
  }),
]) satisfies Of<turns.TurnEvent>

const Approval = v.object({
  id: text,
  session_id: text,
  session_title: nullableText,
  origin: v.pipe(text, v.description('What kind of conversation asks: chat, delegation…')),
  asked_for: v.pipe(text, v.description('Name of the one whose message the agent works on')),
  turn_id: text,
  call_id: text,
  tool: text,
  arguments: v.pipe(anyObject, v.description('Frozen when it was asked; what runs is exactly this')),
  reason: text,
  patterns: v.pipe(
    v.array(ApprovalPattern),
    v.description('What a standing yes may be for; the first unless the answer names another'),
  ),
  state: v.picklist(['pending', 'allow_once', 'allow_session', 'allow_always', 'deny', 'expired', 'cancelled']),
  decided_by: nullableText,
  via: v.nullable(v.picklist(['web', 'ws', 'rest', 'terminal', 'duragent', 'channel', 'mcp'])),
  decision_reason: v.pipe(nullableText, v.description('What the one who answered said of it')),
  pattern: v.pipe(v.nullable(ApprovalPattern.entries.kind), v.description('What the standing yes covers')),
  created_at: epochSeconds,
  expires_at: epochSeconds,
  decided_at: v.nullable(epochSeconds),
}) satisfies Of<approvals.Approval>

const Provider = v.object({
  id: count,
  name: text,
  framework: text,
  kind: v.picklist(['llm', 'tts', 'stt']),
  base_url: nullableText,
  enabled: v.boolean(),
  metadata: anyObject,
  created_at: epochSeconds,
  created_at_iso: rfc3339,
  updated_at: epochSeconds,
  updated_at_iso: rfc3339,
  api_key_display: v.pipe(text, v.description('Never the key: its last four characters, or a reference')),
}) satisfies Of<models.Provider>

const Model = v.object({
  id: count,
  provider_id: count,
  provider_name: text,
  framework: text,
  kind: v.picklist(['llm', 'tts', 'stt', 'embedding']),
  runtime_id: v.pipe(text, v.description('provider:model; selects it everywhere')),
  model: text,
  display_name: nullableText,
  tier_hint: nullableText,
  enabled: v.boolean(),
  is_classifier: v.pipe(v.boolean(), v.description('Whether it is the default model')),
  provider_enabled: v.boolean(),
  metadata: anyObject,
  created_at: epochSeconds,
  created_at_iso: rfc3339,
  updated_at: epochSeconds,
  updated_at_iso: rfc3339,
  input_cost_per_million: v.nullable(v.number()),
  output_cost_per_million: v.nullable(v.number()),
  context_window: count,
  window_source: v.picklist(['provider', 'openrouter', 'fallback']),
}) satisfies Of<models.Model>

const Scope = v.picklist(['read', 'chat', 'admin'])

const ApiKey = v.object({
  id: text,
  name: text,
  prefix: text,
  handle: text,
  scopes: v.array(Scope),
  created_at: epochSeconds,
  created_at_iso: rfc3339,
  expires_at: v.nullable(epochSeconds),
  expires_at_iso: v.nullable(rfc3339),
  last_used_at: v.nullable(epochSeconds),
  last_used_at_iso: v.nullable(rfc3339),
}) satisfies Of<auth.ApiKey>

const Me = v.object({
  id: text,
  kind: v.picklist(['user', 'key', 'channel', 'plugin', 'schedule']),
  name: text,
  handle: text,
  scopes: v.array(Scope),
  agent_name: text,
  version: text,
}) satisfies Of<auth.Me>

/** `components.schemas` of the document, by name. */
export const COMPONENTS = {
  Problem,
  Session,
  Turn,
  TurnInput,
  RunMessage,
  ToolInfo,
  TurnEvent,
  TokenUsage,
  Attachment,
  Author,
  Approval,
  Provider,
  Model,
  ApiKey,
  Me,
  ...toolSchemas,
  ...channelSchemas,
}
