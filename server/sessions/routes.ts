import { type Context, Hono } from 'hono'
import * as v from 'valibot'
import { CreateSessionInput, SessionId, TurnText, UpdateSessionInput } from '../../shared/sessions.ts'
import { invalid } from '../errors.ts'
import type { AppEnv } from '../http/env.ts'
import { operation } from '../http/operation.ts'
import { sessionIdOf, wholeNumber } from './route-input.ts'
import type { Sessions } from './service.ts'

/** Sessions themselves (spec openagent-api §2.8 and contract.md); their turns are in `turn-routes.ts`. */
export const sessionRoutes = (sessions: Sessions) =>
  new Hono<AppEnv>()
    .get(
      '/api/sessions',
      operation({
        id: 'listSessions',
        summary: 'Conversations of the caller, pinned and newest first',
        description: '`client_id` leaves those that another client began out.',
        scope: 'converse',
        query: v.object({
          limit: wholeNumber(50, 200),
          cursor: v.optional(v.pipe(v.string(), v.maxLength(500))),
          q: v.optional(v.pipe(v.string(), v.maxLength(200))),
          parent: v.optional(SessionId),
          client_id: v.optional(v.pipe(v.string(), v.maxLength(200))),
        }),
        returns: '{sessions: Session[], nextCursor}',
        errors: ['invalid_input', 'not_found'],
      }),
      async (c) => c.json(await sessions.list(c.var.caller, c.req.valid('query'))),
    )
    .post(
      '/api/sessions',
      operation({
        id: 'createSession',
        summary: 'Begin a conversation',
        description: 'Answers 200 with the existing session when the id is known.',
        scope: 'chat',
        body: CreateSessionInput,
        status: 201,
        returns: 'Session',
        errors: ['invalid_input'],
      }),
      async (c) => {
        const { session, created } = await sessions.create(c.var.caller, c.req.valid('json'))
        return c.json(session, created ? 201 : 200)
      },
    )
    .get(
      '/api/sessions/search',
      operation({
        id: 'searchMessages',
        summary: 'Full-text search over all messages of the caller',
        description: 'The matched words in `snippet` stand between U+0002 and U+0003.',
        scope: 'converse',
        query: v.object({
          q: v.pipe(v.string('is missing'), v.minLength(1), v.maxLength(200)),
          limit: wholeNumber(20, 100),
        }),
        returns: '{results: [{session_id, title, message_id, role, timestamp, snippet}]}',
        errors: ['invalid_input'],
      }),
      async (c) => {
        const { q, limit } = c.req.valid('query')
        return c.json({ results: await sessions.search(c.var.caller, q, limit) })
      },
    )
    .get(
      '/api/sessions/:id',
      operation({
        id: 'getSession',
        summary: 'One conversation',
        scope: 'converse',
        returns: 'Session',
        errors: ['not_found'],
      }),
      async (c) => c.json(await sessions.get(c.var.caller, sessionIdOf(c))),
    )
    .patch(
      '/api/sessions/:id',
      operation({
        id: 'updateSession',
        summary: 'Rename, pin, choose a model or a queue policy',
        scope: 'chat',
        body: UpdateSessionInput,
        returns: 'Session with `ok`',
        errors: ['invalid_input', 'not_found'],
      }),
      async (c) => c.json({ ...await sessions.update(c.var.caller, sessionIdOf(c), c.req.valid('json')), ok: true }),
    )
    .delete(
      '/api/sessions/:id',
      operation({
        id: 'deleteSession',
        summary: 'Delete a conversation with its children; what runs in it is stopped first',
        scope: 'chat',
        returns: '{session_id, deleted, deleted_session_ids, deleted_count}',
        errors: ['not_found', 'forbidden'],
      }),
      async (c) => c.json(await sessions.remove(c.var.caller, sessionIdOf(c))),
    )
    .get(
      '/api/sessions/:id/context',
      operation({
        id: 'getContext',
        summary: "What fills the model's window, and what it cost",
        scope: 'converse',
        returns: 'SessionContext',
        errors: ['not_found'],
      }),
      async (c) => c.json(await sessions.context(c.var.caller, sessionIdOf(c))),
    )
    .get(
      '/api/sessions/:id/export',
      operation({
        id: 'exportSession',
        summary: 'The whole transcript as Markdown or JSON',
        scope: 'converse',
        query: v.object({
          format: v.optional(v.picklist(['markdown', 'json'], 'must be markdown or json'), 'markdown'),
        }),
        media: 'text/markdown',
        returns: 'The transcript',
        errors: ['invalid_input', 'not_found'],
      }),
      async (c) => {
        const id = sessionIdOf(c)
        const { format } = c.req.valid('query')
        const text = await sessions.export(c.var.caller, id, format)
        const name = encodeURIComponent(`${id}.${format === 'json' ? 'json' : 'md'}`)
        return c.body(text, 200, {
          'content-type': format === 'json' ? 'application/json; charset=utf-8' : 'text/markdown; charset=utf-8',
          'content-disposition': `attachment; filename*=UTF-8''${name}`,
        })
      },
    )
    .get(
      '/api/sessions/:id/model',
      operation({
        id: 'getSessionModel',
        summary: 'The model pinned to a session',
        scope: 'converse',
        returns: '{session_id, side, runtime_id}',
        errors: ['not_found'],
      }),
      async (c) => {
        const session = await sessions.get(c.var.caller, sessionIdOf(c))
        return c.json({ session_id: session.session_id, side: null, runtime_id: session.model })
      },
    )
    .put('/api/sessions/:id/model', pinOperation('pinSessionModel'), pinModel(sessions))
    .post('/api/sessions/:id/pin', pinOperation('pinSession'), pinModel(sessions))
    .delete(
      '/api/sessions/:id/model',
      operation({
        id: 'unpinSessionModel',
        summary: 'Return to the default model',
        scope: 'chat',
        returns: '{session_id, runtime_id, ok}',
        errors: ['not_found'],
      }),
      async (c) => {
        const session = await sessions.update(c.var.caller, sessionIdOf(c), { model: null })
        return c.json({ session_id: session.session_id, side: null, runtime_id: null, ok: true })
      },
    )
    .post(
      '/api/sessions/:id/clear',
      operation({
        id: 'clearSession',
        summary: 'Forget what was said; the log keeps it',
        scope: 'chat',
        returns: '{session_id, cleared}',
        errors: ['not_found'],
      }),
      async (c) => c.json({ ...await sessions.clear(c.var.caller, sessionIdOf(c)), ok: true }),
    )
    .post(
      '/api/sessions/:id/compact',
      operation({
        id: 'compactSession',
        summary: 'Fold older messages into a summary',
        scope: 'chat',
        returns: '{compacted, text}',
        errors: ['not_found', 'conflict', 'bad_gateway'],
      }),
      async (c) => c.json(await sessions.compact(c.var.caller, sessionIdOf(c))),
    )
    .post(
      '/api/sessions/:id/branch',
      operation({
        id: 'branchSession',
        summary: 'A new session with everything before one of your messages',
        scope: 'chat',
        body: v.object({ message_id: v.pipe(v.string(), v.maxLength(40)), text: v.optional(TurnText) }),
        status: 201,
        returns: 'Session',
        errors: ['invalid_input', 'not_found'],
      }),
      async (c) => {
        const { message_id, text } = c.req.valid('json')
        return c.json(await sessions.branch(c.var.caller, sessionIdOf(c), message_id, text), 201)
      },
    )

const PinInput = v.object({
  runtime_id: v.optional(v.pipe(v.string(), v.minLength(1), v.maxLength(300))),
  model: v.optional(v.pipe(v.string(), v.minLength(1), v.maxLength(300))),
})

function pinOperation(id: string) {
  return operation({
    id,
    summary: 'Pin a session to a model',
    scope: 'chat',
    body: PinInput,
    returns: '{session_id, runtime_id, ok}',
    errors: ['invalid_input', 'not_found'],
  })
}

const pinModel =
  (sessions: Sessions) => async (c: Context<AppEnv, string, { out: { json: v.InferOutput<typeof PinInput> } }>) => {
    const input = c.req.valid('json')
    const model = input.runtime_id ?? input.model
    if (model === undefined) throw invalid('runtime_id', 'is missing; send provider:model, as GET /api/models lists it')
    const session = await sessions.update(c.var.caller, sessionIdOf(c), { model })
    return c.json({ session_id: session.session_id, side: null, runtime_id: session.model, ok: true })
  }
