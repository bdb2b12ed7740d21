import * as v from 'valibot'
import { GATEWAY_EVENTS, type GatewayCommand, type GatewayEvent } from './gateway-protocol.ts'

/**
 * What plugins and the server say beside the Gateway Protocol, in the same lines: settings, capabilities, a small
 * store. Only a plugin whose manifest says `"protocol": "gatehouse.v1"` gets and may send these.
 *
 *   server: configure → plugin: ready → plugin: register… → server: register_ok / register_failed
 *   server: call → plugin: chunk… → plugin: result or failed;  server: cancel → plugin: failed with code "cancelled"
 */
export const PLUGIN_PROTOCOL = 'gatehouse.v1'

const text = v.string('must be text')
const id = v.pipe(text, v.minLength(1, 'must not be empty'), v.maxLength(200, 'is too long'))
const group = v.record(v.string(), v.unknown(), 'must be a group')
const count = v.pipe(v.number('must be a number'), v.integer('must be a whole number'), v.minValue(0, 'is negative'))
const key = v.pipe(text, v.minLength(1, 'must not be empty'), v.maxLength(512, 'is longer than 512 characters'))

/** Absent or null; null reads as absent. */
const maybe = <S extends v.GenericSchema>(schema: S) =>
  v.optional(v.pipe(v.nullable(schema), v.transform((value) => value ?? undefined)))

/** What a plugin may offer. */
export const CapabilityKind = v.picklist(
  ['tool', 'command', 'service', 'web_search', 'hook', 'http_route', 'speech', 'text_provider'],
  'must be tool, command, service, web_search, hook, http_route, speech or text_provider',
)
export type CapabilityKind = v.InferOutput<typeof CapabilityKind>

const Configure = v.object({
  type: v.literal('configure'),
  protocol: text,
  plugin: v.object({ id: text, name: text, version: text }),
  /** Its own section only, checked against the manifest's schema. */
  config: group,
  /** Its own secrets by the name that the manifest gives them. */
  secrets: v.record(v.string(), text),
  /** A folder that is its own to write in; null where it may write nowhere. */
  data_dir: v.nullable(text),
  /** Where its routes are reached from outside, without a slash at the end; null where the owner did not say. */
  public_url: v.optional(v.nullable(text)),
  /** Bytes of the largest file that is taken from its chats, and sent into them. */
  max_file_bytes: v.optional(count),
})
const RegisterOk = v.object({ type: v.literal('register_ok'), handle: id })
const RegisterFailed = v.object({ type: v.literal('register_failed'), handle: id, code: text, message: text })
const Call = v.object({
  type: v.literal('call'),
  call_id: id,
  /** As the plugin registered it. */
  handle: id,
  /** What the kind has, such as `run` of a tool; see the definitions below. */
  method: text,
  input: v.unknown(),
  /** Milliseconds from now; afterwards nobody waits for the answer any more. */
  deadline_ms: count,
  /** Chunks that may be sent before the next `credit`. */
  credit: count,
  /** For whom: `session_id`, `turn_id`, `handle`; what is known. */
  context: v.record(v.string(), text),
})
const Credit = v.object({ type: v.literal('credit'), call_id: id, chunks: count })
const Cancel = v.object({ type: v.literal('cancel'), call_id: id, reason: text })
const StateOk = v.object({
  type: v.literal('state_ok'),
  request_id: id,
  /** Of `state_get`; null when there is none. */
  value: v.optional(v.unknown()),
  /** Of `state_list`, in order. */
  keys: v.optional(v.array(text)),
})
const StateFailed = v.object({ type: v.literal('state_failed'), request_id: id, code: text, message: text })

/** What the server says to a plugin beside the commands of the Gateway Protocol. */
export const CapabilityCommand = v.variant('type', [
  Configure,
  RegisterOk,
  RegisterFailed,
  Call,
  Credit,
  Cancel,
  StateOk,
  StateFailed,
])
export type CapabilityCommand = v.InferOutput<typeof CapabilityCommand>

/** `definition` depends on the kind; see `ToolDefinition` and its neighbours. */
const Register = v.object({
  type: v.literal('register'),
  /** Chosen by the plugin, unique in it; calls name it. */
  handle: id,
  kind: CapabilityKind,
  definition: group,
})
const Unregister = v.object({ type: v.literal('unregister'), handle: id })
const Result = v.object({ type: v.literal('result'), call_id: id, output: v.optional(v.unknown()) })
const Chunk = v.object({ type: v.literal('chunk'), call_id: id, data: v.unknown() })
const Failed = v.object({
  type: v.literal('failed'),
  call_id: id,
  code: text,
  message: text,
  retry_after_ms: maybe(count),
})
const StateGet = v.object({ type: v.literal('state_get'), request_id: id, key })
const StateSet = v.object({ type: v.literal('state_set'), request_id: id, key, value: v.unknown() })
const StateDelete = v.object({ type: v.literal('state_delete'), request_id: id, key })
const StateList = v.object({ type: v.literal('state_list'), request_id: id, prefix: maybe(text) })
const LogLine = v.object({
  type: v.literal('log'),
  level: v.picklist(['debug', 'info', 'warn', 'error'], 'must be debug, info, warn or error'),
  message: text,
  fields: maybe(group),
})

