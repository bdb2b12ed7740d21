import * as v from 'valibot'

/** What a call of an MCP tool changes, as the owner sees it; decides what the gate asks. */
export const McpEffect = v.picklist(['read', 'write', 'execute'], 'must be read, write or execute')

/** `auto` tries streamable HTTP first, then SSE. */
export const McpTransport = v.picklist(
  ['stdio', 'http', 'sse', 'auto'],
  'must be stdio, http, sse or auto',
)
export type McpTransport = v.InferOutput<typeof McpTransport>

/** The name becomes part of a path and of tool names. */
export const McpName = v.pipe(
  v.string('must be text'),
  v.trim(),
  v.regex(
    /^[A-Za-z0-9][A-Za-z0-9 ._@-]{0,63}$/,
    'must begin with a letter or digit and have at most 64 letters, digits, spaces or . _ @ -',
  ),
)

const line = (max: number) =>
  v.pipe(
    v.string('must be text'),
    v.maxLength(max, `must have at most ${max} characters`),
    v.check((value) => !value.includes('\0'), 'must not contain a NUL character'),
  )

const Command = v.pipe(
  v.union([line(4096), v.array(line(4096))], 'must be text, or a list of text'),
  v.transform((value) => typeof value === 'string' ? (value.trim() === '' ? [] : [value.trim()]) : value),
  v.maxLength(100, 'has more than 100 parts'),
)

const Args = v.pipe(v.array(line(32_768), 'must be a list of text'), v.maxLength(500, 'has more than 500 parts'))

const Variables = v.pipe(
  v.record(
    v.pipe(v.string(), v.regex(/^[A-Za-z_][A-Za-z0-9_.-]*$/, 'must be the name of a variable, such as API_KEY')),
    v.pipe(v.union([line(32_768), v.number(), v.boolean()], 'must be text'), v.transform(String)),
    'must be a group of names and values',
  ),
  v.check((value) => Object.keys(value).length <= 200, 'has more than 200 entries'),
)

const Headers = v.pipe(
  v.record(
    v.pipe(v.string(), v.regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/, 'must be the name of a header')),
    v.pipe(line(32_768), v.check((value) => !/[\r\n]/.test(value), 'must be one line')),
    'must be a group of names and values',
  ),
  v.check((value) => Object.keys(value).length <= 100, 'has more than 100 entries'),
)

const fields = {
  command: v.optional(v.nullable(Command)),
  args: v.optional(Args),
  cwd: v.optional(v.nullable(line(4096))),
  url: v.optional(v.nullable(line(4096))),
  transport: v.optional(McpTransport),
  env: v.optional(Variables),
  headers: v.optional(Headers),
  /** Answers to `${input:id}`; kept like secrets. */
  inputs: v.optional(v.record(v.string(), line(32_768), 'must be a group of names and values')),
  oauth: v.optional(v.boolean('must be true or false')),
  /** For servers without dynamic registration; the secret is kept sealed. */
  oauth_client: v.optional(
    v.nullable(
      v.object({ client_id: line(2048), client_secret: v.optional(line(4096)), scope: v.optional(line(2048)) }),
    ),
  ),
  enabled: v.optional(v.boolean('must be true or false')),
  /** Seconds that one call may take; the configuration's when null. */
  timeout_seconds: v.optional(
    v.nullable(
      v.pipe(v.number('must be a number'), v.minValue(1, 'must be at least 1'), v.maxValue(86_400, 'is too long')),
    ),
  ),
  /** Folders that the server may be told of; none are unless named here. */
  roots: v.optional(v.pipe(v.array(line(4096), 'must be a list of text'), v.maxLength(50, 'has more than 50 parts'))),
  /** Believes what the server says of its tools: those that it calls read-only run without a question. */
  trust_hints: v.optional(v.boolean('must be true or false')),
  /** Lets the server ask our models. */
  allow_sampling: v.optional(v.boolean('must be true or false')),
  source: v.optional(line(400)),
  /** Fields of other programs' files that mean nothing here; kept for export. */
  extra: v.optional(v.record(v.string(), v.unknown(), 'must be a group of settings')),
}

export const CreateMcpInput = v.object({
  name: McpName,
  kind: v.optional(v.picklist(['custom', 'builtin', 'default'], 'must be custom')),
  ...fields,
})
export type CreateMcpInput = v.InferOutput<typeof CreateMcpInput>

/** A merge; values that equal what was shown of a secret stay as they are. */
export const UpdateMcpInput = v.object(fields)
export type UpdateMcpInput = v.InferOutput<typeof UpdateMcpInput>

/** One switch of a tool, or the owner's word on what it does; `accept` takes a changed description. */
export const UpdateMcpToolInput = v.object({
  enabled: v.optional(v.boolean('must be true or false')),
  effect: v.optional(v.nullable(McpEffect)),
  accept: v.optional(v.literal(true, 'must be true')),
})
export type UpdateMcpToolInput = v.InferOutput<typeof UpdateMcpToolInput>

export type McpState = 'stopped' | 'starting' | 'ready' | 'failed'

