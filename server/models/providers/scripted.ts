import type { FailureClass, TokenUsage } from '../../../shared/turn-events.ts'
import type { ModelEvent, ModelMessage, ModelProvider, ModelRequest } from '../provider.ts'
import { estimateInput, estimateTokens } from './usage.ts'

/** One thing that the scripted model does; a plain string is said in pieces. */
export type Step =
  | string
  | { step: 'tool_call'; name: string; arguments: Record<string, unknown> }
  | { step: 'reasoning'; text: string }
  | { step: 'delay'; ms: number }
  | { step: 'hold'; until: Promise<unknown> }
  | { step: 'fail'; class: FailureClass; retry_after_ms?: number }

/** What one model call answers: a step, several, or a function of what was asked. */
export type Answer = Step | Step[] | ((request: ModelRequest) => Step | Step[])

export const toolCall = (name: string, args: Record<string, unknown> = {}): Step => ({
  step: 'tool_call',
  name: name.replaceAll('.', '_'),
  arguments: args,
})
export const reasoning = (text: string): Step => ({ step: 'reasoning', text })
export const delay = (ms: number): Step => ({ step: 'delay', ms })
/** Goes on when the promise is fulfilled, or the call is aborted. */
export const hold = (until: Promise<unknown>): Step => ({ step: 'hold', until })
export const fail = (kind: FailureClass, retry_after_ms?: number): Step => ({
  step: 'fail',
  class: kind,
  ...(retry_after_ms === undefined ? {} : { retry_after_ms }),
})

const FAILURES: Record<string, Extract<Step, { step: 'fail' }>> = {
  'rate limit': { step: 'fail', class: 'rate_limited', retry_after_ms: 100 },
  auth: { step: 'fail', class: 'auth' },
  overloaded: { step: 'fail', class: 'overloaded' },
  'context overflow': { step: 'fail', class: 'context_overflow' },
  network: { step: 'fail', class: 'network' },
  invalid: { step: 'fail', class: 'invalid' },
  limit: { step: 'fail', class: 'limit' },
  internal: { step: 'fail', class: 'internal' },
}

/**
 * A model that plays a script, for tests and development: the first call gives the first answer, and so on. Without a
 * script it obeys the prompt: `fail: rate limit` fails so (also within a script), `call: notes_write {"path":"a.md"}`
 * calls a tool, `slow: 50` says fifty words slowly, anything else is repeated. `requests` are the calls it got.
 */
export function scripted(answers: Answer[] = [], options: { piece_ms?: number } = {}): ModelProvider & {
  requests: ModelRequest[]
} {
  const requests: ModelRequest[] = []
  let next = 0
  return {
    requests,
    listModels: () =>
      Promise.resolve([{ id: 'scripted', display_name: 'Scripted model', kind: 'llm', context_window: 32_768 }]),
    async *stream(request, signal) {
      requests.push(request)
      const provoked = provokedFailure(request)
      const answer = provoked ?? (answers.length === 0 ? obey(request) : answers[next++])
      const steps = typeof answer === 'function' ? answer(request) : answer
      if (steps === undefined) {
        yield { type: 'failed', class: 'invalid', message: `The script has only ${answers.length} answers` }
        return
      }
      yield* play(Array.isArray(steps) ? steps : [steps], request, signal, options.piece_ms ?? 0)
    },
  }
}

async function* play(
  steps: Step[],
  request: ModelRequest,
  signal: AbortSignal,
  pieceMs: number,
): AsyncGenerator<ModelEvent> {
  let output = 0
  let calls = 0
  const usage = (estimated: boolean): TokenUsage => ({
    input_tokens: estimateInput(request),
    output_tokens: output,
    ...(estimated ? { estimated } : {}),
  })
  const aborted = (): ModelEvent => ({ type: 'failed', class: 'network', message: 'aborted', usage: usage(true) })

  for (const step of steps) {
    if (signal.aborted) return yield aborted()
    if (typeof step === 'string' || step.step === 'reasoning') {
      const [type, text] = typeof step === 'string' ? ['text', step] as const : ['reasoning', step.text] as const
      for (const delta of pieces(text)) {
        if (pieceMs > 0) await pause(pieceMs, signal)
        if (signal.aborted) return yield aborted()
        output += estimateTokens(delta)
        yield { type, delta }
      }
    } else if (step.step === 'delay') {
      await pause(step.ms, signal)
    } else if (step.step === 'hold') {
      await Promise.race([step.until, new Promise((resolve) => signal.addEventListener('abort', resolve))])
    } else if (step.step === 'fail') {
      return yield {
        type: 'failed',
        class: step.class,
        message: `The scripted model fails on purpose (${step.class})`,
        ...(step.retry_after_ms === undefined ? {} : { retry_after_ms: step.retry_after_ms }),
        ...(output > 0 ? { usage: usage(true) } : {}),
      }
    } else {
      const call_id = `call_${crypto.randomUUID().slice(0, 8)}`
      output += estimateTokens(JSON.stringify(step.arguments))
      calls++
      yield { type: 'tool_call', call_id, name: step.name, arguments: step.arguments }
    }
  }
  if (signal.aborted) return yield aborted()
  yield { type: 'finish', reason: calls > 0 ? 'tool_calls' : 'stop', usage: usage(false) }
}

/** Words with the blanks after them. */
const pieces = (text: string): string[] => text.match(/\s*\S+\s*|\s+/g) ?? []

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve()
    const end = (): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', end)
      resolve()
    }
    const timer = setTimeout(end, ms)
    signal.addEventListener('abort', end)
  })
}

const textOf = (message: ModelMessage): string =>
  message.role === 'user'
    ? message.content.map((part) => part.type === 'text' ? part.text : `[${part.type}]`).join(' ')
    : message.content

function provokedFailure(request: ModelRequest): Step | undefined {
  const last = request.messages.at(-1)
  const wish = last?.role === 'user' ? /^\s*fail:\s*(.+?)\s*$/im.exec(textOf(last))?.[1]?.toLowerCase() : undefined
  return wish === undefined ? undefined : FAILURES[wish.replaceAll('_', ' ')] ?? FAILURES.internal
}

function obey(request: ModelRequest): Step[] {
  const last = request.messages.at(-1)
  if (!last) return ['Nothing was asked.']
  if (last.role === 'tool') return [`The tool ${last.name} answered: ${last.content}`]
  const text = textOf(last)
  const call = /^\s*call:\s*([\w.-]+)\s*(\{.*\})?\s*$/is.exec(text)
  if (call) return [toolCall(call[1] ?? '', parseObject(call[2]))]
  const slow = Number(/^\s*slow:\s*(\d{1,4})/i.exec(text)?.[1] ?? 0)
  if (slow > 0) return Array.from({ length: slow }, (_, i): Step[] => [delay(50), `word${i + 1} `]).flat()
  return [`You said: ${text}`]
}

function parseObject(text: string | undefined): Record<string, unknown> {
  try {
    return JSON.parse(text ?? '{}') as Record<string, unknown>
  } catch {
    return {}
  }
}
