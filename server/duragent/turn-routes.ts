import { Hono } from 'hono'
import { ulid } from 'ulid'
import type { Approvals } from '../approvals/service.ts'
import type { Bus } from '../bus/bus.ts'
import { invalid, notFound } from '../errors.ts'
import type { AppEnv } from '../http/env.ts'
import { operation } from '../http/operation.ts'
import { sseResponse } from '../http/sse.ts'
import { streamSignal } from '../http/stream-signal.ts'
import type { Sessions } from '../sessions/service.ts'
import { ApproveAnswer, ApproveInput, ContentInput, MessageAnswer } from './schemas.ts'
import { framesOf, watchLeaving } from './stream.ts'
import { abandon, answerOf, commandOf, eventsOf, say } from './turns.ts'

/**
 * Sessions that `pause` carry this as their client, so that the choice outlives a restart without a column of its own.
 */
export const CLIENT = { continue: 'duragent', pause: 'duragent:pause' } as const

const KEEP_ALIVE_MS = 15_000

type Deps = {
  sessions: Sessions
  approvals: Approvals
  bus: Bus
  agent: () => { turn_timeout_seconds: number }
}

/** The routes that run a turn: say something and wait, read it as a stream, answer a question. */
export function turnRoutes(deps: Deps): Hono<AppEnv> {
  const { sessions, approvals, bus, agent } = deps
  return new Hono<AppEnv>()
    .post(
      '/api/v1/sessions/:id/messages',
      operation({
        id: 'sendAgentMessage',
        summary: 'Say something and wait for the answer',
        description:
          '202 with `{session_id, call_id, command}` means that a call waits for an approval: answer it at `/approve`. ' +
          'After 408 the turn goes on.',
        scope: 'chat',
        body: ContentInput,
        returns: MessageAnswer,
        errors: ['invalid_input', 'not_found', 'timeout', 'conflict', 'rate_limited', 'internal', 'unavailable'],
      }),
      async (c) => {
        const session_id = c.req.param('id')
        const following = await say(sessions, c.var.caller, session_id, c.req.valid('json').content)
        const said = await answerOf(deps, following, streamSignal(c, bus), agent().turn_timeout_seconds)
        if ('question' in said) return c.json({ session_id, ...said.question }, 202)
        return c.json({ message_id: messageId(), role: 'assistant', content: said.content })
      },
    )
    .post(
      '/api/v1/sessions/:id/stream',
      operation({
        id: 'streamAgentMessage',
        summary: 'Say something and read the answer as it comes',
        description:
          'Server-sent events: `start`, `token {content}`, `approval_required {call_id, command}`, and last one of ' +
          '`done {message_id, usage}`, `cancelled`, `error {message}`.',
        scope: 'chat',
        body: ContentInput,
        media: 'text/event-stream',
        returns: 'Events by name',
        errors: ['invalid_input', 'not_found', 'rate_limited'],
      }),
      async (c) => {
        const { caller } = c.var
        const id = c.req.param('id')
        const { client_id } = await sessions.get(caller, id)
        const following = await say(sessions, caller, id, c.req.valid('json').content)
        const gone = new AbortController()
        const signal = AbortSignal.any([streamSignal(c, bus), gone.signal])
        const frames = watchLeaving(framesOf(eventsOf(deps, following, signal)), () => {
          gone.abort()
          // Whatever refuses to stop has ended by itself.
          if (client_id === CLIENT.pause) void abandon(sessions, following).catch(() => {})
        })
        // Only the client's own signal cuts the stream: a stop of the server is told with a last event.
        return sseResponse(frames, { signal: c.req.raw.signal, heartbeatMs: KEEP_ALIVE_MS, retry: false })
      },
    )
    .post(
      '/api/v1/sessions/:id/approve',
      operation({
        id: 'approveAgentCall',
        summary: 'Answer a call that waits, then wait for the rest',
        description: '202 with `{status: "pending_approval", call_id, command}` means that another call waits.',
        scope: 'chat',
        body: ApproveInput,
        returns: ApproveAnswer,
        errors: ['invalid_input', 'not_found', 'timeout', 'conflict', 'internal', 'unavailable'],
      }),
      async (c) => {
        const { caller } = c.var
        const id = c.req.param('id')
        const { call_id, command, decision } = c.req.valid('json')
        const waiting = (await approvals.list(caller, 'pending')).filter((one) => one.session_id === id).reverse()
        if (waiting.length === 0) throw notFound('pending approval of session', id)
        const asked = waiting.find((one) => one.call_id === call_id)
        if (!asked) throw invalid('call_id', 'is not the call that waits; send the call_id of the question')
        if (command !== commandOf(asked.tool, asked.arguments)) {
          throw invalid('command', 'is not what the call will run; send the command of the question unchanged')
        }
        const after = sessions.head()
        await approvals.decide(caller, asked.id, decision, { via: 'duragent' })
        const next = waiting.find((one) => one !== asked)
        if (next) {
          const question = { call_id: next.call_id, command: commandOf(next.tool, next.arguments) }
          return c.json({ status: 'pending_approval', ...question }, 202)
        }
        const following = { caller, session: id, turn: asked.turn_id, after }
        const said = await answerOf(deps, following, streamSignal(c, bus), agent().turn_timeout_seconds)
        if ('question' in said) return c.json({ status: 'pending_approval', ...said.question }, 202)
        return c.json({ status: 'complete', message_id: messageId(), content: said.content })
      },
    )
}

const messageId = (): string => `msg_${ulid()}`
