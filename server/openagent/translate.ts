import type { ToolExecution, TurnFrame } from '../../shared/openagent.ts'
import type { TurnEvent } from '../../shared/turn-events.ts'

/** What a client was shown of the open turn of one session; the next frames depend on it. */
export type View = {
  /** Whether the client shows that the model thinks. */
  thinking: boolean
  /** Calls without a result, by their id. */
  calls: ReadonlyMap<string, { name: string; arguments: Record<string, unknown> }>
}

/** The view between two turns. */
export const IDLE: View = { thinking: false, calls: new Map() }

/** Stored frames that a `live_state` holds at most (spec openagent-api §1.8). */
const MAX_LIVE = 512

type Body = TurnFrame extends infer F ? F extends TurnFrame ? Omit<F, 'session_id' | 'turn_id' | 'ts_ms'> : never
  : never

/** The frames that tell a client of one event (spec §1.3, §1.4), and what it has been shown then. */
export function translate(view: View, event: TurnEvent): { view: View; frames: TurnFrame[] } {
  const next = step(view, event)
  const { session_id, turn_id, at } = event
  const frames = next.bodies.map((body) => ({ ...body, session_id, turn_id, ts_ms: at }) as TurnFrame)
  const last = frames.at(-1)
  if (last) last.offset = event.offset
  return { view: next.view, frames }
}

function step(view: View, event: TurnEvent): { view: View; bodies: Body[] } {
  const thinks = (thinking: boolean): Body[] =>
    view.thinking === thinking ? [] : [{ type: 'reasoning', active: thinking }]
  switch (event.type) {
    case 'turn_started':
      return { view: { ...IDLE, thinking: true }, bodies: [asked(event), { type: 'reasoning', active: true }] }
    case 'reasoning':
      return { view: { ...view, thinking: true }, bodies: thinks(true) }
    case 'text':
      return { view: { ...view, thinking: false }, bodies: [...thinks(false), { type: 'delta', text: event.delta }] }
    case 'tool_call': {
      const call = { name: event.name, arguments: event.arguments }
      const calls = new Map(view.calls).set(event.call_id, call)
      return { view: { thinking: false, calls }, bodies: [...thinks(false), toolStatus(event.call_id, call)] }
    }
    case 'tool_progress': {
      const { call_id, progress, total, message } = event
      const known = { ...(total === undefined ? {} : { total }), ...(message === undefined ? {} : { message }) }
      return { view, bodies: [{ type: 'tool_progress', call_id, progress, ...known }] }
    }
    case 'tool_result': {
      const { call_id, ok, result, duration_ms } = event
      const calls = new Map(view.calls)
      const call = calls.get(call_id) ?? { name: event.name, arguments: {} }
      calls.delete(call_id)
      // Once the last result is in, the model thinks again.
      const thinking = calls.size === 0
      const bodies: Body[] = [toolStatus(call_id, call, { ok, result, duration_ms })]
      if (thinking && !view.thinking) bodies.push({ type: 'reasoning', active: true })
      return { view: { thinking: thinking || view.thinking, calls }, bodies }
    }
    case 'approval': {
      const { approval_id, call_id, name, reason, expires_at } = event
      const question = `Waiting for your approval of ${name}: ${reason} Answer with /approve or /deny.`
      return {
        view: { ...view, thinking: false },
        bodies: [
          ...thinks(false),
          { type: 'status', text: question },
          { type: 'approval', approval_id, call_id, name, arguments: event.arguments, reason, expires_at },
        ],
      }
    }
    case 'approval_decided': {
      const { approval_id, call_id, decision, by } = event
      return { view, bodies: [{ type: 'approval_decided', approval_id, call_id, decision, by }] }
    }
    case 'retry':
      return { view, bodies: [{ type: 'status', text: `Trying again (${event.attempt}): ${event.reason}` }] }
    case 'notice':
      return { view, bodies: [{ type: 'status', text: event.text }] }
    case 'compaction':
      return { view, bodies: [compacted(event)] }
    case 'turn_finished':
      return { view: IDLE, bodies: finished(event) }
    default:
      return { view, bodies: [] }
  }
}

