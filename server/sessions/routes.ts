import { type Context, Hono } from 'hono'
import * as v from 'valibot'
import { CreateSessionInput, SendMessageInput, SessionId, TurnText, UpdateSessionInput } from '../../shared/sessions.ts'
import { isFinal } from '../../shared/turn-events.ts'
import type { Bus } from '../bus/bus.ts'
import { invalid } from '../errors.ts'
import type { AppEnv } from '../http/env.ts'
import { operation } from '../http/operation.ts'
import { type SseFrame, sseResponse } from '../http/sse.ts'
import { streamSignal } from '../http/stream-signal.ts'
import { frameOf, joinFrames } from './frames.ts'
import type { Sessions } from './service.ts'

const MAX_WAIT_SECONDS = 900

const wholeNumber = (fallback: number, max: number) =>
  v.optional(
    v.pipe(
      v.string(),
      v.regex(/^\d{1,15}$/, 'must be a whole number'),
      v.transform(Number),
      v.minValue(1),
      v.transform((n) => Math.min(n, max)),
    ),
    String(fallback),
  )

const Offset = v.optional(
  v.pipe(v.string(), v.regex(/^\d{1,15}$/, 'must be an offset of the event log'), v.transform(Number)),
)

/** The session id of the path, which clients choose and strangers may probe. */
export function sessionIdOf(c: Context): string {
  const id = v.safeParse(SessionId, c.req.param('id'))
  if (!id.success) throw invalid('session_id', id.issues[0].message)
  return id.output
}

