import { createHash } from 'node:crypto'
import { ulid } from '../db/ulid.ts'
import {
  type AttachmentInput,
  MAX_ATTACHMENTS,
  MAX_TEXT,
  type QueuePolicy,
  type SendMessageInput,
  type Session,
  type Turn,
} from '../../shared/sessions.ts'
import type { Attachment, TurnInput } from '../../shared/turn-events.ts'
import { type Caller, demand } from '../auth/principal.ts'
import { AppError, invalid } from '../errors.ts'
import type { ResolvedModel } from '../models/service.ts'
import { type Access, type SessionsDeps } from './access.ts'
import { askedMessage, startedEvent } from './begin-turn.ts'
import { refOf } from './entries.ts'
import { plainText } from './plain-text.ts'
import type { SessionRow } from './store.ts'
import { toTurn, type TurnRow } from './turn-store.ts'

export type SendOptions = {
  idempotencyKey?: string
  /** Milliseconds that this text waits for others to join it before the turn starts. */
  coalesceMs?: number
  /** Overrides the session's policy for this text. */
  policy?: QueuePolicy
  /** Throws `conflict` while another turn of the session is open. */
  onlyIfIdle?: boolean
  source?: TurnInput['source']
  /** Kept on a session that this text creates. */
  clientId?: string
  /** The turn may begin before the caller has its id; for those who learn of it by an offset. */
  atOnce?: boolean
}

export type Sent = { turn: Turn; session: Session; created: boolean; replayed: boolean }

/** What the commit of a text did. */
type Written = {
  session: SessionRow
  created: boolean
  turnId: string
  replayed: boolean
  interrupt: boolean
  /** The turn, when it runs from the start. */
  begun?: { turn: TurnRow; model: ResolvedModel }
}

/** The verb that everything that talks goes through. */
export function createSendMessage(deps: SessionsDeps, { changed, newSession }: Access) {
  const { store, turns, events, runner, now } = deps

  return send

  /** Puts a text in its session's queue; on return it is durable and will be answered. */
  async function send(caller: Caller, id: string, input: SendMessageInput, options: SendOptions = {}): Promise<Sent> {
    demand(caller, 'chat')
    const attachments = await attachmentsOf(caller, input.attachments)
    if (input.text.trim() === '' && attachments.length === 0) {
      throw invalid('text', 'is empty; write something or attach a file')
    }
    if (input.model) await deps.models.resolve(input.model)
    const turnInput: TurnInput = {
      text: plainText(input.text),
      ...(attachments.length > 0 ? { attachments } : {}),
      ...(input.author ? { author: input.author } : {}),
      ...(options.source ? { source: options.source } : {}),
    }
    const idempotency = options.idempotencyKey === undefined
      ? undefined
      : { key: options.idempotencyKey, hash: hashOf(turnInput, input.model) }
    const settings = deps.settings()
    const at = now()
    if (options.atOnce) await deps.models.prepare()
    let kept: number | undefined

    const sent = await events.commit<Written>(async (tx) => {
      const { session, created } = await store.ensure(tx, newSession(caller, id, options.clientId))
      if (idempotency) {
        const known = await turns.byKey(tx, session.sid, idempotency.key)
        if (known && known.hash !== idempotency.hash) {
          throw new AppError('unprocessable', 'This Idempotency-Key was used for another message; use a new key')
        }
        if (known) return { result: { session, created, turnId: known.turn_id, replayed: true, interrupt: false } }
      }
      const keep = async (turnId: string): Promise<void> => {
        if (idempotency) await turns.addKey(tx, { sid: session.sid, ...idempotency, turn_id: turnId })
      }
      const open = await turns.open(session.sid, tx)
      if (options.onlyIfIdle && open.length > 0) {
        throw new AppError('conflict', 'An answer is still running in this session; wait for it or interrupt it')
      }
      const policy = options.policy ?? (session.queue_policy as QueuePolicy | null) ?? settings.queue_policy
      const ref = (turnId: string) => refOf(session, turnId)
      const coalesce = options.coalesceMs ?? 0

      const joins = joinable(open, caller, policy, coalesce, at)
      const merged = joins && mergeInputs(joins.input, turnInput)
      if (joins && merged && fits(merged)) {
        await keep(joins.id)
        await turns.update(tx, joins.id, {
          input: merged,
          // Who chooses a model last chooses for all of the joined text.
          model: input.model ?? joins.model,
          not_before: coalesce > 0 ? at + coalesce : joins.not_before,
        })
        const position = open.findIndex((turn) => turn.id === joins.id)
        return {
          result: { session, created, turnId: joins.id, replayed: false, interrupt: false },
          turn: ref(joins.id),
          events: [{ type: 'turn_queued', input: merged, position }],
        }
      }
      const waiting = open.filter((turn) => turn.state === 'queued').length
      if (waiting >= settings.max_queue) {
        throw new AppError(
          'rate_limited',
          `${waiting} messages already wait in this session; wait for an answer or stop the running turn`,
          { headers: { 'retry-after': '5' } },
        )
      }
      const turnId = ulid()
      const title = session.title === null && settings.auto_title ? titleOf(turnInput.text) : undefined
      const change = { last_active_at: at, ...(title ? { title } : {}) }
      const written = { session: { ...session, ...change }, created, turnId, replayed: false, interrupt: false }
      const queued = { type: 'turn_queued' as const, input: turnInput, position: 0 }
      const row = {
        id: turnId,
        sid: session.sid,
        input: turnInput,
        model: input.model ?? null,
        caller,
        not_before: coalesce > 0 ? at + coalesce : 0,
        at,
      }

      // A text that nothing keeps waiting begins to be answered with the commit that keeps it.
      const idle = options.atOnce && open.length === 0 && coalesce === 0
      const model = idle && deps.models.resolveNow(row.model ?? session.model)
      if (model && runner.reserve(session.sid)) {
        kept = session.sid
        const turn = await turns.insert(tx, { ...row, runs: { used_model: model.runtime_id } })
        await keep(turnId)
        await store.addMessages(tx, session.sid, [askedMessage(turnId, turnInput, at)], at, change)
        return {
          result: {
            ...written,
            session: { ...written.session, message_count: session.message_count + 1 },
            begun: { turn, model },
          },
          turn: ref(turnId),
          events: [queued, startedEvent(turnInput, model)],
          begins: true,
        }
      }

      const interrupt = policy === 'interrupt' && (options.source ?? 'user_typed') === 'user_typed' &&
        open.some((turn) => turn.state !== 'queued')
      await turns.insert(tx, { ...row, first: interrupt })
      await keep(turnId)
      await store.update(tx, session.sid, change)
      const position = interrupt ? open.length - waiting : open.length
      return { result: { ...written, interrupt }, turn: ref(turnId), events: [{ ...queued, position }] }
    }).catch((error) => {
      if (kept !== undefined) runner.giveBack(kept)
      throw error
    })

    if (sent.begun) runner.begin(sent.begun.turn, sent.session, sent.begun.model)
    if (sent.created || sent.session.title !== null) changed(sent.session, sent.created ? 'created' : 'updated')
    if (sent.interrupt) runner.interruptSoon(sent.session.sid)
    if (sent.begun) {
      return {
        turn: toTurn(sent.begun.turn, sent.session.id, 0),
        session: await store.view(sent.session, true),
        created: sent.created,
        replayed: false,
      }
    }
    const open = await turns.open(sent.session.sid)
    runner.wake(sent.session.sid)
    const position = open.findIndex((row) => row.id === sent.turnId)
    const turn = open[position] ?? await turns.get(sent.turnId)
    if (!turn) throw new AppError('conflict', 'The session was deleted while this message came in')
    return {
      turn: toTurn(turn, sent.session.id, position < 0 ? null : position),
      session: await store.view(sent.session, open.length > 0),
      created: sent.created,
      replayed: sent.replayed,
    }
  }

  async function attachmentsOf(caller: Caller, attachments: AttachmentInput[] = []): Promise<Attachment[]> {
    return await Promise.all(
      attachments.map((attachment, i) => deps.attach(caller, attachment, `attachments.${i}.path`)),
    )
  }
}

