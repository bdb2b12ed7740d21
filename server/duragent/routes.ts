import { Hono } from 'hono'
import type { Session } from '../../shared/sessions.ts'
import type { Approvals } from '../approvals/service.ts'
import type { Caller } from '../auth/principal.ts'
import type { Bus } from '../bus/bus.ts'
import { AppError } from '../errors.ts'
import type { AppEnv } from '../http/env.ts'
import { operation } from '../http/operation.ts'
import type { Models } from '../models/service.ts'
import type { Sessions } from '../sessions/service.ts'
import {
  AgentAnswer,
  AgentsAnswer,
  CreateInput,
  ListQuery,
  type Message,
  MessagesAnswer,
  MessagesQuery,
  SessionAnswer,
  SessionDetail,
  SessionsAnswer,
} from './schemas.ts'
import { CLIENT, turnRoutes } from './turn-routes.ts'

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

/** What Duragent's clients call (spec duragent-http-and-cli §3.2); `/livez`, `/readyz`, `/version` are the system's. */
export function duragentRoutes(deps: DuragentDeps): Hono<AppEnv> {
  const { sessions, agent } = deps
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
      operation({ id: 'listAgents', summary: 'The agents of this server', scope: 'converse', returns: AgentsAnswer }),
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
        scope: 'converse',
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
        scope: 'converse',
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
        scope: 'converse',
        query: MessagesQuery,
        returns: MessagesAnswer,
        errors: ['invalid_input', 'not_found'],
      }),
      async (c) => {
        const messages = await transcript(sessions, c.var.caller, c.req.param('id'))
        return c.json({ messages: messages.slice(0, c.req.valid('query').limit) })
      },
    )
    .route('/', turnRoutes(deps))
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
