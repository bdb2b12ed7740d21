import type { CallToolResult, Tool as McpTool } from '@modelcontextprotocol/sdk/types.js'
import { ulid } from 'ulid'
import * as v from 'valibot'
import { SessionId, type Turn, TurnText } from '../../shared/sessions.ts'
import { isFinal, type TurnEvent } from '../../shared/turn-events.ts'
import { invalid } from '../errors.ts'
import { messageOf } from '../http/refusal-words.ts'
import type { Sessions } from '../sessions/service.ts'
import type { CallContext } from './features.ts'
import { createProgress } from './progress.ts'

const MOST_SECONDS = 900
const USUAL_SECONDS = 300
/** A client that hears nothing for long gives up; a model may think for longer. */
const SIGN_OF_LIFE_MS = 10_000

const Input = v.strictObject({
  text: v.optional(TurnText),
  session_id: v.optional(SessionId),
  turn_id: v.optional(v.pipe(v.string('must be text'), v.maxLength(64))),
  wait_seconds: v.optional(
    v.pipe(
      v.number('must be a number'),
      v.minValue(1, 'must be at least 1'),
      v.maxValue(MOST_SECONDS, `must be at most ${MOST_SECONDS}`),
    ),
    USUAL_SECONDS,
  ),
})

/** The tool as clients see it. */
export const askAgentTool: McpTool = {
  name: 'ask_agent',
  title: 'Ask the agent',
  description: 'Sends a message to the Gatehouse agent, which has its own tools, notes and memory, and waits for the ' +
    'answer. Give the session_id of an earlier answer to go on with that conversation. If the answer says that it ' +
    'is still running, call again with its turn_id, and without text, to wait longer.',
  inputSchema: {
    type: 'object',
    properties: {
      text: { type: 'string', description: 'The message' },
      session_id: { type: 'string', description: 'Conversation to go on with; a new one begins without' },
      turn_id: { type: 'string', description: 'In place of text: the answer to wait for' },
      wait_seconds: {
        type: 'number',
        minimum: 1,
        maximum: MOST_SECONDS,
        default: USUAL_SECONDS,
        description: 'How long to wait at most',
      },
    },
    additionalProperties: false,
  },
  outputSchema: {
    type: 'object',
    properties: {
      session_id: { type: 'string' },
      turn_id: { type: 'string' },
      state: {
        type: 'string',
        enum: ['queued', 'running', 'awaiting_approval', 'completed', 'failed', 'interrupted'],
      },
      text: { type: 'string', description: 'The answer; empty until it is final' },
    },
    required: ['session_id', 'turn_id', 'state', 'text'],
  },
  annotations: { readOnlyHint: false, destructiveHint: false, openWorldHint: true },
}

export type AskAgent = ReturnType<typeof createAskAgent>

