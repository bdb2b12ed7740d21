import { ulid } from '../db/ulid.ts'
import type { CreateSessionInput, Session, Turn, UpdateSessionInput } from '../../shared/sessions.ts'
import { isFinal, type TokenUsage } from '../../shared/turn-events.ts'
import { type Caller, demand } from '../auth/principal.ts'
import { AppError, invalid, notFound } from '../errors.ts'
import { createAccess, type SessionsDeps } from './access.ts'
import type { ResolvedModel } from '../models/service.ts'
import { createHistoryVerbs } from './history-verbs.ts'
import { costOf } from './model-call.ts'
import { createQueueVerbs } from './queue-verbs.ts'
import { createSendMessage } from './send-message.ts'
import { createTranscriptVerbs } from './transcript-verbs.ts'
import type { SessionRow } from './store.ts'
import { toTurn, type TurnRow } from './turn-store.ts'

export type { SendOptions, Sent } from './send-message.ts'

export type Sessions = ReturnType<typeof createSessions>

/** Everything that a caller may do with conversations. Each verb works only on sessions of the caller's handle. */
export function createSessions(deps: SessionsDeps) {
  const { store, turns, events, runner } = deps
  const access = createAccess(deps)
  const { own, ownTurn, changed, newSession, commitOnly } = access
  const send = createSendMessage(deps, access)

  async function turn(caller: Caller, turnId: string): Promise<Turn> {
    const { row, session } = await ownTurn(caller, turnId)
    return asSeen(row, session)
  }

  async function asSeen(row: TurnRow, session: SessionRow): Promise<Turn> {
    const position = isFinal(row.state) ? null : (await turns.open(row.sid)).findIndex((open) => open.id === row.id)
    return toTurn(row, session.id, position)
  }

  return {
    send,
    turn,
    ...createQueueVerbs(deps, access),
    ...createTranscriptVerbs(deps, access),
    ...createHistoryVerbs(deps, access, send),

    /** A page of the caller's sessions, pinned and newest first. */
    async list(
      caller: Caller,
      of: { limit: number; cursor?: string; q?: string; parent?: string; client_id?: string },
    ) {
      const parent = of.parent === undefined ? undefined : (await own(caller, of.parent)).sid
      const rows = await store.list({
        handle: caller.handle,
        limit: of.limit + 1,
        parent,
        client: of.client_id || undefined,
        before: parseCursor(of.cursor),
        text: of.q,
      })
      const page = rows.slice(0, of.limit)
      const last = rows.length > of.limit ? page.at(-1)!.place : undefined
      return {
        sessions: page.map((row) => row.session),
        nextCursor: last ? Buffer.from(JSON.stringify(last)).toString('base64url') : null,
      }
    },

    /** Throws `not_found` for somebody else's too. */
    async get(caller: Caller, id: string): Promise<Session> {
      const session = await store.find(caller.handle, id)
      if (!session) throw notFound('session', id)
      return session
    },

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

    /** Renames, pins, chooses a model or a queue policy. */
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

    /** Puts a model call that belongs to no turn on the ledger of a session; `usage` is null where nobody counted. */
    async noteCall(
      caller: Caller,
      id: string,
      { runtime_id, price, usage, source }: Pick<ResolvedModel, 'runtime_id' | 'price'> & {
        usage: TokenUsage | null
        source: string
      },
    ): Promise<void> {
      demand(caller, 'chat')
      const { sid } = await own(caller, id)
      const call = {
        turn_id: '',
        model: runtime_id,
        usage: usage ?? { input_tokens: 0, output_tokens: 0, estimated: true },
        cost_usd: usage && costOf({ price }, usage),
        source,
      }
      await commitOnly((tx) => store.recordCall(tx, { ...call, sid, at: deps.now() }))
    },

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
      // What was sent meanwhile may have begun.
      for (const member of family) await runner.interrupt(member.sid)
      for (const member of family) changed({ handle: session.handle, id: member.id }, 'deleted')
      return {
        session_id: id,
        deleted: true,
        deleted_session_ids: family.map((member) => member.id),
        deleted_count: family.length,
      }
    },

    /**
     * Waits until a turn is final or the signal aborts; answers its state either way.
     * Throws `conflict` when it was taken out of the queue.
     */
    async wait(caller: Caller, turnId: string, signal: AbortSignal): Promise<Turn> {
      const after = events.head()
      const { row, session } = await ownTurn(caller, turnId)
      if (isFinal(row.state)) return toTurn(row, session.id, null)
      const gone = new AbortController()
      const look = () => turns.get(turnId).then((found) => found ?? gone.abort(), () => {})
      // A turn that only waited leaves no event when it is removed, alone or with its session.
      const unsubscribe = deps.bus.subscribe((event) => {
        if (event.type === 'resource' && event.resource === 'session' && event.id === session.id) void look()
      })
      try {
        const either = AbortSignal.any([signal, gone.signal])
        for await (const batch of events.follow({ handle: session.handle, sid: session.sid }, after, either)) {
          if (
            batch.some(({ event }) =>
              event.turn_id === turnId && (event.type === 'turn_finished' || event.type === 'approval')
            )
          ) break
        }
      } finally {
        unsubscribe()
      }
      const then = await turns.get(turnId)
      if (!then) throw new AppError('conflict', 'The message was taken out of the queue before it was answered')
      return asSeen(then, session)
    },

    /** Stops what runs or waits for an answer; resolves once that is written. */
    async interrupt(caller: Caller, id: string): Promise<{ interrupted: boolean; turn_id: string | null }> {
      demand(caller, 'chat')
      const stopped = await runner.interrupt((await own(caller, id)).sid)
      return { interrupted: stopped !== undefined, turn_id: stopped?.id ?? null }
    },
  }
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
