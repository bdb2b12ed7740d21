import type { RunMessage } from '../../../../shared/sessions.ts'
import type {
  Attachment,
  FailureClass,
  ToolProgress,
  TurnEvent,
  TurnInput,
  TurnState,
} from '../../../../shared/turn-events.ts'

type Of<T extends TurnEvent['type']> = Extract<TurnEvent, { type: T }>

/** A call that waits for a person, or how it was decided. */
export type Approval = Pick<Of<'approval'>, 'approval_id' | 'reason' | 'expires_at'> & {
  /** What a standing yes may cover, the usual first. */
  patterns: NonNullable<Of<'approval'>['patterns']>
  decision: Of<'approval_decided'>['decision'] | null
}

/** One thing that a turn shows, in order. */
export type Part =
  | { kind: 'text'; key: string; text: string }
  | { kind: 'reasoning'; key: string; text: string; since: number; until: number | null }
  | {
    kind: 'tool'
    key: string
    name: string
    arguments: Record<string, unknown>
    result: string | null
    ok: boolean | null
    duration_ms: number | null
    approval: Approval | null
    /** How far it is while it runs. */
    progress: ToolProgress | null
  }
  | { kind: 'notice'; key: string; text: string }
  | { kind: 'retry'; key: string; text: string }
  | {
    kind: 'compaction'
    key: string
    phase: 'running' | 'done' | 'error'
    folded: number | null
    before: number | null
    after: number | null
    error: string | null
  }

/** One question and everything that came of it, as the page shows it. */
export type Turn = {
  id: string
  /** The id of the user's message, for branching; null for turns that nobody typed (a compaction). */
  messageId: string | null
  input: TurnInput | null
  state: TurnState
  position: number | null
  /** Epoch ms: when it was asked, and when its answer was final. */
  at: number
  finishedAt: number | null
  parts: Part[]
  attachments: Attachment[]
  model: string | null
  cost: number | null
  tokens: number | null
  error: { class: FailureClass | string; message: string } | null
}

/** An empty turn that starts at `at` (epoch ms). */
export const emptyTurn = (id: string, at: number): Turn => ({
  ...{ id, messageId: null, input: null, state: 'running', position: null, at, finishedAt: null },
  ...{ parts: [], attachments: [], model: null, cost: null, tokens: null, error: null },
})

/** Changes `turn` by one event; the one reducer behind replay and live. */
export function applyEvent(turn: Turn, event: TurnEvent): void {
  const key = `${event.offset}`
  if (event.type !== 'usage') settle(turn, event)
  switch (event.type) {
    case 'turn_queued':
      turn.input = event.input
      turn.state = 'queued'
      turn.position = event.position
      break
    case 'turn_started':
      turn.input = event.input
      turn.state = 'running'
      turn.position = 0
      turn.model = event.model ?? turn.model
      break
    case 'step':
      turn.model = event.model
      break
    case 'text':
    case 'reasoning':
      appendDelta(turn, event, key)
      break
    case 'tool_call':
      if (!toolOf(turn, event.call_id)) {
        turn.parts.push({
          ...{ kind: 'tool', key: event.call_id, name: event.name, arguments: event.arguments },
          ...{ result: null, ok: null, duration_ms: null, approval: null, progress: null },
        })
      }
      break
    case 'tool_result': {
      const tool = toolOf(turn, event.call_id)
      if (tool) {
        Object.assign(tool, { result: event.result, ok: event.ok, duration_ms: event.duration_ms, progress: null })
      }
      break
    }
    case 'tool_progress': {
      const tool = toolOf(turn, event.call_id)
      const { progress, total, message } = event
      if (tool && tool.result === null) tool.progress = { progress, total, message }
      break
    }
    case 'approval':
      turn.state = 'awaiting_approval'
      awaitDecision(turn, event)
      break
    case 'approval_decided': {
      const tool = toolOf(turn, event.call_id)
      if (tool?.approval) tool.approval.decision = event.decision
      const waits = turn.parts.some((part) => part.kind === 'tool' && part.approval?.decision === null)
      if (!waits) turn.state = 'running'
      break
    }
    case 'usage':
      turn.tokens = (turn.tokens ?? 0) + event.usage.input_tokens + event.usage.output_tokens
      if (event.cost_usd !== null) turn.cost = (turn.cost ?? 0) + event.cost_usd
      break
    case 'retry':
      turn.parts.push({ kind: 'retry', key, text: retryText(event) })
      break
    case 'compaction':
      applyCompaction(turn, event, key)
      break
    case 'notice':
      turn.parts.push({ kind: 'notice', key, text: event.text })
      break
    case 'turn_finished':
      finish(turn, event)
      break
  }
}

/** Reasoning ends with whatever comes next, and a pending retry is over when something comes of it. */
function settle(turn: Turn, event: TurnEvent): void {
  const last = turn.parts.at(-1)
  if (last?.kind === 'reasoning' && event.type !== 'reasoning') last.until ??= event.at
  if (last?.kind === 'retry' && event.type !== 'step') turn.parts.pop()
}

