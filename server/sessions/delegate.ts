import { randomBytes } from 'node:crypto'
import * as v from 'valibot'
import type { Turn } from '../../shared/sessions.ts'
import { isFinal } from '../../shared/turn-events.ts'
import type { Caller } from '../auth/principal.ts'
import type { Approvals } from '../approvals/service.ts'
import type { Bus } from '../bus/bus.ts'
import { AppError, notFound } from '../errors.ts'
import type { Log } from '../system/log.ts'
import { defineTool } from '../tools/define.ts'
import type { Tool, ToolContext } from '../tools/tool.ts'
import { closeTurn } from './close-turn.ts'
import { refOf } from './entries.ts'
import type { EventLog } from './event-log.ts'
import { progressOf } from './progress.ts'
import type { Runner } from './runner.ts'
import type { Sessions } from './service.ts'
import type { SessionRow, SessionStore } from './store.ts'
import type { TurnStore } from './turn-store.ts'

/** What the configuration allows a sub-agent. */
export type DelegateLimits = { timeout_seconds: number; max_depth: number; max_parallel: number }

const PROMPT =
  'You work on one task for another agent, which sees only your last answer. Do the task with your tools, ' +
  'then answer with the result alone. You can ask nothing back.'

/**
 * Sub-agents: each is a session of its own below the one that asked, so that it is seen live, is judged by the same
 * gate, and leaves its transcript.
 */
