import type { TokenUsage } from '../../../shared/turn-events.ts'
import type { ModelEvent, ModelInfo, ModelMessage, ModelProvider, ModelRequest, ToolCall } from '../provider.ts'
import { answer, type Result } from './builtin/answers.ts'
import { plan } from './builtin/intents.ts'

const MODEL: ModelInfo = {
  id: 'rules',
  display_name: 'Built-in assistant (not a language model)',
  kind: 'llm',
  context_window: 1_000_000,
  input_cost_per_million: 0,
  output_cost_per_million: 0,
}

/** Long answers come in larger pieces, so that none takes longer than this many pauses. */
const MAX_PIECES = 400

/**
 * The assistant of a fresh machine: rules instead of a model, with no key and no network. It keeps nothing between
 * calls: a user's message gives text or tool calls, and the results of those calls give the answer.
 */
export function createBuiltin({ paceMs = 8 }: {
  /** Pause between two words, in milliseconds. */
  paceMs?: number
} = {}): ModelProvider {
  return {
    listModels: () => Promise.resolve([MODEL]),
    stream: (request, signal) => stream(request, signal, paceMs),
  }
}

async function* stream(request: ModelRequest, signal: AbortSignal, paceMs: number): AsyncGenerator<ModelEvent> {
  const usage: TokenUsage = { input_tokens: tokensOf(inputText(request)), output_tokens: 0, estimated: true }
  const aborted: ModelEvent = { type: 'failed', class: 'network', message: 'aborted', usage }
  try {
    if (signal.aborted) return yield aborted
    const next = decide(request)
    if (typeof next !== 'string') {
      for (const call of next) {
        usage.output_tokens += tokensOf(call.name + JSON.stringify(call.arguments))
        yield { type: 'tool_call', ...call }
      }
      return yield { type: 'finish', reason: 'tool_calls', usage }
    }
    const most = request.max_output_tokens === undefined ? Infinity : request.max_output_tokens * CHARACTERS
    for (const delta of piecesOf(next.slice(0, most))) {
      if (signal.aborted) return yield aborted
      usage.output_tokens += tokensOf(delta)
      yield { type: 'text', delta }
      await pause(paceMs, signal)
    }
    if (signal.aborted) return yield aborted
    yield { type: 'finish', reason: next.length > most ? 'length' : 'stop', usage }
  } catch (error) {
    yield { type: 'failed', class: 'internal', message: `The built-in assistant failed: ${String(error)}`, usage }
  }
}

/** The text to say, or the calls to make. */
function decide(request: ModelRequest): string | ToolCall[] {
  const from = request.messages.findLastIndex((message) => message.role === 'user')
  const results = resultsIn(request.messages.slice(from + 1))
  if (results.length > 0) return answer(results)
  const tools = request.tool_choice === 'none' ? [] : (request.tools ?? [])
  const { said, files } = heard(request.messages[from])
  const next = plan(said, tools)
  if ('say' in next) {
    return files ? `${next.say}\n\n(I can't look into attached files; a language model can.)` : next.say
  }
  return next.calls.map((call) => ({ call_id: `call_${crypto.randomUUID().replaceAll('-', '')}`, ...call }))
}

function heard(message: ModelMessage | undefined): { said: string; files: boolean } {
  if (message?.role !== 'user') return { said: '', files: false }
  const texts = message.content.flatMap((part) => (part.type === 'text' ? [part.text] : []))
  return { said: texts.join('\n'), files: texts.length < message.content.length }
}

/** The results that came after the last message of the user, with the calls that they answer. */
function resultsIn(messages: ModelMessage[]): Result[] {
  const calls = new Map<string, ToolCall>()
  const results: Result[] = []
  for (const message of messages) {
    if (message.role === 'assistant') { for (const call of message.tool_calls ?? []) calls.set(call.call_id, call) }
    if (message.role !== 'tool') continue
    const { call_id, name, content } = message
    const call = calls.get(call_id) ?? { call_id, name, arguments: {} }
    results.push({ call, content, failed: message.is_error === true })
  }
  return results
}

/** Words with the space behind them, several at once in a long text. */
function piecesOf(text: string): string[] {
  const words = text.match(/\s*\S+\s*/g) ?? []
  const size = Math.ceil(words.length / MAX_PIECES)
  return Array.from(
    { length: Math.ceil(words.length / size) || 0 },
    (_, at) => words.slice(at * size, (at + 1) * size).join(''),
  )
}

/** Resolves after `ms`, or at once when the signal is aborted. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (ms <= 0 || signal.aborted) return Promise.resolve()
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, ms)
    signal.addEventListener('abort', done)
  })
}

/** Characters per token, roughly; nothing is counted for real here. */
const CHARACTERS = 4

const tokensOf = (text: string): number => Math.ceil(text.length / CHARACTERS)

const inputText = ({ messages, tools }: ModelRequest): string =>
  messages.map((message) => {
    if (message.role !== 'user') return message.content
    return message.content.map((part) => (part.type === 'text' ? part.text : '')).join('')
  }).join('') + JSON.stringify(tools ?? [])