/** Ids of runs that a schedule, a workflow, an event or another agent began (spec §3.3). */
export const isChildSession = (id: string): boolean => /^(workflow|scheduler|event):|::(sub|member)::/.test(id)

function asked({ session_id, input }: Extract<TurnEvent, { type: 'turn_started' }>): Body {
  if (isChildSession(session_id)) return { type: 'seed', text: input.text, author: { kind: 'agent' } }
  return {
    type: 'text_final',
    text: input.text,
    source: input.source ?? 'user_typed',
    ...(input.attachments ? { attachments: input.attachments } : {}),
    ...(input.author ? { author: input.author } : {}),
  }
}

function toolStatus(
  id: string,
  call: { name: string; arguments: Record<string, unknown> },
  end?: { ok: boolean; result: string; duration_ms: number },
): Body {
  const execution: ToolExecution = {
    tool_name: call.name,
    tool_call_id: id,
    tool_args: call.arguments,
    tool_call_error: end ? !end.ok : null,
    result: end ? end.result : null,
    ...(end ? { duration_ms: end.duration_ms } : {}),
  }
  return { type: 'status', text: JSON.stringify(execution) }
}

function compacted(event: Extract<TurnEvent, { type: 'compaction' }>): Body {
  const { phase, folded_messages, tokens_before, tokens_after, summary, error } = event
  return {
    type: 'session_compacted',
    phase,
    ...(folded_messages === undefined ? {} : { folded_runs: folded_messages }),
    ...(summary === undefined ? {} : { summary_chars: summary.length }),
    ...(tokens_before === undefined ? {} : { tokens_before }),
    ...(tokens_after === undefined ? {} : { tokens_after }),
    ...(error === undefined ? {} : { error }),
  }
}

type End = {
  state: 'completed' | 'failed' | 'interrupted'
  text: string
  error?: { message: string } | null | undefined
}

/** The text that stands for a finished turn where there is only one text to show. */
export function answerText({ state, text, error }: End): string {
  if (state === 'failed') return ['Error: ' + (error?.message ?? 'The turn failed.'), text].filter(Boolean).join('\n\n')
  if (text.trim() !== '') return text
  if (state === 'interrupted') return error?.message ?? 'Stopped before there was any text.'
  return 'The model ended its turn without any text.'
}

const REASONS = { completed: 'completed', failed: 'error', interrupted: 'interrupted' } as const

function finished(event: Extract<TurnEvent, { type: 'turn_finished' }>): Body[] {
  const { state, attachments, model, error } = event
  return [
    { type: 'reasoning', active: false },
    { type: 'response', text: answerText(event), attachments: attachments ?? null, model },
    { type: 'turn_complete', reason: REASONS[state], ...(error ? { error: error.message } : {}) },
  ]
}

/** Joins deltas that follow each other; the text is the same. */
export function joinDeltas(frames: readonly TurnFrame[]): TurnFrame[] {
  const out: TurnFrame[] = []
  for (const frame of frames) {
    const last = out.at(-1)
    if (last?.type === 'delta' && frame.type === 'delta') {
      out[out.length - 1] = { ...frame, text: last.text + frame.text }
    } else out.push(frame)
  }
  return out
}

export type LiveTurns = { view: View; frames: TurnFrame[]; started_at: number; updated_at: number }

/** What a client that comes in the middle must be shown of turns that are open; undefined when none has begun. */
export function liveTurns(events: readonly TurnEvent[]): LiveTurns | undefined {
  const started = events.find((event) => event.type === 'turn_started')
  if (!started) return undefined
  let view = IDLE
  const frames: TurnFrame[] = []
  for (const event of events) {
    const next = translate(view, event)
    view = next.view
    frames.push(...next.frames)
  }
  return {
    view,
    frames: bounded(joinDeltas(frames)),
    started_at: started.at / 1000,
    updated_at: events.at(-1)!.at / 1000,
  }
}

/** Leaves out old toggles and statuses of a very long turn; its texts stay whole. */
function bounded(frames: TurnFrame[]): TurnFrame[] {
  let excess = frames.length - MAX_LIVE
  if (excess <= 0) return frames
  return joinDeltas(
    frames.filter((frame) => excess <= 0 || (frame.type !== 'status' && frame.type !== 'reasoning') || excess-- <= 0),
  )
}