/** How a channel stands with its platform, whenever that changes; `identity` is who it is there, such as `@name`. */
const Status = v.object({
  type: v.literal('status'),
  connected: v.boolean('must be true or false'),
  identity: maybe(text),
  detail: maybe(text),
})

/** What a plugin says beside the events of the Gateway Protocol. */
export const CapabilityEvent = v.variant('type', [
  Register,
  Unregister,
  Result,
  Chunk,
  Failed,
  StateGet,
  StateSet,
  StateDelete,
  StateList,
  LogLine,
  Status,
])
export type CapabilityEvent = v.InferOutput<typeof CapabilityEvent>

/** Every line that the server writes. */
export type ToPlugin = GatewayCommand | CapabilityCommand
/** Every line that a plugin writes and that is understood. */
export type FromPlugin = GatewayEvent | CapabilityEvent

const Name = v.pipe(
  text,
  v.regex(/^[a-z][a-z0-9_]{0,39}$/, 'must begin with a letter and have at most 40 of a–z, 0–9 and _'),
)

/** `register` with kind `tool`; models see it as `<plugin>.<name>`. */
export const ToolDefinition = v.object({
  name: Name,
  description: v.pipe(text, v.minLength(1, 'must not be empty'), v.maxLength(4000, 'is too long')),
  effect: v.optional(v.picklist(['read', 'write', 'execute'], 'must be read, write or execute'), 'write'),
  input_schema: v.optional(group, () => ({ type: 'object', properties: {} })),
})
export type ToolDefinition = v.InferOutput<typeof ToolDefinition>

/** What `run` of a tool answers in `result.output`; any other output is shown to the model as JSON. */
export const ToolResult = v.object({ ok: v.optional(v.boolean(), true), text })

/**
 * `register` with kind `command`: `/name` in chats, answered without the model. One that only reads is for everybody
 * who may write in a chat, any other for people whom the owner trusts.
 */
export const CommandDefinition = v.object({
  name: Name,
  description: v.pipe(text, v.maxLength(300, 'is too long')),
  args: v.optional(text),
  effect: v.optional(v.picklist(['read', 'write', 'execute'], 'must be read, write or execute'), 'write'),
})
export type CommandDefinition = v.InferOutput<typeof CommandDefinition>

/** `register` with kind `service`: `start` is called once; `shutdown` ends it with the plugin. */
export const ServiceDefinition = v.object({ name: Name })

/** `register` with kind `web_search`: `search` gets `{query, count}` and answers `{results: [{title, url, snippet}]}`. */
export const WebSearchDefinition = v.object({ name: Name, label: v.pipe(text, v.maxLength(100, 'is too long')) })
export type WebSearchDefinition = v.InferOutput<typeof WebSearchDefinition>
export const WebSearchResult = v.object({
  results: v.array(v.object({ title: text, url: text, snippet: v.optional(text, '') })),
})
export type WebSearchResult = v.InferOutput<typeof WebSearchResult>

const price = v.pipe(v.number('must be a number'), v.minValue(0, 'is negative'))

/**
 * `register` with kind `text_provider`: models that answer conversations. `generate` gets a `ModelRequest` of the
 * server (`model`, `messages`, `tools`…), says its answer in chunks (`TextPart`) and ends with a `TextResult`.
 */
export const TextProviderDefinition = v.object({
  name: Name,
  label: v.pipe(text, v.minLength(1, 'must not be empty'), v.maxLength(100, 'is too long')),
  models: v.pipe(
    v.array(
      v.object({
        id,
        display_name: maybe(v.pipe(text, v.maxLength(200, 'is too long'))),
        /** Tokens. */
        context_window: maybe(count),
        max_output_tokens: maybe(count),
        /** US dollars. */
        input_cost_per_million: maybe(price),
        output_cost_per_million: maybe(price),
      }),
      'must be a list',
    ),
    v.minLength(1, 'must not be empty'),
    v.maxLength(100, 'has more than 100 models'),
  ),
})
export type TextProviderDefinition = v.InferOutput<typeof TextProviderDefinition>

/** A chunk of `generate`. A tool call comes once, whole; the server runs it behind its gate and asks again. */
export const TextPart = v.variant('type', [
  v.object({ type: v.literal('text'), delta: text }),
  v.object({ type: v.literal('reasoning'), delta: text }),
  v.object({ type: v.literal('tool_call'), call_id: id, name: id, arguments: group }),
], 'must be text, reasoning or tool_call')
export type TextPart = v.InferOutput<typeof TextPart>