/** A message to the agent in the name of the caller; what the agent then does is judged call by call in its session. */
export function createAskAgent({ sessions, question }: {
  sessions: Sessions
  /** Puts a question of the agent to the person at the client. */
  question: (event: Extract<TurnEvent, { type: 'approval' }>, context: CallContext, over: AbortSignal) => Promise<void>
}) {
  async function begin({ text, session_id, turn_id }: v.InferOutput<typeof Input>, context: CallContext) {
    const { caller, client } = context
    const after = sessions.head()
    if (turn_id !== undefined) {
      if (text !== undefined) throw invalid('turn_id', 'goes without text: it waits for an answer that is under way')
      return { after, turn: await sessions.turn(caller, turn_id) }
    }
    if (text === undefined) throw invalid('text', 'is missing')
    const id = session_id ?? `mcp:${ulid().toLowerCase()}`
    const { turn } = await sessions.send(caller, id, { text }, { clientId: `mcp:${client || 'client'}` })
    return { after, turn }
  }

  /** Tells the client what happens in the turn, and asks what the agent asks, until it is over. */
  async function follow(turn: Turn, after: number, context: CallContext, signal: AbortSignal): Promise<void> {
    const update = createProgress(context)
    let progress = 0
    const tell = (message: string): void => update?.({ progress: ++progress, message })
    let characters = 0
    const asked = new Map<string, AbortController>()
    const timer = setInterval(() => tell('Still at work'), SIGN_OF_LIFE_MS)
    try {
      for await (const batch of await sessions.follow(context.caller, turn.session_id, after, signal)) {
        for (const { event } of batch) {
          if (event.turn_id !== turn.turn_id) continue
          if (event.type === 'text') characters += event.delta.length
          const message = event.type === 'text' ? `Writing: ${characters} characters` : inWords(event)
          if (message) tell(message)
          if (event.type === 'notice') await context.log('notice', event.text)
          if (event.type === 'approval') {
            const over = new AbortController()
            asked.set(event.approval_id, over)
            void question(event, context, AbortSignal.any([signal, over.signal]))
          }
          if (event.type === 'approval_decided') asked.get(event.approval_id)?.abort()
        }
      }
    } finally {
      clearInterval(timer)
    }
  }

  /** Nobody wants the answer any more; a client that only went away may still read it. */
  async function callOff(turn: Turn, { caller }: CallContext): Promise<void> {
    const now = await sessions.turn(caller, turn.turn_id)
    if (now.state === 'queued') await sessions.removeQueued(caller, turn.session_id, turn.turn_id)
    else if (!isFinal(now.state)) await sessions.interrupt(caller, turn.session_id)
  }

  return async (args: Record<string, unknown>, context: CallContext): Promise<CallToolResult> => {
    const parsed = v.safeParse(Input, args, { abortPipeEarly: true })
    if (!parsed.success) {
      const issue = parsed.issues[0]
      throw invalid(issue.path?.map((step) => String(step.key)).join('.') || 'input', messageOf(issue))
    }
    const { caller, signal } = context
    const { after, turn } = await begin(parsed.output, context)
    const over = new AbortController()
    const either = AbortSignal.any([signal, AbortSignal.timeout(parsed.output.wait_seconds * 1000)])
    const following = follow(turn, after, context, AbortSignal.any([either, over.signal]))
    // A turn that was taken out of the queue ends the wait with an error of its own.
    following.catch(() => {})
    try {
      let now = await sessions.wait(caller, turn.turn_id, either)
      while (!isFinal(now.state) && !either.aborted) now = await sessions.wait(caller, turn.turn_id, either)
      if (signal.aborted && !context.isGone()) await callOff(turn, context)
      return resultOf(now)
    } finally {
      over.abort()
    }
  }
}

function resultOf({ session_id, turn_id, state, text, error }: Turn): CallToolResult {
  const answer = { session_id, turn_id, state, text: text ?? '' }
  const words = state === 'completed'
    ? answer.text
    : isFinal(state)
    ? [answer.text, error?.message ?? 'The agent was stopped.'].filter(Boolean).join('\n\n')
    : state === 'awaiting_approval'
    ? `The agent waits for a yes of the owner, under Approvals in Gatehouse. Call ask_agent with turn_id ${turn_id} ` +
      'to wait for the answer.'
    : `The agent is still at work. Call ask_agent with turn_id ${turn_id} to wait for the answer.`
  return {
    content: [{ type: 'text', text: words }],
    structuredContent: answer,
    ...(state === 'failed' ? { isError: true } : {}),
  }
}

/** What is worth telling of an event; undefined for the others. */
function inWords(event: TurnEvent): string | undefined {
  if (event.type === 'turn_started') return 'The agent begins'
  if (event.type === 'step') return `Step ${event.index + 1}, ${event.model}`
  if (event.type === 'tool_call') return `Calls ${event.name}`
  if (event.type === 'tool_result') return `${event.name} ${event.ok ? 'is done' : 'failed'}`
  if (event.type === 'approval') return `Waits for a yes to ${event.name}`
  if (event.type === 'retry') return `The model did not answer; trying again in ${Math.ceil(event.after_ms / 1000)} s`
  return undefined
}