/** A configured server as it is shown: secrets masked, references as they were written. Times are epoch seconds. */
export type Mcp = {
  name: string
  kind: 'custom'
  builtin_name: null
  command: string[] | null
  args: string[]
  cwd: string | null
  url: string | null
  transport: McpTransport
  env: Record<string, string>
  headers: Record<string, string>
  /** Ids of `${input:id}` that have no answer yet. */
  inputs_missing: string[]
  oauth: boolean
  /** Whether a token is kept. */
  oauth_connected: boolean
  oauth_client: { client_id: string; client_secret?: string; scope?: string } | null
  enabled: boolean
  timeout_seconds: number | null
  roots: string[]
  trust_hints: boolean
  allow_sampling: boolean
  source: string
  extra: Record<string, unknown>
  created_at: number
  created_at_iso: string
  updated_at: number
  updated_at_iso: string
  state: McpState
  /** The server wants a sign-in: `POST /api/mcps/{name}/oauth/start`. */
  needs_auth: boolean
  last_error: string | null
  /** Epoch seconds from which a failed server is tried again. */
  retry_at: number | null
  /** What the server said of itself when it was last connected. */
  server: { name: string; version: string; protocol: string } | null
  tool_count: number
  /** Tools whose description or schema changed, or that are new, since the owner accepted them. */
  changed_tools: number
  /** As it was when the server was last connected. */
  prompt_count: number
  has_resources: boolean
}

/** A prompt of a server, as it was when the server was last connected. */
export type McpPrompt = {
  server: string
  name: string
  title: string | null
  description: string
  arguments: { name: string; description: string; required: boolean }[]
}

/** One tool of a server. */
export type McpTool = {
  /** As the model knows it: `<server>_<tool>`. */
  name: string
  server: string
  /** The server's own name of it. */
  tool: string
  title: string | null
  description: string
  input_schema: Record<string, unknown>
  annotations: Record<string, unknown>
  effect: v.InferOutput<typeof McpEffect>
  /** The owner's word, when he gave one. */
  effect_override: v.InferOutput<typeof McpEffect> | null
  enabled: boolean
  /** Changed since it was accepted: each call asks until it is accepted again. */
  changed: boolean
  /** What was accepted, where it differs. */
  accepted_description: string | null
  accepted_input_schema: Record<string, unknown> | null
}

export const ImportMcpInput = v.object({
  text: v.pipe(v.string('must be text'), v.minLength(1, 'must not be empty'), v.maxLength(1_048_576, 'is too long')),
  dry_run: v.optional(v.boolean('must be true or false'), false),
  /** For a single server without a name. */
  name: v.optional(McpName),
  inputs: v.optional(v.record(v.string(), line(32_768))),
})
export type ImportMcpInput = v.InferOutput<typeof ImportMcpInput>

/** What an import would add, or added. */
export type McpImport = {
  added: Mcp[]
  skipped: { name: string; reason: string }[]
  /** `${input:id}` without an answer. */
  inputs: { id: string; description: string; secret: boolean }[]
  /** What was left out on purpose, such as approval lists. */
  notes: string[]
}

export const MarketplaceSearchQuery = v.object({
  q: v.optional(line(200)),
  cursor: v.optional(line(1000)),
  limit: v.optional(
    v.pipe(
      v.string(),
      v.transform(Number),
      v.integer('must be a whole number'),
      v.minValue(1, 'must be at least 1'),
      v.maxValue(100, 'must be at most 100'),
    ),
    '30',
  ),
})
export type MarketplaceSearchQuery = v.InferOutput<typeof MarketplaceSearchQuery>

export const MarketplaceServerQuery = v.object({
  name: v.pipe(line(300), v.minLength(1, 'must not be empty')),
  version: v.optional(line(100), 'latest'),
})

export const InstallMcpInput = v.object({
  name: v.pipe(line(300), v.minLength(1, 'must not be empty')),
  version: v.optional(line(100)),
  choice: v.object({
    kind: v.picklist(['package', 'remote'], 'must be package or remote'),
    index: v.pipe(
      v.number('must be a number'),
      v.integer('must be a whole number'),
      v.minValue(0, 'must not be negative'),
    ),
  }),
  install_name: v.optional(McpName),
  env: v.optional(Variables),
  headers: v.optional(Headers),
  placeholders: v.optional(v.record(v.string(), line(32_768))),
  /** Only shows what would be added. */
  dry_run: v.optional(v.boolean('must be true or false'), false),
})
export type InstallMcpInput = v.InferOutput<typeof InstallMcpInput>

export const FinishOAuthInput = v.object({
  /** The whole address that the browser was sent back to, or just its `code`. */
  code: v.pipe(line(8192), v.minLength(1, 'must not be empty')),
})

/** What a server asks of a person in the middle of a call: to fill in a form, or to visit a page of its own. */
export type McpQuestion = {
  id: string
  server: string
  session_id: string | null
  message: string
  mode: 'form' | 'url'
  /** JSON Schema of a flat object; empty in the mode `url`. */
  schema: Record<string, unknown>
  /** Where the person is sent; only http and https. Null in the mode `form`. */
  url: string | null
  created_at: number
  expires_at: number
}

export const AnswerQuestionInput = v.object({
  action: v.picklist(['accept', 'decline', 'cancel'], 'must be accept, decline or cancel'),
  content: v.optional(
    v.record(
      v.string(),
      v.union([v.string(), v.number(), v.boolean(), v.array(v.string())], 'must be text, a number or a yes or no'),
    ),
  ),
})
export type AnswerQuestionInput = v.InferOutput<typeof AnswerQuestionInput>

export const ReadMcpResourceQuery = v.object({ uri: v.pipe(line(4096), v.minLength(1, 'must not be empty')) })

/** What is typed so far of one argument of a prompt, or of one part of a resource template. */
export const CompleteMcpInput = v.object({
  prompt: v.optional(line(1000)),
  template: v.optional(line(4096)),
  argument: v.object({ name: line(1000), value: line(4096) }),
  /** The other arguments as they stand. */
  arguments: v.optional(v.record(v.string(), line(4096), 'must be a group of names and texts'), {}),
})
export type CompleteMcpInput = v.InferOutput<typeof CompleteMcpInput>

export const GetMcpPromptInput = v.object({
  arguments: v.optional(v.record(v.string(), line(100_000), 'must be a group of names and texts'), {}),
})
