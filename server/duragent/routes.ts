import { Hono } from 'hono'
import { ulid } from 'ulid'
import type { Session } from '../../shared/sessions.ts'
import type { Approvals } from '../approvals/service.ts'
import type { Caller } from '../auth/principal.ts'
import type { Bus } from '../bus/bus.ts'
import { AppError, invalid, notFound } from '../errors.ts'
import type { AppEnv } from '../http/env.ts'
import { operation } from '../http/operation.ts'
import { sseResponse } from '../http/sse.ts'
import { streamSignal } from '../http/stream-signal.ts'
import type { Models } from '../models/service.ts'
import type { Sessions } from '../sessions/service.ts'
import {
  AgentAnswer,
  AgentsAnswer,
  ApproveAnswer,
  ApproveInput,
  ContentInput,
  CreateInput,
  ListQuery,
  type Message,
  MessageAnswer,
  MessagesAnswer,
  MessagesQuery,
  SessionAnswer,
  SessionDetail,
  SessionsAnswer,
} from './schemas.ts'
import { framesOf, watchLeaving } from './stream.ts'
import { abandon, answerOf, commandOf, eventsOf, say } from './turns.ts'

export type DuragentDeps = {
  sessions: Sessions
  approvals: Approvals
  models: Pick<Models, 'resolve'>
  bus: Bus
  version: string
  /** What the configuration says of the one agent. */
  agent: () => { name: string; system_prompt: string; turn_timeout_seconds: number }
  /** Reads the configuration again now. */
  reload: () => Promise<void>
  /** Begins a graceful stop and returns at once; throws `conflict` when one has begun. */
  shutdown: (caller: Caller) => void | Promise<void>
}

/**
 * Sessions that `pause` carry this as their client, so that the choice outlives a restart without a column of its own.
 */
const CLIENT = { continue: 'duragent', pause: 'duragent:pause' } as const

const KEEP_ALIVE_MS = 15_000

