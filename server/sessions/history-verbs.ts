import { ulid } from '../db/ulid.ts'
import type { Session, Turn } from '../../shared/sessions.ts'
import type { TurnInput } from '../../shared/turn-events.ts'
import { type Caller, demand } from '../auth/principal.ts'
import { AppError, invalid } from '../errors.ts'
import { type Access, parseMid, type SessionsDeps } from './access.ts'
import { refOf } from './entries.ts'
import type { createSendMessage } from './send-message.ts'
import { toTurn } from './turn-store.ts'

/** What changes which part of a conversation the model and the reader see; the log keeps all of it. */
export function createHistoryVerbs(
  deps: SessionsDeps,
  { own, changed, newSession, commitOnly }: Access,
  send: ReturnType<typeof createSendMessage>,
) {
  const { store, turns, events, runner, now } = deps

  /** The model that was chosen for a turn alone; without it, when it is gone, the session's own answers. */
  async function chosenFor(turnId: string): Promise<string | undefined> {
    const model = (await turns.get(turnId))?.model
    if (!model) return undefined
    try {
      await deps.models.resolve(model)
      return model
    } catch (error) {
      if (error instanceof AppError && error.code === 'invalid_input') return undefined
      throw error
    }
  }

  return {
    /** Folds older messages now; answers what was folded, or why nothing was. */
    async compact(caller: Caller, id: string): Promise<{ compacted: boolean; text: string }> {
      demand(caller, 'chat')
      const session = await own(caller, id)
      if (runner.running(session.sid)) {
        throw new AppError('conflict', 'A turn is running; stop it or wait for its end, then compact')
      }
      const model = await deps.models.resolve(session.model)
      const ref = refOf(session, `compact_${ulid()}`)
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

    /**
     * Asks the last question again, of the model that it was sent to unless another is named; the answer that it had
     * stays in the log and leaves the transcript.
     */
    async retry(caller: Caller, id: string, other?: string): Promise<Turn> {
      demand(caller, 'chat')
      if (other) await deps.models.resolve(other)
      const session = await own(caller, id)
      const last = await store.lastMessage(session.sid, 'user')
      if (!last || last.mid < session.visible_from) throw new AppError('conflict', 'There is nothing to ask again yet')
      const turnId = ulid()
      const model = other ?? await chosenFor(last.turn_id) ?? null
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
        await turns.insert(tx, { id: turnId, sid: session.sid, input, model, caller, not_before: 0, at: now() })
        const ref = refOf(session, turnId)
        return { result: undefined, turn: ref, events: [{ type: 'turn_queued', input, position: 0 }] }
      })
      changed(session, 'updated')
      runner.wake(session.sid)
      return toTurn((await turns.get(turnId))!, session.id, 0)
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
      if (text?.trim() === '' && !message.data.attachments?.length) {
        throw invalid('text', 'is empty; write something, or leave it out')
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
        const { attachments, author } = message.data
        await send(caller, made.id, { text, attachments, author, model: await chosenFor(message.turn_id) })
      }
      return store.view((await store.bySid(made.sid))!)
    },
  }
}
