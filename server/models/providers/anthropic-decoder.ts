import type { TokenUsage } from '../../../shared/turn-events.ts'
import type { FinishReason, ModelEvent, ModelRequest } from '../provider.ts'
import { classify, readErrorBody, redact, UpstreamFailure } from './failure.ts'
import { parseArguments } from './tool-calls.ts'
import type { Decoder } from './upstream.ts'
import { estimated } from './usage.ts'

type Usage = {
  input_tokens?: number | null
  output_tokens?: number | null
  cache_read_input_tokens?: number | null
  cache_creation_input_tokens?: number | null
}

type ContentBlock = { type: string; id?: string; name?: string; input?: unknown; text?: string; thinking?: string }

type StreamEvent = {
  type?: string
  index?: number
  message?: { usage?: Usage }
  content_block?: ContentBlock
  delta?: { type?: string; text?: string; thinking?: string; partial_json?: string; stop_reason?: string | null }
  usage?: Usage
  error?: unknown
}

type WholeMessage = { content?: ContentBlock[]; stop_reason?: string | null; usage?: Usage; error?: unknown }

const REASONS: Record<string, FinishReason> = {
  end_turn: 'stop',
  stop_sequence: 'stop',
  tool_use: 'tool_calls',
  max_tokens: 'length',
  model_context_window_exceeded: 'length',
  refusal: 'content_filter',
}

/** Reads the stream of one message. `input_tokens` counts cached tokens in, as the other adapters do. */
export function anthropicDecoder(host: string, key: string | null, request: ModelRequest): Decoder {
  const calls = new Map<number, { id: string; name: string; json: string }>()
  const counted: Usage = {}
  let reason: string | undefined
  let characters = 0

  const fail = (error: unknown): never => {
    const body = readErrorBody(error) ?? { code: '', type: '', message: '' }
    throw new UpstreamFailure(classify(host, undefined, { ...body, message: redact(body.message, key) }))
  }

  const count = (usage: Usage | undefined): void => {
    for (const [name, value] of Object.entries(usage ?? {})) {
      if (typeof value === 'number') counted[name as keyof Usage] = value
    }
  }

  const text = (type: 'text' | 'reasoning', delta: string | undefined, out: ModelEvent[]): void => {
    if (!delta) return
    characters += delta.length
    out.push({ type, delta })
  }

  const usage = (): TokenUsage | undefined => {
    if (counted.input_tokens === undefined) return characters > 0 ? estimated(request, characters) : undefined
    const read = counted.cache_read_input_tokens ?? 0
    const write = counted.cache_creation_input_tokens ?? 0
    const output = counted.output_tokens ?? 0
    // The count of a stream that was cut is the one from its start.
    const seen = reason === undefined ? Math.max(output, Math.ceil(characters / 4)) : output
    return {
      input_tokens: (counted.input_tokens ?? 0) + read + write,
      output_tokens: seen,
      ...(read ? { cache_read_tokens: read } : {}),
      ...(write ? { cache_write_tokens: write } : {}),
      ...(reason === undefined ? { estimated: true } : {}),
    }
  }

  const finish = (out: ModelEvent[]): void => {
    // All are read before one is handed on: a call next to one that is broken must not run either.
    const whole = [...calls.values()].map((call) => ({
      type: 'tool_call' as const,
      call_id: call.id || `call_${crypto.randomUUID().replaceAll('-', '')}`,
      name: call.name,
      arguments: parseArguments(call.name, call.json, reason === 'max_tokens'),
    }))
    out.push(...whole)
    out.push({
      type: 'finish',
      reason: REASONS[reason ?? ''] ?? 'other',
      usage: usage() ?? estimated(request, characters),
    })
  }

  const begin = (index: number, block: ContentBlock, out: ModelEvent[]): void => {
    if (block.type === 'tool_use') calls.set(index, { id: block.id ?? '', name: block.name ?? '', json: '' })
    text('text', block.text, out)
    text('reasoning', block.thinking, out)
  }

  const handle = (event: StreamEvent, out: ModelEvent[]): void => {
    switch (event.type) {
      case 'message_start':
        return count(event.message?.usage)
      case 'content_block_start':
        if (event.content_block) begin(event.index ?? 0, event.content_block, out)
        return
      case 'content_block_delta': {
        const delta = event.delta
        text('text', delta?.text, out)
        text('reasoning', delta?.thinking, out)
        const call = delta?.partial_json ? calls.get(event.index ?? 0) : undefined
        if (call && delta?.partial_json) {
          call.json += delta.partial_json
          characters += delta.partial_json.length
        }
        return
      }
      case 'message_delta':
        count(event.usage)
        if (event.delta?.stop_reason) reason = event.delta.stop_reason
        return
      case 'message_stop':
        if (reason !== undefined) finish(out)
        return
      case 'error':
        return fail(event)
    }
  }

  return {
    event(_name, data, out) {
      const event = JSON.parse(data) as StreamEvent | null
      if (typeof event !== 'object' || event === null) throw new SyntaxError('not an object')
      handle(event, out)
    },
    whole(body, out) {
      const message = body as WholeMessage | null
      if (message?.error) fail(message)
      if (!Array.isArray(message?.content)) throw new SyntaxError('not a message')
      count(message.usage)
      message.content.forEach((block, index) => {
        begin(index, block, out)
        const call = calls.get(index)
        if (call) call.json = JSON.stringify(block.input ?? {})
      })
      reason = message.stop_reason ?? 'end_turn'
      finish(out)
    },
    end(out) {
      if (reason !== undefined) finish(out)
    },
    usage,
  }
}