/** The waiting turn that a new text may join, if there is one. */
function joinable(
  open: TurnRow[],
  caller: Caller,
  policy: QueuePolicy,
  coalesceMs: number,
  at: number,
): TurnRow | undefined {
  const last = open.at(-1)
  if (!last || last.state !== 'queued' || last.started_at !== null || last.caller.handle !== caller.handle) {
    return undefined
  }
  const inBurst = coalesceMs > 0 && last.not_before > at
  return policy === 'merge' || inBurst ? last : undefined
}

function mergeInputs(first: TurnInput, second: TurnInput): TurnInput {
  const attachments = [...(first.attachments ?? []), ...(second.attachments ?? [])]
  const author = second.author ?? first.author
  return {
    text: [first.text, second.text].filter((text) => text !== '').join('\n\n'),
    ...(attachments.length > 0 ? { attachments } : {}),
    ...(author ? { author } : {}),
    ...(second.source ?? first.source ? { source: second.source ?? first.source } : {}),
  }
}

/** What waits too long, for a model or for the log, is not joined further. */
const fits = ({ text, attachments = [] }: TurnInput): boolean =>
  text.length <= MAX_TEXT && attachments.length <= MAX_ATTACHMENTS

const hashOf = (input: TurnInput, model: string | undefined): string =>
  createHash('sha256').update(JSON.stringify([input, model ?? null])).digest('hex')

/** The first line of what was asked, cut at a word. */
function titleOf(text: string): string | undefined {
  const line = text.trim().split('\n')[0]!.replace(/\s+/g, ' ').trim()
  if (line === '') return undefined
  if (line.length <= 60) return line
  const cut = line.slice(0, 60)
  return `${cut.slice(0, cut.lastIndexOf(' ') > 30 ? cut.lastIndexOf(' ') : 60)}…`
}
