import { type Caller } from '../auth/principal.ts'
import { invalid, notFound } from '../errors.ts'
import type { EventLog, TurnRef, Tx } from './event-log.ts'
import type { Bus } from '../bus/bus.ts'
import type { SessionRow, SessionStore } from './store.ts'
import type { TurnRow, TurnStore } from './turn-store.ts'

export type Access = ReturnType<typeof createAccess>

/** What all verbs begin and end with: is it the caller's own, and who must hear of the change. */
export function createAccess(
  { store, turns, events, bus, now }: {
    store: SessionStore
    turns: TurnStore
    events: EventLog
    bus: Bus
    now: () => number
  },
) {
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

export const refOf = (session: SessionRow, turnId: string): TurnRef => ({
  sid: session.sid,
  session_id: session.id,
  handle: session.handle,
  turn_id: turnId,
})

/** The row behind `run-msg-123` or `123`. */
export function parseMid(id: string | undefined): number | undefined {
  if (id === undefined) return undefined
  const match = /^(?:run-msg-)?(\d{1,15})$/.exec(id)
  if (!match) throw invalid('message_id', 'must look like run-msg-123')
  return Number(match[1])
}
