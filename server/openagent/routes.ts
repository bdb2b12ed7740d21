import { createHash } from 'node:crypto'
import { Hono } from 'hono'
import * as v from 'valibot'
import { SessionId, TurnText } from '../../shared/sessions.ts'
import { isFinal } from '../../shared/turn-events.ts'
import type { Bus } from '../bus/bus.ts'
import { AppError, invalid } from '../errors.ts'
import type { AppEnv } from '../http/env.ts'
import { idempotencyKeyOf } from '../http/kept-answers.ts'
import { operation } from '../http/operation.ts'
import { streamSignal } from '../http/stream-signal.ts'
import type { Sessions } from '../sessions/service.ts'
import type { Commands } from './commands.ts'
import { answerText } from './translate.ts'

/** The longest that `POST /api/chat` waits for an answer (spec openagent-api §2.8). */
const CHAT_MS = 900_000

const ChatInput = v.object({
  message: v.pipe(
    v.string('is missing'),
    TurnText,
    v.check((text) => text.trim() !== '', 'is empty; write something'),
  ),
  session_id: v.nullish(SessionId),
  client_id: v.nullish(v.pipe(v.string('must be text'), v.maxLength(200, 'is too long'))),
})

const CommandInput = v.object({
  session_id: v.nullish(SessionId),
  arg: v.nullish(v.pipe(v.string('must be text'), v.maxLength(2000, 'is too long'))),
})

type Deps = {
  sessions: Sessions
  commands: Commands
  version: string
  bus: Bus
  /** How long an answer is waited for. */
  chatMs?: number
}

/** What OpenAgent's clients call beside sessions, configuration and the like (spec openagent-api §2.2, §2.8). */
export const openagentRoutes = ({ sessions, commands, version, bus, chatMs = CHAT_MS }: Deps) =>
  new Hono<AppEnv>()
    .get(
      '/ws',
      operation({
        id: 'openSocket',
        summary: 'Open a WebSocket: conversations, commands and what changes, as JSON frames',
        description: 'A request without the handshake of a WebSocket answers 426.',
        scope: 'converse',
        status: 101,
        returns: 'A WebSocket whose first frame is `auth_ok`',
        media: 'text/plain',
        errors: ['upgrade_required'],
      }),
      () => {
        throw new AppError('upgrade_required', 'Open /ws with a WebSocket client: wss:// or ws:// in place of http', {
          headers: { upgrade: 'websocket', connection: 'Upgrade' },
        })
      },
    )
    .post(
      '/api/chat',
      operation({
        id: 'chat',
        summary: 'Say something and wait for the answer',
        description: 'The turn goes on when the caller leaves. 202 means that the answer waits for an approval.',
        ownKey: 'A repeated request waits for the answer to the first',
        scope: 'chat',
        body: ChatInput,
        returns: '{response, model, errored, session_id, created, state}',
        errors: ['invalid_input', 'conflict', 'upstream_timeout', 'rate_limited'],
      }),
      async (c) => {
        const { message, client_id, ...input } = c.req.valid('json')
        const { caller } = c.var
        const idempotencyKey = idempotencyKeyOf(c)
        const id = input.session_id ?? `chat-${idempotencyKey ? idOf(caller.id, idempotencyKey) : crypto.randomUUID()}`
        const options = { clientId: client_id ?? caller.id, onlyIfIdle: true, idempotencyKey }
        const sent = await sessions.send(caller, id, { text: message }, options)
        if (sent.replayed) c.header('idempotent-replayed', 'true')
        const signal = AbortSignal.any([streamSignal(c, bus), AbortSignal.timeout(chatMs)])
        const turn = await sessions.wait(caller, sent.turn.turn_id, signal)
        const answered = { model: turn.model, session_id: id, created: sent.created, state: turn.state }
        if (turn.state === 'awaiting_approval') {
          return c.json({ ...answered, response: 'A call waits for your approval.', errored: false }, 202)
        }
        if (!isFinal(turn.state)) {
          throw new AppError(
            'upstream_timeout',
            `No answer in time; it goes on as turn ${turn.turn_id} of session ${id}`,
          )
        }
        const end = { state: turn.state as 'completed' | 'failed' | 'interrupted', text: turn.text ?? '' }
        return c.json({
          ...answered,
          response: answerText({ ...end, error: turn.error }),
          errored: end.state === 'failed',
        })
      },
    )
    .get(
      '/api/commands',
      operation({
        id: 'listCommands',
        summary: 'Commands of clients, channels and the terminal',
        scope: 'converse',
        returns: '{commands: CommandInfo[]}',
      }),
      (c) => c.json({ commands: commands.list() }),
    )
    .post(
      '/api/commands/:name',
      operation({
        id: 'runCommand',
        summary: 'Run a command, such as stop, compact or model',
        description: 'Each command asks for its own scope: `update` and `restart` for admin.',
        scope: 'converse',
        body: CommandInput,
        returns: '{text, picker?, context?}',
        errors: ['invalid_input', 'not_found', 'forbidden', 'conflict', 'bad_gateway'],
      }),
      async (c) => {
        const { session_id, arg } = c.req.valid('json')
        const name = c.req.param('name')
        if (!session_id && NEEDS_SESSION.has(name)) {
          throw invalid('session_id', 'is missing; say which conversation is meant')
        }
        const input = { caller: c.var.caller, sessions: session_id ? [session_id] : [], arg: arg?.trim() ?? '' }
        return c.json(await commands.run(name, input))
      },
    )
    .post(
      '/api/update',
      operation({
        id: 'update',
        summary: 'Look for a new version',
        description: 'The program is replaced by whoever installed it, so there is never one to install from here.',
        scope: 'admin',
        returns: '{updated, version}',
      }),
      (c) => c.json({ updated: false, version }),
    )
    .get(
      '/api/terminals',
      operation({
        id: 'listTerminals',
        summary: 'Open terminals; this server offers none',
        scope: 'admin',
        returns: '{terminals: []}',
      }),
      (c) => c.json({ terminals: [] }),
    )

/** Over REST there is no client whose open conversations could be meant. */
const NEEDS_SESSION = new Set(['new', 'reset', 'clear', 'stop'])

/** The same new session for each request that a caller sends under one key. */
const idOf = (callerId: string, key: string): string =>
  createHash('sha256').update(`${callerId} ${key}`).digest('hex').slice(0, 32)
