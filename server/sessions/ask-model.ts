import type { TokenUsage, TurnEventBody } from '../../shared/turn-events.ts'
import type { Caller } from '../auth/principal.ts'
import { AppError } from '../errors.ts'
import { streamWithRetries } from '../models/retry.ts'
import type { ResolvedModel } from '../models/service.ts'
import type { Gate } from '../tools/gate.ts'
import type { ModelAnswer, ModelQuestion, Tool } from '../tools/tool.ts'
import { estimateTokens } from './history.ts'
import { costOf, untilAborted } from './model-call.ts'
import type { Progress } from './progress.ts'
import type { SessionRow } from './store.ts'

/** As the gate sees it, so that rules may forbid it or ask about it. It changes nothing; what it costs has its limit. */
const TOOL: Pick<Tool, 'name' | 'description' | 'effect' | 'input_schema'> = {
  name: 'model.ask',
  description: 'A tool asks the model of the turn',
  effect: 'read',
  input_schema: {
    type: 'object',
    properties: { source: { type: 'string' }, prompt: { type: 'string' } },
  },
}
const MAX_PROMPT = 4000
/** Calls that one tool call may make; one that asks more often goes in circles. */
const MOST_CALLS = 20

/**
 * Answers questions that a tool has for the model in the middle of its call. They pass the gate, count in the turn's
 * cost limit and stand on its ledger under the name of who asked.
 */
export function createAskModel(of: {
  model: ResolvedModel
  gate: Gate
  caller: Caller
  session: SessionRow
  turn_id: string
  call_id: string
  progress: Progress
  maxCostUsd: number | undefined
  emit: (event: TurnEventBody) => void
  signal: AbortSignal
}): (question: ModelQuestion) => Promise<ModelAnswer> {
  const { model } = of
  let calls = 0

  async function allow({ source, messages, confirm }: ModelQuestion): Promise<void> {
    if (++calls > MOST_CALLS) throw new AppError('rate_limited', `One call asks the model ${MOST_CALLS} times at most`)
    if (of.maxCostUsd !== undefined && of.progress.cost_usd >= of.maxCostUsd) {
      throw new AppError('rate_limited', `The turn reached its cost limit of $${of.maxCostUsd}`)
    }
    const said = messages.findLast(({ role }) => role === 'user')?.content ?? ''
    const prompt = typeof said === 'string'
      ? said
      : said.map((part) => part.type === 'text' ? part.text : '').join('\n')
    const verdict = await of.gate.judge({
      tool: { ...TOOL, source, run: () => Promise.reject(new Error('it is no tool of its own')) },
      arguments: { source, prompt: prompt.slice(0, MAX_PROMPT) },
      caller: of.caller,
      session: of.session,
      turn_id: of.turn_id,
      call_id: of.call_id,
    })
    if (verdict.decision === 'allow') return
    if (verdict.decision === 'ask' && await confirm(verdict.reason, prompt.slice(0, MAX_PROMPT))) return
    throw new AppError('forbidden', `The model may not be asked: ${verdict.reason}`)
  }

  const record = (source: string, usage: TokenUsage, cut?: true): void =>
    of.emit({
      type: 'usage',
      model: model.runtime_id,
      usage,
      cost_usd: costOf(model, usage),
      source,
      ...(cut ? { cut } : {}),
    })

  return async (question) => {
    await allow(question)
    const signal = AbortSignal.any([of.signal, question.signal])
    const request = {
      model: model.model,
      messages: question.messages,
      max_output_tokens: question.max_output_tokens,
      ...(question.temperature === undefined ? {} : { temperature: question.temperature }),
    }
    let text = ''
    for await (const event of untilAborted(streamWithRetries(model, request, signal), signal)) {
      if (event.type === 'text') text += event.delta
      else if (event.type === 'finish') {
        record(question.source, event.usage)
        return { model: model.runtime_id, text, cut: event.reason === 'length' }
      } else if (event.type === 'failed') {
        if (event.usage) record(question.source, event.usage, true)
        throw new AppError('bad_gateway', event.message)
      }
    }
    if (!signal.aborted) throw new AppError('bad_gateway', 'The model ended its answer without a word')
    record(question.source, { input_tokens: 0, output_tokens: estimateTokens(text), estimated: true }, true)
    throw signal.reason
  }
}
