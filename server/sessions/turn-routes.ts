import { type Context, Hono } from 'hono'
import * as v from 'valibot'
import { ModelName, SendMessageInput, TurnText } from '../../shared/sessions.ts'
import { isFinal } from '../../shared/turn-events.ts'
import type { Bus } from '../bus/bus.ts'
import type { AppEnv } from '../http/env.ts'
import { idempotencyKeyOf } from '../http/kept-answers.ts'
import { operation } from '../http/operation.ts'
import { type SseFrame, sseResponse } from '../http/sse.ts'
import { streamSignal } from '../http/stream-signal.ts'
import { frameOf, joinFrames } from './frames.ts'
import { MessageId, Offset, resumeFrom, sessionIdOf, wholeNumber } from './route-input.ts'
import type { Queue } from './queue-verbs.ts'
import type { Sessions } from './service.ts'

const MAX_WAIT_SECONDS = 900

/** Messages, turns, their events and their queue (contract.md). */
export const turnRoutes = (sessions: Sessions, bus: Bus) =>
  new Hono<AppEnv>()
    .post(
      '/api/sessions/:id/messages',
      operation({
        id: 'sendMessage',
        summary: 'Send a message; the session is created when it is unknown',
        description:
          'The answer 202 means that the message is durable and will be answered exactly once. `Prefer: wait=N` waits up ' +
          'to N seconds for the answer.',
        ownKey: 'A repeated request answers the turn of the first',
        scope: 'chat',
        body: SendMessageInput,
        status: 202,
        returns: 'Turn',
        errors: ['invalid_input', 'unprocessable', 'rate_limited', 'unavailable'],
      }),
      async (c) => {
        const id = sessionIdOf(c)
        const idempotencyKey = idempotencyKeyOf(c)
        const sent = await sessions.send(c.var.caller, id, c.req.valid('json'), { idempotencyKey, atOnce: true })
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
        scope: 'converse',
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
        scope: 'converse',
        query: v.object({ limit: wholeNumber(50, 200), before: MessageId }),
        returns: '{messages: RunMessage[], nextCursor, offset, open: TurnEvent[]}',
        errors: ['invalid_input', 'not_found'],
      }),
      async (c) => c.json(await sessions.messages(c.var.caller, sessionIdOf(c), c.req.valid('query'))),
    )
    .get(
      '/api/sessions/:id/runs',
      operation({
        id: 'listRuns',
        summary: 'All messages of the newest turns, oldest first',
        description: '`limit` counts turns, 20 unless told and 100 at most.',
        scope: 'converse',
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
        scope: 'converse',
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
        description: 'Of the model that it was sent to; `model` names another.',
        scope: 'chat',
        body: v.object({ model: ModelName }),
        status: 202,
        returns: 'Turn',
        errors: ['invalid_input', 'not_found', 'conflict'],
      }),
      async (c) => c.json(await sessions.retry(c.var.caller, sessionIdOf(c), c.req.valid('json').model), 202),
    )
    .get(
      '/api/sessions/:id/queue',
      operation({
        id: 'getQueue',
        summary: 'The running turn and what waits behind it',
        scope: 'converse',
        returns: '{items}',
        errors: ['not_found'],
      }),
      async (c) => queueAnswer(c, await sessions.queue(c.var.caller, sessionIdOf(c))),
    )
    .put(
      '/api/sessions/:id/queue',
      operation({
        id: 'setQueue',
        summary: 'Order what waits; turns that are left out are removed',
        scope: 'chat',
        description: 'With `keep_others`, turns that are left out (they came meanwhile) go to the end instead. ' +
          'With `If-Match`, a queue that changed since is refused with 412.',
        body: v.object({ order: v.pipe(v.array(v.string()), v.maxLength(1000)), keep_others: v.optional(v.boolean()) }),
        returns: '{items, removed}',
        errors: ['invalid_input', 'not_found', 'conflict', 'precondition_failed'],
      }),
      async (c) => {
        const { order, keep_others } = c.req.valid('json')
        const ifMatch = c.req.header('if-match')
        return queueAnswer(c, await sessions.setQueue(c.var.caller, sessionIdOf(c), order, keep_others, ifMatch))
      },
    )
    .patch(
      '/api/sessions/:id/queue/:turn',
      operation({
        id: 'editQueued',
        summary: 'Rewrite a message that still waits',
        scope: 'chat',
        body: v.object({ text: TurnText }),
        returns: '{items}',
        errors: ['invalid_input', 'not_found', 'conflict', 'precondition_failed'],
      }),
      async (c) => {
        const { text } = c.req.valid('json')
        const { caller } = c.var
        const ifMatch = c.req.header('if-match')
        return queueAnswer(c, await sessions.editQueued(caller, sessionIdOf(c), c.req.param('turn'), text, ifMatch))
      },
    )
    .delete(
      '/api/sessions/:id/queue/:turn',
      operation({
        id: 'removeQueued',
        summary: 'Take one message out of the queue',
        scope: 'chat',
        returns: '{items, removed}',
        errors: ['not_found', 'conflict', 'precondition_failed'],
      }),
      async (c) => {
        const ifMatch = c.req.header('if-match')
        return queueAnswer(c, await sessions.removeQueued(c.var.caller, sessionIdOf(c), c.req.param('turn'), ifMatch))
      },
    )

/** Its tag is a header, as of anything else that can be written back. */
function queueAnswer<T extends Queue>(c: Context<AppEnv>, { etag, ...queue }: T): Response {
  c.header('etag', etag)
  return c.json(queue)
}

/** Seconds from RFC 7240 `Prefer: wait=N`; 0 when absent. */
function waitSeconds(prefer: string | undefined): number {
  const match = /(?:^|[,;\s])wait\s*=\s*"?(\d{1,6})"?/i.exec(prefer ?? '')
  return match ? Math.min(Number(match[1]), MAX_WAIT_SECONDS) : 0
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
