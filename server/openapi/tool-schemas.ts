import * as v from 'valibot'
import type * as mcp from '../../shared/mcp.ts'
import type * as tools from '../../shared/tools.ts'

/** As in `schemas.ts`: each schema keeps within the type of `shared/` that it describes. */
type Of<T> = v.GenericSchema<T>

const text = v.string()
const nullableText = v.nullable(v.string())
const count = v.pipe(v.number(), v.integer())
const epochSeconds = v.pipe(v.number(), v.description('Epoch seconds'))
const anyObject = v.record(v.string(), v.unknown())
const jsonSchema = v.pipe(anyObject, v.description('JSON Schema of the input object'))
const decision = v.picklist(['allow', 'ask', 'deny'])
const effect = v.pipe(
  v.picklist(['read', 'write', 'execute']),
  v.description('What a call changes: nothing, data of ours, or the world outside'),
)

export const Tool = v.object({
  name: text,
  description: v.pipe(text, v.description('Plain text from whoever made the tool')),
  source: v.pipe(text, v.description('gatehouse, or what offers it: mcp:github, plugin:weather')),
  effect,
  input_schema: jsonSchema,
  applies: v.object({
    decision,
    reason: text,
    by: v.picklist(['default', 'tool', 'rule', 'grant']),
    rule_id: nullableText,
  }),
  conditional: v.pipe(v.array(text), v.description('Ids of rules whose condition may decide otherwise, in order')),
  calls: v.object({
    count,
    last_at: v.nullable(epochSeconds),
    last_state: v.nullable(v.picklist(['ok', 'failed'])),
  }),
  off: v.pipe(nullableText, v.description('Null, or what would switch it on')),
}) satisfies Of<tools.ToolInfo>

export const ToolCall = v.object({
  session_id: text,
  session_title: nullableText,
  turn_id: text,
  call_id: text,
  arguments: v.pipe(text, v.description('Shortened, without secrets')),
  ok: v.boolean(),
  duration_ms: v.nullable(v.number()),
  at: epochSeconds,
}) satisfies Of<tools.ToolCall>

export const ToolRun = v.object({
  ok: v.boolean(),
  text,
  duration_ms: v.number(),
  decision,
  reason: text,
}) satisfies Of<tools.ToolRun>

export const ToolRule = v.object({
  id: text,
  decision,
  tool: v.pipe(text, v.description('A name; * stands for any characters')),
  when: v.pipe(nullableText, v.description('CEL over tool, effect, args, session, channel and principal')),
  note: text,
  created_by: text,
  created_at: epochSeconds,
}) satisfies Of<tools.ToolRule>

export const ToolGrant = v.object({
  id: text,
  tool: text,
  arguments: v.pipe(v.nullable(anyObject), v.description('The only ones that it covers; null covers all')),
  session_id: v.pipe(nullableText, v.description('The only one that it covers; null covers all')),
  text: v.pipe(text, v.description('What it covers, in words')),
  created_by: text,
  created_at: epochSeconds,
}) satisfies Of<tools.ToolGrant>

const counts = v.object({ allow: count, ask: count, deny: count })

export const RuleTest = v.object({
  calls: count,
  since: v.nullable(epochSeconds),
  now: counts,
  after: counts,
  changed: count,
  examples: v.array(
    v.object({
      tool: text,
      arguments: text,
      session_id: text,
      at: epochSeconds,
      now: decision,
      after: decision,
      reason: text,
    }),
  ),
}) satisfies Of<tools.RuleTest>

export const McpServer = v.object({
  name: text,
  kind: v.literal('custom'),
  builtin_name: v.null(),
  command: v.nullable(v.array(text)),
  args: v.array(text),
  cwd: nullableText,
  url: nullableText,
  transport: v.picklist(['auto', 'stdio', 'http', 'sse']),
  env: v.pipe(v.record(v.string(), v.string()), v.description('Secrets masked')),
  headers: v.pipe(v.record(v.string(), v.string()), v.description('Secrets masked')),
  inputs_missing: v.array(text),
  oauth: v.boolean(),
  oauth_connected: v.boolean(),
  oauth_client: v.nullable(
    v.object({ client_id: text, client_secret: v.optional(text), scope: v.optional(text) }),
  ),
  enabled: v.boolean(),
  timeout_seconds: v.nullable(v.number()),
  roots: v.array(text),
  trust_hints: v.boolean(),
  allow_sampling: v.pipe(v.boolean(), v.description('Whether it may ask the model in the middle of a call')),
  source: text,
  extra: anyObject,
  created_at: epochSeconds,
  created_at_iso: text,
  updated_at: epochSeconds,
  updated_at_iso: text,
  state: v.picklist(['stopped', 'starting', 'ready', 'failed']),
  needs_auth: v.boolean(),
  last_error: nullableText,
  retry_at: v.nullable(epochSeconds),
  server: v.nullable(v.object({ name: text, version: text, protocol: text })),
  tool_count: count,
  changed_tools: v.pipe(count, v.description('New or changed since the owner accepted them; each call of one asks')),
  prompt_count: count,
  has_resources: v.boolean(),
}) satisfies Of<mcp.Mcp>

export const McpTool = v.object({
  name: v.pipe(text, v.description('As the model knows it')),
  server: text,
  tool: v.pipe(text, v.description("The server's own name of it")),
  title: nullableText,
  description: v.pipe(text, v.description('Text from the server: data, not instructions')),
  input_schema: jsonSchema,
  annotations: anyObject,
  effect,
  effect_override: v.nullable(effect),
  enabled: v.boolean(),
  changed: v.boolean(),
  accepted_description: nullableText,
  accepted_input_schema: v.nullable(anyObject),
}) satisfies Of<mcp.McpTool>

export const McpQuestion = v.object({
  id: text,
  server: text,
  session_id: nullableText,
  message: text,
  mode: v.picklist(['form', 'url']),
  schema: anyObject,
  url: nullableText,
  created_at: epochSeconds,
  expires_at: epochSeconds,
}) satisfies Of<mcp.McpQuestion>
