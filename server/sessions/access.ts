import type { AttachmentInput, QueuePolicy } from '../../shared/sessions.ts'
import type { Attachment } from '../../shared/turn-events.ts'
import type { Models } from '../models/service.ts'
import type { Tools } from '../tools/service.ts'
import type { Compaction } from './compaction.ts'
import type { Runner } from './runner.ts'
import { type Caller } from '../auth/principal.ts'
import { invalid, notFound } from '../errors.ts'
import type { EventLog, Tx } from './event-log.ts'
import type { Bus } from '../bus/bus.ts'
import type { SessionRow, SessionStore } from './store.ts'
import type { TurnRow, TurnStore } from './turn-store.ts'

/** What the verbs are built from. */
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

export type Access = ReturnType<typeof createAccess>

/** What all verbs begin and end with: is it the caller's own, and who must hear of the change. */
export function createAccess({ store, turns, events, bus, now }: SessionsDeps) {
  return { own, ownTurn, changed, newSession, commitOnly }

  /** Another handle's session is as unknown as none. */
  async function own(caller: Caller, id: string): Promise<SessionRow> {
    const session = await store.get(caller.handle, id)
    if (!session) throw notFound('session', id)
    return session
  }

  async function ownTurn(caller: Caller, turnId: string): Promise<{ row: TurnRow; session: SessionRow }> {
    const row = await turns.get(turnId)
    const session = row && await store.bySid(row.sid)
    if (!row || !session || session.handle !== caller.handle) throw notFound('turn', turnId)
    return { row, session }
  }

  function changed(session: { handle: string; id: string }, action: 'created' | 'updated' | 'deleted'): void {
    bus.publish({ type: 'resource', resource: 'session', action, id: session.id, handle: session.handle })
  }

  function newSession(caller: Caller, id: string, clientId?: string) {
    const at = now()
    return { handle: caller.handle, id, client_id: clientId ?? null, created_at: at, last_active_at: at }
  }

  async function commitOnly(work: (tx: Tx) => Promise<unknown>): Promise<void> {
    await events.commit(async (tx) => {
      await work(tx)
      return { result: undefined }
    })
  }
}

/** The row behind `run-msg-123` or `123`. */
export function parseMid(id: string | undefined): number | undefined {
  if (id === undefined) return undefined
  const match = /^(?:run-msg-)?(\d{1,15})$/.exec(id)
  if (!match) throw invalid('message_id', 'must look like run-msg-123')
  return Number(match[1])
}
