import { createHash } from 'node:crypto'
import { ulid } from 'ulid'
import type {
  AttachmentInput,
  CreateSessionInput,
  QueuePolicy,
  RunMessage,
  SendMessageInput,
  Session,
  SessionContext,
  Turn,
  UpdateSessionInput,
} from '../../shared/sessions.ts'
import { type Attachment, isFinal, type TurnEvent, type TurnInput } from '../../shared/turn-events.ts'
import { type Caller, demand } from '../auth/principal.ts'
import type { Bus } from '../bus/bus.ts'
import { AppError, invalid, notFound } from '../errors.ts'
import type { Models } from '../models/service.ts'
import type { Tools } from '../tools/service.ts'
import type { Compaction } from './compaction.ts'
import { contextOf } from './context.ts'
import type { Entry } from './entries.ts'
import { coalesce, expand, firstOffset } from './event-codec.ts'
import type { EventLog, Filter, TurnRef, Tx } from './event-log.ts'
import { type ExportFormat, exportSession } from './export.ts'
import type { Runner } from './runner.ts'
import { type SessionRow, type SessionStore, toRunMessage } from './store.ts'
import { toTurn, type TurnRow, type TurnStore } from './turn-store.ts'

export type Sessions = ReturnType<typeof createSessions>

export type SendOptions = {
  idempotencyKey?: string
  /** Milliseconds that this text waits for others to join it before the turn starts. */
  coalesceMs?: number
  /** Overrides the session's policy for this text. */
  policy?: QueuePolicy
  source?: TurnInput['source']
  /** Kept on a session that this text creates. */
  clientId?: string
}

export type Sent = { turn: Turn; session: Session; created: boolean; replayed: boolean }

export type SessionsDeps = {
  store: SessionStore
  turns: TurnStore
  events: EventLog
  runner: Runner
  compaction: Compaction
  models: Models
  tools: Tools
  /** Checks that an attachment is a file that this handle may use; throws `invalid_input`. */
  attach(caller: Caller, attachment: AttachmentInput, field: string): Promise<Attachment>
  systemPrompt: () => string
  settings: () => { queue_policy: QueuePolicy; max_queue: number; auto_title: boolean }
  bus: Bus
  now: () => number
}

