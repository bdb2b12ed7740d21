import type { FailureClass, TokenUsage, TurnEventBody } from '../../shared/turn-events.ts'
import type { NewMessage } from './store.ts'

export type Decision = Extract<TurnEventBody, { type: 'approval_decided' }>['decision']

export type Call = {
  call_id: string
  name: string
  arguments: Record<string, unknown>
  /** Set once the gate asked; the decision follows when somebody answered. */
  approval_id?: string
  /** Why it was asked about. */
  asked_for?: string
  decision?: Decision
  decision_reason?: string
  result?: { ok: boolean; text: string; duration_ms: number }
}

/** One model call of a turn, and the tools that it called. */
export type Step = { index: number; model: string; text: string; reasoning: string; calls: Call[]; complete: boolean }

/** How far a turn has come; everything that is needed to go on with it, or to close it. */
export type Progress = {
  started: boolean
  steps: Step[]
  /** What each model call used; written to the ledger when the turn ends. */
  calls: { model: string; usage: TokenUsage; cost_usd: number | null; source: string }[]
  cost_usd: number
  finished?: Extract<TurnEventBody, { type: 'turn_finished' }>
}

/** A turn's progress read off its events, so that a turn goes on after a restart exactly where its log ends. */
export function progressOf(events: Iterable<TurnEventBody>): Progress {
  const progress: Progress = { started: false, steps: [], calls: [], cost_usd: 0 }
  for (const event of events) advance(progress, event)
  return progress
}

export function advance(progress: Progress, event: TurnEventBody): void {
  const step = progress.steps.at(-1)
  const call = 'call_id' in event ? step?.calls.find((known) => known.call_id === event.call_id) : undefined
  switch (event.type) {
    case 'turn_started':
      progress.started = true
      return
    case 'step':
      progress.steps.push({
        index: event.index,
        model: event.model,
        text: '',
        reasoning: '',
        calls: [],
        complete: false,
      })
      return
    case 'text':
      if (step) step.text += event.delta
      return
    case 'reasoning':
      if (step) step.reasoning += event.delta
      return
    case 'tool_call':
      step?.calls.push({ call_id: event.call_id, name: event.name, arguments: event.arguments })
      return
    case 'approval':
      if (call) Object.assign(call, { approval_id: event.approval_id, asked_for: event.reason })
      return
    case 'approval_decided':
      if (call) call.decision = event.decision
      if (call && event.reason !== undefined) call.decision_reason = event.reason
      return
    case 'tool_result':
      if (call) call.result = { ok: event.ok, text: event.result, duration_ms: event.duration_ms }
      return
    case 'usage':
      if (step && !event.cut) step.complete = true
      progress.calls.push({
        model: event.model,
        usage: event.usage,
        cost_usd: event.cost_usd,
        source: event.source ?? '',
      })
      progress.cost_usd += event.cost_usd ?? 0
      return
    case 'turn_finished':
      progress.finished = event
  }
}

/**
 * The id of a new call. Some models use one again within a turn, or none; then a yes to one call would be taken for a yes
 * to another.
 */
export function newCallId(progress: Progress, wanted: string): string {
  const taken = new Set(progress.steps.flatMap(({ calls }) => calls.map(({ call_id }) => call_id)))
  const base = wanted || 'call'
  let id = base
  for (let n = 2; taken.has(id); n++) id = `${base}-${n}`
  return id
}

/** Whether a turn can begin again from nothing: no reader saw an answer and no tool was called. */
export const isUntouched = (progress: Progress): boolean =>
  progress.steps.every((step) => step.text === '' && step.reasoning === '' && step.calls.length === 0)

/** Whether the model has said all that it will; only the end of the turn is not written yet. */
export function isAnswered(progress: Progress): boolean {
  const last = progress.steps.at(-1)
  return last !== undefined && last.complete && last.calls.length === 0
}

/** The text that answers the turn: what the last step said, else whatever was said before. */
export function answerOf(progress: Progress): string {
  const last = progress.steps.at(-1)
  if (last?.text.trim()) return last.text
  return progress.steps.map((step) => step.text).filter((text) => text.trim()).join('\n\n')
}

const LOST_RESULT = 'The server stopped while this ran; it may or may not have taken effect.'

/** The transcript of a turn's answer, one message per spoken text and per tool call. */
export function messagesOf(
  progress: Progress,
  turnId: string,
  at: number,
  end: {
    state: 'completed' | 'failed' | 'interrupted'
    model: string | null
    error?: { class: FailureClass; message: string }
  },
): NewMessage[] {
  const out: NewMessage[] = []
  for (const step of progress.steps) {
    if (step.text !== '' || step.reasoning !== '') {
      const data = { model: step.model, ...(step.reasoning ? { reasoning: step.reasoning } : {}) }
      out.push({ turn_id: turnId, role: 'assistant', step: step.index, text: step.text, data, at })
    }
    for (const call of step.calls) {
      const result = call.result ?? { ok: false, text: LOST_RESULT, duration_ms: 0 }
      out.push({
        turn_id: turnId,
        role: 'tool',
        step: step.index,
        text: result.text,
        data: {
          tool: {
            tool_name: call.name,
            tool_call_id: call.call_id,
            tool_args: call.arguments,
            tool_call_error: !result.ok,
            result: result.text,
            duration_ms: result.duration_ms,
          },
        },
        at,
      })
    }
  }
  // The last assistant message carries how the turn ended, so one is there even when nothing was said.
  if (out.at(-1)?.role !== 'assistant') {
    const model = end.model ?? undefined
    out.push({
      turn_id: turnId,
      role: 'assistant',
      step: progress.steps.length,
      text: '',
      data: model ? { model } : {},
      at,
    })
  }
  const last = out.at(-1)!
  const usage = usageOf(progress)
  last.data = {
    ...last.data,
    state: end.state,
    ...(end.error ? { error: end.error } : {}),
    ...(usage ? { usage } : {}),
  }
  return out
}

/** What all model calls of a turn used together; the cost is null when no price was known. */
function usageOf({ calls }: Progress): NewMessage['data']['usage'] {
  if (calls.length === 0) return undefined
  const priced = calls.filter((call) => call.cost_usd !== null)
  return {
    input_tokens: calls.reduce((sum, { usage }) => sum + usage.input_tokens, 0),
    output_tokens: calls.reduce((sum, { usage }) => sum + usage.output_tokens, 0),
    cost_usd: priced.length > 0 ? priced.reduce((sum, call) => sum + (call.cost_usd ?? 0), 0) : null,
  }
}
