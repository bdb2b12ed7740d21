import type { FailureClass, TokenUsage } from '../../shared/turn-events.ts'

/** One piece of a user's message. `data` is base64 without a prefix. */
export type ContentPart =
  | { type: 'text'; text: string }
  | { type: 'image'; media_type: string; data: string }
  | { type: 'file'; media_type: string; filename: string; data: string }

export type ToolCall = { call_id: string; name: string; arguments: Record<string, unknown> }

export type ModelMessage =
  | { role: 'system'; content: string }
  | { role: 'user'; content: ContentPart[] }
  | { role: 'assistant'; content: string; tool_calls?: ToolCall[] }
  | { role: 'tool'; call_id: string; name: string; content: string; is_error?: boolean }

/** What a model may call; `name` is valid for every vendor: `[a-zA-Z0-9_-]{1,64}`. */
export type ToolSpec = { name: string; description: string; input_schema: Record<string, unknown> }

/** Plain data, so that a provider may live in another process. */
export type ModelRequest = {
  /** The provider's own name of the model. */
  model: string
  messages: ModelMessage[]
  tools?: ToolSpec[]
  tool_choice?: 'auto' | 'none' | 'required'
  max_output_tokens?: number
  temperature?: number
  reasoning_effort?: 'low' | 'medium' | 'high'
  /** Opaque to the provider; helps upstream prompt caches (session id). */
  cache_key?: string
}

export type FinishReason = 'stop' | 'length' | 'tool_calls' | 'content_filter' | 'other'

/**
 * What `stream` yields: any number of deltas and calls, then exactly one `finish` or `failed`, which is the last.
 * A `tool_call` comes once, whole, with its arguments parsed.
 */
export type ModelEvent =
  | { type: 'text'; delta: string }
  | { type: 'reasoning'; delta: string }
  | ({ type: 'tool_call' } & ToolCall)
  | { type: 'finish'; reason: FinishReason; usage: TokenUsage }
  | {
    type: 'failed'
    class: FailureClass
    /** What happened and what to do next; never holds a key. */
    message: string
    /** HTTP status of the upstream, where there was one. */
    status?: number
    retry_after_ms?: number
    /** What was counted before it failed. */
    usage?: TokenUsage
  }

export type ModelInfo = {
  /** The provider's own name of the model. */
  id: string
  display_name?: string
  kind?: 'llm' | 'tts' | 'stt' | 'embedding'
  /** Tokens. */
  context_window?: number
  max_output_tokens?: number
  /** US dollars per million tokens, where the provider says so. */
  input_cost_per_million?: number
  output_cost_per_million?: number
}

/**
 * An endpoint that answers with a model (design §7).
 * `stream` never throws and never rejects: its last event is `finish` or `failed`. An aborted signal ends it with
 * `failed` of class `network` and message "aborted"; the upstream request is aborted within 100 ms.
 * `listModels` throws `AppError` (`bad_gateway`, `unauthorized`, `upstream_timeout`) with a message for people.
 */
export interface ModelProvider {
  listModels(signal: AbortSignal): Promise<ModelInfo[]>
  stream(request: ModelRequest, signal: AbortSignal): AsyncIterable<ModelEvent>
  /** Writes down what is said in a file; left out where the endpoint has no such thing. Throws as `listModels` does. */
  transcribe?(model: string, file: AudioFile, signal: AbortSignal): Promise<{ text: string; usage: TokenUsage | null }>
}

export type AudioFile = { bytes: Uint8Array; filename: string; mime_type: string }

/** What a plugin that runs answers for. */
export type PluginModels = {
  plugin: string
  name: string
  label: string
  models: ModelInfo[]
  /** Its last word, after the parts; both as the plugin wrote them. Rejects with an error that has a `code`. */
  generate(request: ModelRequest, options: { signal: AbortSignal; onPart: (part: unknown) => void }): Promise<unknown>
}

/** How a provider is reached; the key is decrypted just before use. */
export type ProviderSettings = {
  base_url: string | null
  api_key: string | null
  /** Extra headers and vendor switches from the provider's `metadata`. */
  headers?: Record<string, string>
  /** Injected for tests and for the faster client on Node. */
  fetch?: typeof fetch
  /** Milliseconds without a byte before the stream fails as `network` (default 120,000; first byte 300,000). */
  idle_timeout_ms?: number
  first_byte_timeout_ms?: number
}