/** Sessions, their turns and their transcripts (spec openagent-api §2.8 and contract.md). */
export const sessionRoutes = (sessions: Sessions, bus: Bus) =>
  new Hono<AppEnv>()
    .get(
      '/api/sessions',
      operation({
        id: 'listSessions',
        summary: 'Conversations of the caller, pinned and newest first',
        scope: 'read',
        query: v.object({
          limit: wholeNumber(50, 200),
          cursor: v.optional(v.pipe(v.string(), v.maxLength(500))),
          q: v.optional(v.pipe(v.string(), v.maxLength(200))),
          parent: v.optional(SessionId),
          client_id: v.optional(v.string()),
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
        scope: 'read',
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
        scope: 'read',
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
    .post(
      '/api/sessions/:id/messages',
      operation({
        id: 'sendMessage',
        summary: 'Send a message; the session is created when it is unknown',
        description:
          'The answer 202 means that the message is durable and will be answered exactly once. `Prefer: wait=N` waits up ' +
          'to N seconds for the answer. `Idempotency-Key` makes a repeated request answer the first turn.',
        scope: 'chat',
        body: SendMessageInput,
        status: 202,
        returns: 'Turn',
        errors: ['invalid_input', 'unprocessable', 'rate_limited', 'unavailable'],
      }),
      async (c) => {
        const id = sessionIdOf(c)
        const idempotencyKey = c.req.header('idempotency-key')
        if (idempotencyKey !== undefined && !/^[\x21-\x7e]{1,200}$/.test(idempotencyKey)) {
          throw invalid('Idempotency-Key', 'must be 1 to 200 printable characters')
        }
        const sent = await sessions.send(c.var.caller, id, c.req.valid('json'), { idempotencyKey })
        if (sent.replayed) c.header('idempotent-replayed', 'true')
        const wait = waitSeconds(c.req.header('prefer'))
        if (wait > 0) {
          const signal = AbortSignal.any([streamSignal(c, bus), AbortSignal.timeout(wait * 1000)])
          const turn = await sessions.wait(c.var.caller, sent.turn.turn_id, signal)
          c.header('preference-applied', `wait=${wait}`)
          if (isFinal(turn.state)) return c.json(turn, 200)
          return c.json(turn, 202)
        }
        c.header('location', `/api/turns/${sent.turn.turn_id}`)
        return c.json(sent.turn, isFinal(sent.turn.state) ? 200 : 202)
      },
    )
    .get(
      '/api/turns/:turn',
      operation({
        id: 'getTurn',
        summary: 'State and answer of one turn',
        scope: 'read',
        returns: 'Turn',
        errors: ['not_found'],
      }),
      async (c) => c.json(await sessions.turn(c.var.caller, c.req.param('turn'))),
    )
    .get(
      '/api/sessions/:id/messages',
      operation({
        id: 'listMessages',
        summary: 'A page of the transcript, oldest first',
        description:
          '`offset` is where to follow the events from; `open` holds the events so far of turns that are still open.',
        scope: 'read',
        query: v.object({ limit: wholeNumber(50, 200), before: v.optional(v.string()) }),
        returns: '{messages: RunMessage[], nextCursor, offset, open: TurnEvent[]}',
        errors: ['invalid_input', 'not_found'],
      }),
      async (c) => c.json(await sessions.messages(c.var.caller, sessionIdOf(c), c.req.valid('query'))),
    )
    .get(
      '/api/sessions/:id/runs',
      operation({
        id: 'listRuns',
        summary: 'The newest messages, oldest first',
        scope: 'read',
        query: v.object({ limit: wholeNumber(20, 100) }),
        returns: '{session_id, messages: RunMessage[]}',
        errors: ['invalid_input', 'not_found'],
      }),
      async (c) => {
        const id = sessionIdOf(c)
        return c.json({ session_id: id, messages: await sessions.runs(c.var.caller, id, c.req.valid('query').limit) })
      },
    )
    .get(
      '/api/sessions/:id/events',
      operation({
        id: 'followSession',
        summary: 'Events of one session as they happen',
        description:
          'Server-sent events: `id` is the offset, `data` one turn event. Resume with `Last-Event-ID` or `?after=`; ' +
          'without either, the stream begins with the turn that is open now. `event: reset` means that the offset is ' +
          'gone: load the messages again.',
        scope: 'read',
        query: v.object({ after: Offset }),
        media: 'text/event-stream',
        returns: 'TurnEvent',
        errors: ['invalid_input', 'not_found'],
      }),
      async (c) => {
        const id = sessionIdOf(c)
        const after = resumeFrom(c, c.req.valid('query').after)
        const signal = streamSignal(c, bus)
        return sseResponse(await sessionFrames(sessions, c, id, after, signal), { signal })
      },
    )
    .get(
      '/api/sessions/:id/context',
      operation({
        id: 'getContext',
        summary: "What fills the model's window, and what it cost",
        scope: 'read',
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
        scope: 'read',
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
        scope: 'read',
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
      '/api/sessions/:id/interrupt',
      operation({
        id: 'interruptSession',
        summary: 'Stop the running turn and keep its partial text',
        scope: 'chat',
        returns: '{interrupted, turn_id}',
        errors: ['not_found'],
      }),
      async (c) => c.json(await sessions.interrupt(c.var.caller, sessionIdOf(c))),
    )
    .post(
      '/api/sessions/:id/retry',
      operation({
        id: 'retrySession',
        summary: 'Ask the last question again',
        scope: 'chat',
        status: 202,
        returns: 'Turn',
        errors: ['not_found', 'conflict'],
      }),
      async (c) => c.json(await sessions.retry(c.var.caller, sessionIdOf(c)), 202),
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
    .get(
      '/api/sessions/:id/queue',
      operation({
        id: 'getQueue',
        summary: 'The running turn and what waits behind it',
        scope: 'read',
        returns: '{items}',
        errors: ['not_found'],
      }),
      async (c) => c.json(await sessions.queue(c.var.caller, sessionIdOf(c))),
    )
    .put(
      '/api/sessions/:id/queue',
      operation({
        id: 'setQueue',
        summary: 'Order what waits; turns that are left out are removed',
        scope: 'chat',
        body: v.object({ order: v.pipe(v.array(v.string()), v.maxLength(1000)) }),
        returns: '{items, removed}',
        errors: ['invalid_input', 'not_found', 'conflict'],
      }),
      async (c) => c.json(await sessions.setQueue(c.var.caller, sessionIdOf(c), c.req.valid('json').order)),
    )
    .patch(
      '/api/sessions/:id/queue/:turn',
      operation({
        id: 'editQueued',
        summary: 'Rewrite a message that still waits',
        scope: 'chat',
        body: v.object({ text: TurnText }),
        returns: '{items}',
        errors: ['invalid_input', 'not_found', 'conflict'],
      }),
      async (c) =>
        c.json(await sessions.editQueued(c.var.caller, sessionIdOf(c), c.req.param('turn'), c.req.valid('json').text)),
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

/** Seconds from RFC 7240 `Prefer: wait=N`; 0 when absent. */
function waitSeconds(prefer: string | undefined): number {
  const match = /(?:^|[,;\s])wait\s*=\s*"?(\d{1,6})"?/i.exec(prefer ?? '')
  return match ? Math.min(Number(match[1]), MAX_WAIT_SECONDS) : 0
}

/** Where a reader resumes; the header that a browser sends by itself wins over the address it first asked. */
export function resumeFrom(c: Context, query: number | undefined): number | undefined {
  const header = c.req.header('last-event-id')
  return header !== undefined && /^\d{1,15}$/.test(header) ? Number(header) : query
}

async function sessionFrames(
  sessions: Sessions,
  c: Context<AppEnv>,
  id: string,
  after: number | undefined,
  signal: AbortSignal,
): Promise<AsyncIterable<SseFrame | Uint8Array>> {
  const lost = after !== undefined && sessions.isLost(after)
  const from = after === undefined ? await sessions.openFrom(c.var.caller, id) : lost ? sessions.head() : after
  const batches = await sessions.follow(c.var.caller, id, from, signal)
  return (async function* () {
    if (lost) {
      const data = JSON.stringify({
        v: 1,
        reason: 'offset_lost',
        snapshot: `/api/sessions/${encodeURIComponent(id)}/messages`,
      })
      yield { id: String(from), event: 'reset', data }
    }
    for await (const batch of batches) yield joinFrames(batch.map((entry) => frameOf(entry)))
  })()
}