/** What Duragent's clients call (spec duragent-http-and-cli §3.2); `/livez`, `/readyz`, `/version` are the system's. */
export function duragentRoutes(deps: DuragentDeps): Hono<AppEnv> {
  const { sessions, approvals, bus, agent } = deps
  const agentName = () => slugOf(agent().name)
  const known = (name: string): void => {
    if (name !== agentName() && name !== agent().name) {
      throw new AppError('not_found', `agent ${name.slice(0, 100)} was not found; this server has ${agentName()}`)
    }
  }
  const answer = async (caller: Caller, session: Session): Promise<SessionAnswer> => ({
    session_id: session.session_id,
    agent: agentName(),
    status: session._live ? await statusOf(sessions, caller, session.session_id) : 'active',
    created_at: time(session.created_at),
  })

  return new Hono<AppEnv>()
    .get(
      '/api/v1/agents',
      operation({ id: 'listAgents', summary: 'The agents of this server', scope: 'read', returns: AgentsAnswer }),
      (c) => c.json({ agents: [{ name: agentName(), description: agent().name, version: deps.version }] }),
    )
    .get(
      '/api/v1/agents/:name',
      operation({
        id: 'getAgent',
        summary: 'How an agent is set up',
        scope: 'read',
        returns: AgentAnswer,
        errors: ['not_found'],
      }),
      async (c) => {
        known(c.req.param('name'))
        const model = await deps.models.resolve(null)
        return c.json({
          api_version: 'duragent/v1alpha1',
          kind: 'Agent',
          metadata: { name: agentName(), description: agent().name, version: deps.version },
          spec: {
            model: {
              provider: model.runtime_id.slice(0, model.runtime_id.indexOf(':')),
              name: model.model,
              max_input_tokens: model.context_window,
            },
            system_prompt: agent().system_prompt,
          },
        })
      },
    )
    .get(
      '/api/v1/sessions',
      operation({
        id: 'listAgentSessions',
        summary: 'Conversations of the caller, newest first',
        scope: 'read',
        query: ListQuery,
        returns: SessionsAnswer,
        errors: ['invalid_input'],
      }),
      async (c) => {
        const { limit = 200, cursor } = c.req.valid('query')
        const page = await sessions.list(c.var.caller, { limit, cursor })
        const all = await Promise.all(page.sessions.map((session) => answer(c.var.caller, session)))
        return c.json({ sessions: all, nextCursor: page.nextCursor })
      },
    )
    .post(
      '/api/v1/sessions',
      operation({
        id: 'createAgentSession',
        summary: 'Begin a conversation with an agent',
        description: 'With `on_disconnect: "pause"` an answer stops when the reader of its stream goes away.',
        scope: 'chat',
        body: CreateInput,
        status: 201,
        returns: SessionAnswer,
        errors: ['invalid_input', 'not_found'],
      }),
      async (c) => {
        const input = c.req.valid('json')
        known(input.agent)
        const { session } = await sessions.create(c.var.caller, {}, CLIENT[input.on_disconnect])
        return c.json(await answer(c.var.caller, session), 201)
      },
    )
    .get(
      '/api/v1/sessions/:id',
      operation({
        id: 'getAgentSession',
        summary: 'One conversation and its status',
        scope: 'read',
        returns: SessionDetail,
        errors: ['not_found'],
      }),
      async (c) => {
        const session = await sessions.get(c.var.caller, c.req.param('id'))
        return c.json({ ...await answer(c.var.caller, session), updated_at: time(session.last_active_at) })
      },
    )
    .delete(
      '/api/v1/sessions/:id',
      operation({
        id: 'deleteAgentSession',
        summary: 'Delete a conversation; what runs in it is stopped first',
        scope: 'chat',
        status: 204,
        errors: ['not_found', 'forbidden'],
      }),
      async (c) => {
        await sessions.remove(c.var.caller, c.req.param('id'))
        return c.body(null, 204)
      },
    )
    .get(
      '/api/v1/sessions/:id/messages',
      operation({
        id: 'listAgentMessages',
        summary: 'What was said, oldest first',
        description: 'Tool calls are left out. `limit` keeps the oldest messages, as in Duragent.',
        scope: 'read',
        query: MessagesQuery,
        returns: MessagesAnswer,
        errors: ['invalid_input', 'not_found'],
      }),
      async (c) => {
        const messages = await transcript(sessions, c.var.caller, c.req.param('id'))
        return c.json({ messages: messages.slice(0, c.req.valid('query').limit) })
      },
    )
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
        await approvals.decide(caller, asked.id, decision)
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
    .post(
      '/api/admin/v1/shutdown',
      operation({
        id: 'shutdown',
        summary: 'Stop the server; requests in flight are finished first',
        scope: 'admin',
        media: 'text/plain',
        returns: 'A sentence',
        errors: ['conflict', 'unavailable'],
      }),
      async (c) => {
        await deps.shutdown(c.var.caller)
        return c.text('Shutting down')
      },
    )
    .post(
      '/api/admin/v1/reload-agents',
      operation({
        id: 'reloadAgents',
        summary: 'Read the configuration again',
        scope: 'admin',
        media: 'text/plain',
        returns: 'How many agents there are',
      }),
      async (c) => {
        await deps.reload()
        return c.text('Reloaded 1 agent')
      },
    )
}

/** A name for addresses: `My Agent` is reached as `my-agent`. */
function slugOf(name: string): string {
  const slug = name.normalize('NFKD').replace(/\p{M}+/gu, '').toLowerCase().replace(/[^\p{L}\p{N}]+/gu, '-')
  return slug.replace(/^-+|-+$/g, '') || 'agent'
}

const messageId = (): string => `msg_${ulid()}`

const time = (seconds: number): string => new Date(seconds * 1000).toISOString()

/** `completed` never comes: a conversation here can always go on. */
async function statusOf(sessions: Sessions, caller: Caller, id: string): Promise<'active' | 'paused' | 'running'> {
  const { items } = await sessions.queue(caller, id)
  if (items.length === 0) return 'active'
  return items.some((item) => item.state === 'awaiting_approval') ? 'paused' : 'running'
}

/** Everything that was said, read from the newest page back. */
async function transcript(sessions: Sessions, caller: Caller, id: string): Promise<Message[]> {
  let said: Message[] = []
  let before: string | undefined
  for (;;) {
    const page = await sessions.messages(caller, id, { limit: 200, before })
    const messages = page.messages.flatMap(({ role, text }) =>
      (role === 'user' || role === 'assistant') && text !== '' ? [{ role, content: text }] : []
    )
    said = [...messages, ...said]
    if (page.nextCursor === null) return said
    before = page.nextCursor
  }
}