/** What `generate` answers at its end; without `usage` the server estimates. */
export const TextResult = v.object({
  reason: v.optional(
    v.picklist(
      ['stop', 'length', 'tool_calls', 'content_filter', 'other'],
      'must be stop, length, tool_calls, content_filter or other',
    ),
  ),
  usage: maybe(
    v.object({
      input_tokens: count,
      output_tokens: count,
      cache_read_tokens: v.optional(count),
      cache_write_tokens: v.optional(count),
      reasoning_tokens: v.optional(count),
    }),
  ),
})

/**
 * `register` with kind `speech`: `transcribe` gets a recording, in the line as base64 `data` or, when it is larger, as
 * the `path` of a file in the plugin's `data_dir` that goes away after the call.
 */
export const SpeechDefinition = v.object({
  name: Name,
  label: v.pipe(text, v.minLength(1, 'must not be empty'), v.maxLength(100, 'is too long')),
  methods: v.pipe(
    v.array(v.picklist(['transcribe'], 'must be transcribe'), 'must be a list'),
    v.minLength(1, 'must not be empty'),
  ),
})
export type SpeechDefinition = v.InferOutput<typeof SpeechDefinition>

/** What `transcribe` gets. */
export type TranscribeInput = { mime: string; filename: string } & ({ data: string } | { path: string })

/** What `transcribe` answers; empty where nothing was said. */
export const TranscribeResult = v.object({ text })
export type TranscribeResult = v.InferOutput<typeof TranscribeResult>

const EVENTS: Record<string, v.GenericSchema<unknown, FromPlugin>> = {
  ...GATEWAY_EVENTS,
  ...Object.fromEntries(CapabilityEvent.options.map((schema) => [schema.entries.type.literal, schema])),
}

/** One line that was read: an event, a type that is not known here, or what is wrong with it. */
export type ParsedLine =
  | { kind: 'event'; event: FromPlugin }
  | { kind: 'unknown'; type: string }
  | { kind: 'invalid'; problem: string }

/** Reads one line of a plugin; never throws. A bad field is named, so that the log can say which. */
export function parseEvent(line: string): ParsedLine {
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch (error) {
    return { kind: 'invalid', problem: `is no JSON: ${(error as Error).message.slice(0, 200)}` }
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return { kind: 'invalid', problem: 'is no JSON object' }
  }
  const { type } = value as { type?: unknown }
  if (typeof type !== 'string') return { kind: 'invalid', problem: 'type: must be text' }
  const schema = Object.hasOwn(EVENTS, type) ? EVENTS[type]! : undefined
  if (!schema) return { kind: 'unknown', type: type.slice(0, 100) }
  const keys = keysIn(value, 0)
  if (!Number.isFinite(keys)) return { kind: 'invalid', problem: `${type}: is nested deeper than ${MAX_DEPTH} levels` }
  if (keys !== keysWritten(line)) return { kind: 'invalid', problem: `${type}: has the same field twice` }
  const result = v.safeParse(schema, value, { abortEarly: true })
  if (result.success) return { kind: 'event', event: result.output }
  const issue = result.issues[0]
  const field = issue.path?.map((step) => String(step.key)).join('.') ?? ''
  const message = issue.message.startsWith('Invalid key:') ? 'is missing' : issue.message
  return { kind: 'invalid', problem: `${type}: ${field ? `${field} ` : ''}${message}` }
}

const MAX_DEPTH = 128

/** Keys in the text. `JSON.parse` silently takes the last of two that are the same, where the protocol refuses both. */
function keysWritten(line: string): number {
  let written = 0
  for (let open = line.indexOf('"'); open >= 0; open = line.indexOf('"', open)) {
    let close = line.indexOf('"', open + 1)
    while (isEscaped(line, close)) close = line.indexOf('"', close + 1)
    open = close + 1
    while (isSpace(line.charCodeAt(open))) open++
    if (line.charCodeAt(open) === 0x3a) written++
  }
  return written
}

function isEscaped(line: string, at: number): boolean {
  let slashes = 0
  while (line.charCodeAt(at - 1 - slashes) === 0x5c) slashes++
  return slashes % 2 === 1
}

const isSpace = (code: number): boolean => code === 0x20 || code === 0x09 || code === 0x0a || code === 0x0d

/** Keys in the value; infinite when it is nested too deep to be walked by anybody later. */
function keysIn(value: unknown, depth: number): number {
  if (typeof value !== 'object' || value === null) return 0
  if (depth >= MAX_DEPTH) return Infinity
  const items = Object.values(value)
  let keys = Array.isArray(value) ? 0 : items.length
  for (const item of items) keys += keysIn(item, depth + 1)
  return keys
}