export function createDelegation(deps: {
  store: SessionStore
  turns: TurnStore
  events: EventLog
  runner: Runner
  sessions: Pick<Sessions, 'send' | 'turn' | 'wait'>
  approvals: Pick<Approvals, 'withdraw'>
  bus: Bus
  limits: () => DelegateLimits
  log: Log
  now: () => number
}) {
  const { store, turns, events, sessions, now } = deps
  /** How many work for a session. */
  const working = new Map<number, number>()

  async function depthOf(session: SessionRow): Promise<number> {
    let depth = 0
    for (let at: SessionRow | undefined = session; at?.origin === 'delegation' && at.parent_sid !== null; depth++) {
      at = await store.bySid(at.parent_sid)
    }
    return depth
  }

  async function begin(caller: Caller, parent: SessionRow, task: string): Promise<SessionRow> {
    const at = now()
    return await events.commit(async (tx) => {
      const { session } = await store.ensure(tx, {
        handle: caller.handle,
        id: `${parent.id}::sub::${randomBytes(4).toString('hex')}`,
        title: task.replace(/\s+/g, ' ').slice(0, 60),
        model: parent.model,
        origin: 'delegation',
        parent_sid: parent.sid,
        system_prompt: PROMPT,
        created_at: at,
        last_active_at: at,
      })
      return { result: session }
    })
  }

  /** Until the turn is final; questions to the owner are waited for. Ends it when the signal says so. */
  async function outcome(caller: Caller, child: SessionRow, id: string, signal: AbortSignal): Promise<Turn> {
    let turn = await sessions.wait(caller, id, signal)
    while (!isFinal(turn.state) && !signal.aborted) turn = await sessions.wait(caller, id, signal)
    if (isFinal(turn.state)) return turn
    // It may still wait for its place.
    await drop(child, id)
    await deps.runner.interrupt(child.sid)
    return await sessions.turn(caller, id).catch(() => turn)
  }

  const drop = (child: SessionRow, id: string): Promise<void> =>
    events.commit(async (tx) => {
      await turns.removeQueued(tx, child.sid, [id])
      return { result: undefined }
    })

  /** What the sub-agent does, step by step, for whoever follows the turn that asked. */
  async function tell(child: SessionRow, progress: NonNullable<ToolContext['progress']>, over: AbortSignal) {
    const names = new Map<string, string>()
    let steps = 0
    for await (const batch of events.follow({ handle: child.handle, sid: child.sid }, events.head(), over)) {
      for (const { event } of batch) {
        if (event.type === 'tool_call') names.set(event.call_id, event.name)
        const message = event.type === 'tool_call'
          ? event.name
          : event.type === 'approval'
          ? `waits for a yes to ${event.name}`
          : event.type === 'tool_progress' && event.message
          ? `${names.get(event.call_id) ?? ''}: ${event.message}`
          : undefined
        if (message) progress({ progress: ++steps, message })
      }
    }
  }

  async function run({ caller, session_id: sessionId, signal, progress }: ToolContext, task: string) {
    const limits = deps.limits()
    const parent = await store.get(caller.handle, sessionId)
    if (!parent) throw notFound('session', sessionId)
    if (await depthOf(parent) >= limits.max_depth) {
      throw new AppError('forbidden', 'A sub-agent of this depth may not delegate further; do the task yourself')
    }
    const busy = working.get(parent.sid) ?? 0
    if (busy >= limits.max_parallel) {
      throw new AppError('rate_limited', `${busy} sub-agents work already; wait for their results and try again`)
    }
    working.set(parent.sid, busy + 1)
    const over = new AbortController()
    try {
      const child = await begin(caller, parent, task)
      if (progress) {
        tell(child, progress, over.signal).catch((error) =>
          deps.log.warn('delegate.not_followed', 'What a sub-agent does could not be told', { error: String(error) })
        )
      }
      const { turn } = await sessions.send(caller, child.id, { text: task }, { source: 'system', policy: 'fifo' })
      const timeout = AbortSignal.timeout(limits.timeout_seconds * 1000)
      const done = await outcome(caller, child, turn.turn_id, AbortSignal.any([signal, timeout]))
      return {
        session_id: child.id,
        state: done.state,
        text: done.text,
        ...(timeout.aborted && done.state !== 'completed' ? { stopped: `after ${limits.timeout_seconds} s` } : {}),
        ...(done.error ? { error: done.error.message } : {}),
      }
    } finally {
      over.abort()
      const left = (working.get(parent.sid) ?? 1) - 1
      if (left > 0) working.set(parent.sid, left)
      else working.delete(parent.sid)
    }
  }

  const tool: Tool = defineTool({
    name: 'delegate',
    description: 'Gives a task to a sub-agent with the same tools and a mind of its own; its answer is the result. ' +
      'Several at once work side by side.',
    // What it does is judged call by call in its own session.
    effect: 'read',
    input_schema: {
      type: 'object',
      properties: {
        task: {
          type: 'string',
          maxLength: 20_000,
          description: 'All it must know; it sees nothing of this conversation',
        },
      },
      required: ['task'],
      additionalProperties: false,
    },
    input: v.strictObject({
      task: v.pipe(
        v.string('must be text'),
        v.trim(),
        v.minLength(1, 'must not be empty'),
        v.maxLength(20_000, 'must have at most 20,000 characters'),
      ),
    }),
    run: ({ task }, context) => run(context, task),
  })

  /**
   * Ends what a stopped process left of sub-agents: whoever asked waits no more, for its turn ended with the process.
   * What a person wrote to a sub-agent goes on.
   */
  async function recover(): Promise<void> {
    const left = (await turns.openFrom('delegation')).filter(({ input }) => input.source === 'system')
    for (const turn of left) {
      const session = await store.bySid(turn.sid)
      if (!session) continue
      const ref = refOf(session, turn.id)
      const progress = progressOf((await events.turnEvents(ref)).map((stored) => stored.e))
      if (!progress.started) {
        await drop(session, turn.id)
        continue
      }
      const error = {
        class: 'internal' as const,
        message: 'The server stopped, and with it the turn that waited for this. Ask again there.',
      }
      // Reply markers stay text: nobody is shown this answer as one.
      const resolveMarker = () => Promise.resolve(undefined)
      const questions = await deps.approvals.withdraw(turn.id)
      const end = { state: 'interrupted' as const, error }
      await closeTurn({ ...deps, resolveMarker }, turn, ref, progress, end, turn.used_model, questions)
    }
  }

  return {
    tool,
    recover,
    /**
     * Sub-agents at work. Whoever asked waits in a running turn, so each gets a place of its own: else the places
     * could all be taken by turns that wait for one.
     */
    count: (): number => [...working.values()].reduce((sum, some) => sum + some, 0),
  }
}