/** Everything that a caller may do with conversations. Each verb works only on sessions of the caller's handle. */
export function createSessions(deps: SessionsDeps) {
  const { store, turns, events, runner, bus, now } = deps

  async function own(caller: Caller, id: string): Promise<SessionRow> {
    const session = await store.get(caller.handle, id)
    if (!session) throw notFound('session', id)
    return session
  }

  const changed = (session: { handle: string; id: string }, action: 'created' | 'updated' | 'deleted'): void =>
    bus.publish({ type: 'resource', resource: 'session', action, id: session.id, handle: session.handle })

  function newSession(caller: Caller, id: string, clientId?: string) {
    const at = now()
    return { handle: caller.handle, id, client_id: clientId ?? null, created_at: at, last_active_at: at }
  }

  async function turnsOf(sid: number): Promise<Turn[]> {
    const session = await store.bySid(sid)
    const open = await turns.open(sid)
    return open.map((turn, position) => toTurn(turn, session?.id ?? '', position))
  }

  /** Puts a text in its session's queue; on return it is durable and will be answered. */
  async function send(caller: Caller, id: string, input: SendMessageInput, options: SendOptions = {}): Promise<Sent> {
    demand(caller, 'chat')
    const attachments = await attachmentsOf(caller, input.attachments)
    if (input.text.trim() === '' && attachments.length === 0) {
      throw invalid('text', 'is empty; write something or attach a file')
    }
    const turnInput: TurnInput = {
      text: input.text,
      ...(attachments.length > 0 ? { attachments } : {}),
      ...(input.author ? { author: input.author } : {}),
      ...(options.source ? { source: options.source } : {}),
    }
    const idempotency = options.idempotencyKey === undefined
      ? undefined
      : { key: options.idempotencyKey, hash: hashOf(turnInput, input.model) }
    const settings = deps.settings()
    const at = now()

    const sent = await events.commit(async (tx) => {
      const { session, created } = await store.ensure(tx, newSession(caller, id, options.clientId))
      if (idempotency) {
        const known = await turns.byIdempotencyKey(tx, session.sid, idempotency.key)
        if (known && known.idempotency_hash !== idempotency.hash) {
          throw new AppError('unprocessable', 'This Idempotency-Key was used for another message; use a new key')
        }
        if (known) return { result: { session, created, turnId: known.id, replayed: true, interrupt: false } }
      }
      const open = await turns.open(session.sid, tx)
      const policy = options.policy ?? (session.queue_policy as QueuePolicy | null) ?? settings.queue_policy
      const ref = (turnId: string) => (refOf(session, turnId))
      const coalesce = options.coalesceMs ?? 0

      const joins = joinable(open, caller, policy, coalesce, at)
      if (joins) {
        const merged = mergeInputs(joins.input, turnInput)
        await turns.update(tx, joins.id, { input: merged, not_before: coalesce > 0 ? at + coalesce : joins.not_before })
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
      const interrupt = policy === 'interrupt' && (options.source ?? 'user_typed') === 'user_typed' &&
        open.some((turn) => turn.state !== 'queued')
      await turns.insert(tx, {
        id: turnId,
        sid: session.sid,
        input: turnInput,
        model: input.model ?? null,
        caller,
        not_before: coalesce > 0 ? at + coalesce : 0,
        idempotency,
        first: interrupt,
        at,
      })
      const title = session.title === null && settings.auto_title ? titleOf(input.text) : undefined
      await store.update(tx, session.sid, { last_active_at: at, ...(title ? { title } : {}) })
      const position = interrupt ? open.length - waiting : open.length
      return {
        result: {
          session: { ...session, title: title ?? session.title, last_active_at: at },
          created,
          turnId,
          replayed: false,
          interrupt,
        },
        turn: ref(turnId),
        events: [{ type: 'turn_queued', input: turnInput, position }],
      }
    })

    if (sent.created || sent.session.title !== null) changed(sent.session, sent.created ? 'created' : 'updated')
    if (sent.interrupt) void runner.interrupt(sent.session.sid)
    const turn = await turns.get(sent.turnId)
    runner.wake(sent.session.sid)
    const position = (await turns.open(sent.session.sid)).findIndex((row) => row.id === sent.turnId)
    return {
      turn: toTurn(turn!, sent.session.id, position < 0 ? null : position),
      session: await store.view(sent.session),
      created: sent.created,
      replayed: sent.replayed,
    }
  }

  async function attachmentsOf(caller: Caller, attachments: AttachmentInput[] = []): Promise<Attachment[]> {
    return await Promise.all(
      attachments.map((attachment, i) => deps.attach(caller, attachment, `attachments.${i}.path`)),
    )
  }

  async function eventsUpTo(session: SessionRow, open: TurnRow[], offset: number): Promise<TurnEvent[]> {
    const all: TurnEvent[] = []
    for (const { id } of open) {
      const stored = await events.turnEvents(refOf(session, id))
      for (const { o, t, e } of coalesce(stored.flatMap(expand).filter((event) => event.o <= offset))) {
        all.push({ v: 1, offset: o, session_id: session.id, turn_id: id, at: t, ...e })
      }
    }
    return all.sort((a, b) => a.offset - b.offset)
  }

  async function ownTurn(caller: Caller, turnId: string): Promise<{ row: TurnRow; session: SessionRow }> {
    const row = await turns.get(turnId)
    const session = row && await store.bySid(row.sid)
    if (!row || !session || session.handle !== caller.handle) throw notFound('turn', turnId)
    return { row, session }
  }

  async function turn(caller: Caller, turnId: string): Promise<Turn> {
    const { row, session } = await ownTurn(caller, turnId)
    const position = isFinal(row.state) ? null : (await turns.open(row.sid)).findIndex((open) => open.id === turnId)
    return toTurn(row, session.id, position)
  }

  return {
    send,
    turn,

    async list(caller: Caller, of: { limit: number; cursor?: string; q?: string; parent?: string }) {
      const parent = of.parent === undefined ? undefined : (await own(caller, of.parent)).sid
      const rows = await store.list({
        handle: caller.handle,
        limit: of.limit + 1,
        parent,
        before: parseCursor(of.cursor),
        title: of.q,
      })
      const page = rows.slice(0, of.limit)
      const last = rows.length > of.limit ? page.at(-1)!.place : undefined
      return {
        sessions: page.map((row) => row.session),
        nextCursor: last ? Buffer.from(JSON.stringify(last)).toString('base64url') : null,
      }
    },

    get: async (caller: Caller, id: string): Promise<Session> => store.view(await own(caller, id)),

    /** Creates the session, or answers the one that the id already names. */
    async create(
      caller: Caller,
      input: CreateSessionInput,
      clientId?: string,
    ): Promise<{ session: Session; created: boolean }> {
      demand(caller, 'chat')
      if (input.model) await deps.models.resolve(input.model)
      const id = input.session_id ?? `session_${ulid()}`
      const made = await events.commit(async (tx) => {
        const row = {
          ...newSession(caller, id, clientId),
          title: input.title ?? null,
          title_by_user: input.title ? 1 : 0,
          model: input.model ?? null,
          queue_policy: input.queue_policy ?? null,
        }
        return { result: await store.ensure(tx, row) }
      })
      if (made.created) changed(made.session, 'created')
      return { session: await store.view(made.session), created: made.created }
    },

    async update(caller: Caller, id: string, input: UpdateSessionInput): Promise<Session> {
      demand(caller, 'chat')
      const session = await own(caller, id)
      if (Object.keys(input).length === 0) {
        throw new AppError('invalid_input', 'Send at least one of title, model, pinned, queue_policy')
      }
      if (input.model) await deps.models.resolve(input.model)
      const change = {
        ...(input.title !== undefined ? { title: input.title, title_by_user: 1 } : {}),
        ...(input.model !== undefined ? { model: input.model } : {}),
        ...(input.pinned !== undefined ? { pinned: input.pinned ? 1 : 0 } : {}),
        ...(input.queue_policy !== undefined ? { queue_policy: input.queue_policy } : {}),
      }
      await commitOnly((tx) => store.update(tx, session.sid, change))
      changed(session, 'updated')
      return store.view({ ...session, ...change })
    },

    /** Adds to the system prompt of one session, in place of what was added before; null takes it back. */
    async instruct(caller: Caller, id: string, prompt: string | null): Promise<void> {
      demand(caller, 'chat')
      const session = await own(caller, id)
      if (session.system_prompt === prompt) return
      await commitOnly((tx) => store.update(tx, session.sid, { system_prompt: prompt }))
      changed(session, 'updated')
    },

    /** Sessions of the caller in which a turn runs or waits for an answer, newest turn first. */
    live: (caller: Caller, limit: number): Promise<string[]> => turns.liveSessions(caller.handle, limit),

    /** What the caller's model calls used since a moment (epoch milliseconds). */
    spent: (caller: Caller, since: number) => store.spentSince(caller.handle, since),

    /** Removes a session with all its children; what runs in them is stopped first. */
    async remove(caller: Caller, id: string) {
      demand(caller, 'chat')
      const session = await own(caller, id)
      if (session.origin !== 'chat') {
        throw new AppError('forbidden', `This session belongs to a ${session.origin}; delete that instead`)
      }
      const family = await store.family(session.sid)
      for (const member of family) {
        await commitOnly(async (tx) => {
          const queued = (await turns.open(member.sid, tx)).filter((open) => open.state === 'queued')
          await turns.removeQueued(tx, member.sid, queued.map((open) => open.id))
        })
        await runner.interrupt(member.sid)
      }
      await commitOnly((tx) => store.remove(tx, session.sid))
      for (const member of family) changed({ handle: session.handle, id: member.id }, 'deleted')
      return {
        session_id: id,
        deleted: true,
        deleted_session_ids: family.map((member) => member.id),
        deleted_count: family.length,
      }
    },

    /** Waits until a turn is final or the signal aborts; answers its state either way. */
    async wait(caller: Caller, turnId: string, signal: AbortSignal): Promise<Turn> {
      const after = events.head()
      const { row, session } = await ownTurn(caller, turnId)
      if (!isFinal(row.state)) {
        for await (const batch of events.follow({ handle: session.handle, sid: session.sid }, after, signal)) {
          if (
            batch.some(({ event }) =>
              event.turn_id === turnId && (event.type === 'turn_finished' || event.type === 'approval')
            )
          ) break
        }
      }
      return turn(caller, turnId)
    },

    async interrupt(caller: Caller, id: string): Promise<{ interrupted: boolean; turn_id: string | null }> {
      demand(caller, 'chat')
      const stopped = await runner.interrupt((await own(caller, id)).sid)
      return { interrupted: stopped !== undefined, turn_id: stopped?.id ?? null }
    },

    async queue(caller: Caller, id: string) {
      const session = await own(caller, id)
      const items = await turnsOf(session.sid)
      return { items: items.map((item) => ({ ...item, text: item.input.text })) }
    },

    /** Puts the waiting turns in this order and removes those that are left out. */
    async setQueue(caller: Caller, id: string, order: string[]) {
      demand(caller, 'chat')
      const session = await own(caller, id)
      const removed = await events.commit(async (tx) => {
        const queued = (await turns.open(session.sid, tx)).filter((open) =>
          open.state === 'queued' && open.started_at === null
        )
        const known = new Map(queued.map((open) => [open.id, open]))
        const stranger = order.find((turnId) => !known.has(turnId))
        if (stranger) throw new AppError('conflict', `Turn ${stranger} does not wait any more; load the queue again`)
        const gone = queued.filter((open) => !order.includes(open.id))
        await turns.removeQueued(tx, session.sid, gone.map((open) => open.id))
        const places = queued.map((open) => open.ord).sort((a, b) => a - b)
        for (const [i, turnId] of order.entries()) await turns.update(tx, turnId, { ord: places[i]! })
        return { result: gone.map((open) => open.id) }
      })
      changed(session, 'updated')
      return { ...(await this.queue(caller, id)), removed }
    },

    /** Rewrites a text that still waits; `conflict` once it runs. */
    async editQueued(caller: Caller, id: string, turnId: string, text: string) {
      demand(caller, 'chat')
      const session = await own(caller, id)
      if (text.trim() === '') throw invalid('text', 'is empty; remove the message from the queue instead')
      await events.commit(async (tx) => {
        const waiting = (await turns.open(session.sid, tx)).find((open) => open.id === turnId)
        if (!waiting || waiting.state !== 'queued' || waiting.started_at !== null) {
          throw new AppError('conflict', 'This message does not wait any more')
        }
        await turns.update(tx, turnId, { input: { ...waiting.input, text } })
        return { result: undefined }
      })
      changed(session, 'updated')
      return this.queue(caller, id)
    },

    /**
     * A page of the transcript, oldest first, with the offset to follow from and, on the newest page, the events so
     * far of turns that are still open.
     */
    async messages(caller: Caller, id: string, of: { limit: number; before?: string }) {
      const session = await own(caller, id)
      const from = session.visible_from
      for (let attempt = 0;; attempt++) {
        const offset = events.head()
        const open = of.before === undefined ? await turns.open(session.sid) : []
        const rows = await store.messages(session.sid, { limit: of.limit + 1, before: parseMid(of.before), from })
        const soFar = await eventsUpTo(session, open, offset)
        // Rows and events must tell of the same moment; a turn that moved in between is read again.
        const moved = open.length > 0 && !sameStates(open, await turns.open(session.sid))
        if (moved && attempt < 20) continue
        const page = rows.length > of.limit ? rows.slice(1) : rows
        const nextCursor = rows.length > of.limit ? `run-msg-${page[0]!.mid}` : null
        return { messages: page.map(toRunMessage), nextCursor, offset, open: soFar }
      }
    },

    /** The newest messages as OpenAgent's clients read them. */
    async runs(caller: Caller, id: string, limit: number): Promise<RunMessage[]> {
      const session = await own(caller, id)
      return (await store.messages(session.sid, { limit, from: session.visible_from })).map(toRunMessage)
    },

    context: async (caller: Caller, id: string): Promise<SessionContext> => contextOf(deps, await own(caller, id)),

    /** Folds older messages now; answers what was folded, or why nothing was. */
    async compact(caller: Caller, id: string): Promise<{ compacted: boolean; text: string }> {
      demand(caller, 'chat')
      const session = await own(caller, id)
      if (runner.running(session.sid)) {
        throw new AppError('conflict', 'A turn is running; stop it or wait for its end, then compact')
      }
      const model = await deps.models.resolve(session.model)
      const ref = { sid: session.sid, session_id: session.id, handle: session.handle, turn_id: `compact_${ulid()}` }
      let failure: string | undefined
      const folded = await deps.compaction.run(ref, session, model, AbortSignal.timeout(120_000), (...bodies) => {
        for (const body of bodies) if (body.type === 'compaction' && body.error) failure = body.error
        events.append(ref, bodies)
      })
      if (failure) throw new AppError('bad_gateway', `The conversation could not be summarised: ${failure}`)
      return folded
        ? { compacted: true, text: 'Older messages were folded into a summary.' }
        : { compacted: false, text: 'There is nothing to fold yet: the conversation is short.' }
    },

    /** Forgets what was said: the log keeps it, the transcript and the model no longer see it. */
    async clear(caller: Caller, id: string): Promise<{ session_id: string; cleared: boolean }> {
      demand(caller, 'chat')
      const session = await own(caller, id)
      await commitOnly(async (tx) => {
        const queued = (await turns.open(session.sid, tx)).filter((open) => open.state === 'queued')
        await turns.removeQueued(tx, session.sid, queued.map((open) => open.id))
      })
      await runner.interrupt(session.sid)
      await commitOnly(async (tx) => {
        const from = await store.newestMid(tx, session.sid) + 1
        await store.update(tx, session.sid, {
          visible_from: from,
          history_from: from,
          summary: null,
          message_count: 0,
          ...(session.title_by_user ? {} : { title: null }),
        })
      })
      changed(session, 'updated')
      return { session_id: id, cleared: true }
    },

    /** Asks the last question again; the answer that it had stays in the log and leaves the transcript. */
    async retry(caller: Caller, id: string): Promise<Turn> {
      demand(caller, 'chat')
      const session = await own(caller, id)
      const last = await store.lastMessage(session.sid, 'user')
      if (!last || last.mid < session.visible_from) throw new AppError('conflict', 'There is nothing to ask again yet')
      const turnId = ulid()
      await events.commit(async (tx) => {
        if ((await turns.open(session.sid, tx)).length > 0) {
          throw new AppError('conflict', 'A turn is running; stop it first, then retry')
        }
        const input: TurnInput = {
          text: last.text,
          ...(last.data.attachments ? { attachments: last.data.attachments } : {}),
          ...(last.data.author ? { author: last.data.author } : {}),
        }
        await store.hideTurn(tx, session.sid, last.turn_id)
        await turns.insert(tx, { id: turnId, sid: session.sid, input, model: null, caller, not_before: 0, at: now() })
        const ref = refOf(session, turnId)
        return { result: undefined, turn: ref, events: [{ type: 'turn_queued', input, position: 0 }] }
      })
      changed(session, 'updated')
      runner.wake(session.sid)
      return turn(caller, turnId)
    },

    /** A new session with everything before a message of the person; `text` is asked there instead of it. */
    async branch(caller: Caller, id: string, messageId: string, text?: string): Promise<Session> {
      demand(caller, 'chat')
      const session = await own(caller, id)
      const mid = parseMid(messageId)
      const message = mid === undefined ? undefined : await store.message(session.sid, mid)
      if (!message || message.role !== 'user') {
        throw invalid('message_id', 'must name a message of yours in this session')
      }
      const made = await events.commit(async (tx) => {
        const keepsSummary = message.mid >= session.history_from
        const { session: branch } = await store.ensure(tx, {
          ...newSession(caller, `session_${ulid()}`),
          title: session.title,
          model: session.model,
          queue_policy: session.queue_policy,
          branched_from_session: session.id,
          branched_from_message: messageId,
          summary: keepsSummary ? session.summary : null,
          system_prompt: session.system_prompt,
        })
        await store.copyMessages(
          tx,
          session.sid,
          branch.sid,
          message.mid,
          Math.max(session.visible_from, keepsSummary ? session.history_from : 0),
        )
        await store.recount(tx, branch.sid)
        return { result: branch }
      })
      changed(made, 'created')
      if (text !== undefined) {
        await send(caller, made.id, { text, attachments: message.data.attachments })
      }
      return store.view((await store.bySid(made.sid))!)
    },

    async search(caller: Caller, query: string, limit: number) {
      const rows = await store.search(caller.handle, query, limit)
      return rows.map((row) => ({
        session_id: row.session_id,
        title: row.title,
        message_id: `run-msg-${row.mid}`,
        role: row.role,
        timestamp: row.at / 1000,
        snippet: row.snippet,
      }))
    },

    export: async (caller: Caller, id: string, format: ExportFormat): Promise<string> =>
      exportSession(store, await own(caller, id), format),

    /** The offset just before the oldest open turn, or the head when none is open. */
    async openFrom(caller: Caller, id: string): Promise<number> {
      const session = await own(caller, id)
      const head = events.head()
      const oldest = (await turns.open(session.sid))[0]
      if (!oldest) return head
      const ref = { sid: session.sid, session_id: session.id, handle: session.handle, turn_id: oldest.id }
      const first = (await events.turnEvents(ref))[0]
      return first ? firstOffset(first) - 1 : head
    },

    /** Events of one session after an offset, then as they come. */
    async follow(
      caller: Caller,
      id: string,
      after: number | undefined,
      signal: AbortSignal,
    ): Promise<AsyncGenerator<Entry[]>> {
      const session = await own(caller, id)
      return events.follow({ handle: session.handle, sid: session.sid }, after ?? 0, signal)
    },

    /** Events of all sessions of the caller, or of some, from now on or after an offset. */
    followAll(
      caller: Caller,
      after: number | undefined,
      signal: AbortSignal,
      ids?: ReadonlySet<string>,
    ): AsyncGenerator<Entry[]> {
      const filter: Filter = { handle: caller.handle, ...(ids ? { session_ids: ids } : {}) }
      return events.follow(filter, after ?? events.head(), signal)
    },

    isLost: (after: number): boolean => events.isLost(after),
    head: (): number => events.head(),
  }

  async function commitOnly(work: (tx: Tx) => Promise<unknown>): Promise<void> {
    await events.commit(async (tx) => {
      await work(tx)
      return { result: undefined }
    })
  }
}

const refOf = (session: SessionRow, turnId: string): TurnRef => ({
  sid: session.sid,
  session_id: session.id,
  handle: session.handle,
  turn_id: turnId,
})

const sameStates = (a: TurnRow[], b: TurnRow[]): boolean =>
  a.length === b.length && a.every((turn, i) => turn.id === b[i]!.id && turn.state === b[i]!.state)

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

function parseMid(id: string | undefined): number | undefined {
  if (id === undefined) return undefined
  const match = /^(?:run-msg-)?(\d{1,15})$/.exec(id)
  if (!match) throw invalid('message_id', 'must look like run-msg-123')
  return Number(match[1])
}

function parseCursor(cursor: string | undefined): { pinned: number; at: number; sid: number } | undefined {
  if (cursor === undefined) return undefined
  try {
    const value = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8')) as Record<string, unknown>
    const { pinned, at, sid } = value
    if (typeof pinned === 'number' && typeof at === 'number' && typeof sid === 'number') return { pinned, at, sid }
  } catch { /* said below */ }
  throw invalid('cursor', 'is not one that this server gave; begin without a cursor')
}