function appendDelta(turn: Turn, event: Of<'text'> | Of<'reasoning'>, key: string): void {
  const last = turn.parts.at(-1)
  if (last?.kind === event.type) last.text += event.delta
  else if (event.type === 'text') turn.parts.push({ kind: 'text', key, text: event.delta })
  else turn.parts.push({ kind: 'reasoning', key, text: event.delta, since: event.at, until: null })
}

function awaitDecision(turn: Turn, event: Of<'approval'>): void {
  let tool = toolOf(turn, event.call_id)
  if (!tool) {
    turn.parts.push({
      ...{ kind: 'tool', key: event.call_id, name: event.name, arguments: event.arguments },
      ...{ result: null, ok: null, duration_ms: null, approval: null, progress: null },
    })
    tool = toolOf(turn, event.call_id)!
  }
  const { approval_id, reason, expires_at, patterns = [] } = event
  tool.approval = { approval_id, reason, expires_at, patterns, decision: null }
}

function applyCompaction(turn: Turn, event: Of<'compaction'>, key: string): void {
  const now = {
    phase: event.phase,
    folded: event.folded_messages ?? null,
    before: event.tokens_before ?? null,
    after: event.tokens_after ?? null,
    error: event.error ?? null,
  }
  const running = turn.parts.find((part) => part.kind === 'compaction' && part.phase === 'running')
  if (running) Object.assign(running, now)
  else turn.parts.push({ kind: 'compaction', key, ...now })
}

function finish(turn: Turn, event: Of<'turn_finished'>): void {
  turn.state = event.state
  turn.position = null
  turn.finishedAt = event.at
  turn.model = event.model ?? turn.model
  turn.error = event.error ?? null
  turn.attachments = event.attachments ?? []
  const last = turn.parts.findLast((part) => part.kind === 'text')
  // The final text is the streamed one without its reply markers; where they differ, the final one counts.
  if (event.text !== '' && !turn.parts.some((part) => part.kind === 'text' && part.text.trim() === event.text.trim())) {
    if (!last) turn.parts.push({ kind: 'text', key: `${event.offset}`, text: event.text })
    else if (textOf(turn) !== event.text.trim()) last.text = event.text
  }
}

/** The answer as one text, tool calls and reasoning left out. */
export const textOf = (turn: Turn): string =>
  turn.parts.flatMap((part) => (part.kind === 'text' ? [part.text.trim()] : [])).join('\n\n')

const toolOf = (turn: Turn, callId: string) =>
  turn.parts.find((part): part is Extract<Part, { kind: 'tool' }> => part.kind === 'tool' && part.key === callId)

function retryText({ attempt, after_ms, reason }: Of<'retry'>): string {
  const wait = after_ms >= 1000 ? ` in ${Math.round(after_ms / 1000)} s` : ''
  return `${reason.replace(/[.\s]+$/, '')}. Trying again${wait} (attempt ${attempt + 1}).`
}

/** Turns from a page of stored messages, oldest first; messages of one turn follow each other. */
export function turnsOf(messages: readonly RunMessage[]): Turn[] {
  const turns: Turn[] = []
  for (const message of messages) {
    let turn = turns.at(-1)
    if (!turn || turn.id !== message.turn_id) {
      turn = { ...emptyTurn(message.turn_id, message.timestamp * 1000), state: 'completed' }
      turns.push(turn)
    }
    addMessage(turn, message)
  }
  return turns
}

function addMessage(turn: Turn, message: RunMessage): void {
  const at = message.timestamp * 1000
  if (message.state) turn.state = message.state
  if (message.error) turn.error = message.error
  if (message.model) turn.model = message.model
  if (message.usage) {
    turn.tokens = message.usage.input_tokens + message.usage.output_tokens
    turn.cost = message.usage.cost_usd
  }
  if (message.role === 'user') {
    turn.messageId = message.id
    turn.at = at
    turn.input = { text: message.text, attachments: message.attachments, author: message.author }
    return
  }
  turn.finishedAt = at
  if (message.reasoning) {
    turn.parts.push({ kind: 'reasoning', key: `${message.id}-r`, text: message.reasoning, since: at, until: at })
  }
  if (message.role === 'tool' && message.toolInfo) {
    const { tool_name, tool_call_id, tool_args, tool_call_error, result, duration_ms } = message.toolInfo
    turn.parts.push({
      ...{
        kind: 'tool',
        // An id may stand twice in what was kept earlier; two parts with one key could not be drawn.
        key: toolOf(turn, tool_call_id) ? message.id : tool_call_id,
        name: tool_name,
        arguments: tool_args,
        result,
        approval: null,
        progress: null,
      },
      ...{ ok: result === null ? null : !tool_call_error, duration_ms: duration_ms ?? null },
    })
    return
  }
  if (message.role === 'compaction') {
    const { folded_messages, tokens_before, tokens_after } = message.compaction ??
      { folded_messages: null, tokens_before: null, tokens_after: null }
    turn.parts.push({
      ...{ kind: 'compaction', key: message.id, phase: 'done', error: null },
      ...{ folded: folded_messages, before: tokens_before, after: tokens_after },
    })
    return
  }
  if (message.text) turn.parts.push({ kind: 'text', key: message.id, text: message.text })
  if (message.attachments) turn.attachments = [...turn.attachments, ...message.attachments]
}
