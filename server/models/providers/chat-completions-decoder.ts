import type { TokenUsage } from '../../../shared/turn-events.ts'
import type { FinishReason, ModelEvent, ModelRequest } from '../provider.ts'
import { classify, readErrorBody, redact, UpstreamFailure } from './failure.ts'
import { type CallPiece, createCallAssembler } from './tool-calls.ts'
import type { Decoder } from './upstream.ts'
import { estimated } from './usage.ts'

type Text = string | null | { type?: string; text?: string }[]

type Delta = {
  content?: Text
  refusal?: string | null
  reasoning_content?: string | null
  reasoning?: string | null
  tool_calls?: CallPiece[] | null
}

type Usage = {
  prompt_tokens?: number
  completion_tokens?: number
  prompt_tokens_details?: { cached_tokens?: number } | null
  completion_tokens_details?: { reasoning_tokens?: number } | null
  /** DeepSeek's name for cached tokens. */
  prompt_cache_hit_tokens?: number
}

type Chunk = {
  choices?: { delta?: Delta | null; message?: Delta | null; finish_reason?: string | null }[] | null
  usage?: Usage | null
  x_groq?: { usage?: Usage | null } | null
  error?: unknown
}

const REASONS: Record<string, FinishReason> = {
  stop: 'stop',
  eos: 'stop',
  end_turn: 'stop',
  length: 'length',
  max_tokens: 'length',
  tool_calls: 'tool_calls',
  function_call: 'tool_calls',
  content_filter: 'content_filter',
}

/** Reads the stream of one chat completion. `input_tokens` counts cached tokens in, `output_tokens` reasoning. */
export function chatDecoder(host: string, key: string | null, request: ModelRequest): Decoder {
  const calls = createCallAssembler()
  let reason: FinishReason | undefined
  let usage: TokenUsage | undefined
  let characters = 0

  const fail = (error: unknown): never => {
    const body = readErrorBody(error) ?? { code: '', type: '', message: '' }
    throw new UpstreamFailure(classify(host, body.status, { ...body, message: redact(body.message, key) }))
  }

  const text = (type: 'text' | 'reasoning', delta: string, out: ModelEvent[]): void => {
    characters += delta.length
    out.push({ type, delta })
  }

  const take = (chunk: Chunk, out: ModelEvent[]): void => {
    if (chunk.error) fail(chunk.error)
    const counted = chunk.usage ?? chunk.x_groq?.usage
    if (counted) usage = readUsage(counted)
    const choice = chunk.choices?.[0]
    if (!choice) return
    const delta = choice.delta ?? choice.message
    if (delta) {
      const thought = delta.reasoning_content || delta.reasoning
      if (typeof thought === 'string' && thought) text('reasoning', thought, out)
      if (delta.content) {
        if (typeof delta.content === 'string') text('text', delta.content, out)
        else for (const part of delta.content) if (part.text) text('text', part.text, out)
      }
      if (delta.refusal) text('text', delta.refusal, out)
      if (delta.tool_calls) { for (const piece of delta.tool_calls) calls.add(piece) }
    }
    if (choice.finish_reason) {
      // OpenRouter reports a provider that failed halfway as a reason to finish.
      if (choice.finish_reason === 'error') fail({ message: 'the provider failed', type: 'server_error' })
      reason = REASONS[choice.finish_reason] ?? 'other'
    }
  }

  const finish = (out: ModelEvent[]): void => {
    const size = calls.size
    const whole = calls.finish(reason === 'length')
    for (const call of whole) out.push({ type: 'tool_call', ...call })
    // Several upstreams say "stop" although they call.
    const final = whole.length > 0 && reason !== 'length' && reason !== 'content_filter'
      ? 'tool_calls'
      : reason ?? 'stop'
    out.push({ type: 'finish', reason: final, usage: usage ?? estimated(request, characters + size) })
  }

  return {
    event(name, data, out) {
      if (data === '[DONE]') return finish(out)
      const chunk = JSON.parse(data) as Chunk | null
      if (name === 'error') fail(chunk)
      if (typeof chunk !== 'object' || chunk === null) throw new SyntaxError('not an object')
      take(chunk, out)
    },
    whole(body, out) {
      if (typeof body !== 'object' || body === null || !Array.isArray((body as Chunk).choices)) {
        if ((body as Chunk | null)?.error) fail((body as Chunk).error)
        throw new SyntaxError('not a chat completion')
      }
      take(body as Chunk, out)
      finish(out)
    },
    end(out) {
      if (reason) finish(out)
    },
    usage: () => usage ?? (characters > 0 || calls.size > 0 ? estimated(request, characters + calls.size) : undefined),
  }
}

function readUsage(usage: Usage): TokenUsage {
  const cached = usage.prompt_tokens_details?.cached_tokens ?? usage.prompt_cache_hit_tokens
  const reasoning = usage.completion_tokens_details?.reasoning_tokens
  return {
    input_tokens: usage.prompt_tokens ?? 0,
    output_tokens: usage.completion_tokens ?? 0,
    ...(cached ? { cache_read_tokens: cached } : {}),
    ...(reasoning ? { reasoning_tokens: reasoning } : {}),
  }
}
