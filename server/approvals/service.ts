import type { Transaction } from 'kysely'
import type { Db } from '../db/open.ts'
import { ulid } from 'ulid'
import * as v from 'valibot'
import type { Approval, ApprovalDecision } from '../../shared/approvals.ts'
import { type Caller, demand } from '../auth/principal.ts'
import type { Bus } from '../bus/bus.ts'
import { AppError, notFound } from '../errors.ts'
import type { TurnRef } from '../sessions/event-log.ts'
import type { EventLog } from '../sessions/event-log.ts'
import { type ApprovalRow, type ApprovalTables, createApprovalStore } from './store.ts'

export type Approvals = ReturnType<typeof createApprovals>

/** A call that waits for a yes: its arguments are frozen here and shown to whoever answers. */
export type Question = { call_id: string; tool: string; arguments: Record<string, unknown>; reason: string }

const SWEEP_MS = 5000

/**
 * Asks the owner, waits without a deadline of its own in memory, and answers exactly once.
 * A turn that waits is a row, not a promise: it survives restarts and resumes when its last question is answered.
 */
export function createApprovals(deps: {
  kysely: Db
  log: EventLog
  bus: Bus
  /** Seconds that a question stays open. */
  timeoutSeconds: () => number
  now: () => number
}) {
  const { log, bus, now } = deps
  const store = createApprovalStore(deps.kysely)

  /** Writes an answer; false when the question was answered before. */
  function settle(
    row: ApprovalRow,
    decision: ApprovalDecision | 'expired' | 'cancelled',
    by: string,
  ): Promise<boolean> {
    return log.commit<boolean>(async (tx) => {
      const at = now()
      if (!await store.decide(tx, row.id, decision, by, at)) return { result: false }
      if (decision === 'allow_session') await store.grant(tx, row.handle, row.sid, row.tool, at)
      if (decision === 'allow_always') await store.grant(tx, row.handle, null, row.tool, at)
      await store.resumeTurnWhenAnswered(tx, row.turn_id)
      const event = { type: 'approval_decided' as const, approval_id: row.id, call_id: row.call_id, decision, by }
      return { result: true, turn: refOf(row), events: [event] }
    })
  }

  function tell(row: ApprovalRow): void {
    bus.publish({ type: 'resource', resource: 'approval', action: 'updated', id: row.id, handle: row.handle })
    bus.publish({ type: 'turn_ready', sid: row.sid })
  }

  async function expireOverdue(): Promise<void> {
    for (const row of await store.overdue(now())) {
      if (await settle(row, 'expired', 'nobody')) tell(row)
    }
  }

  let sweeping: Promise<void> | undefined
  const timer = setInterval(() => {
    sweeping ??= expireOverdue().catch(() => {}).finally(() => (sweeping = undefined))
  }, SWEEP_MS)
  ;(timer as { unref?: () => void }).unref?.()

  return {
    /** Whether a standing answer covers this call. */
    granted: (handle: string, sid: number, tool: string): Promise<boolean> => store.granted(handle, sid, tool),

    /** Rows and events for questions of one turn, to be written in the transaction that suspends it. */
    async ask(tx: Transaction<ApprovalTables>, turn: TurnRef, questions: Question[]) {
      const at = now()
      const expires = at + deps.timeoutSeconds() * 1000
      const events = []
      for (const question of questions) {
        const id = ulid()
        await store.insert(tx, { id, turn, ...question, created_at: at, expires_at: expires })
        events.push({
          type: 'approval' as const,
          approval_id: id,
          call_id: question.call_id,
          name: question.tool,
          arguments: question.arguments,
          reason: question.reason,
          expires_at: expires / 1000,
        })
      }
      return events
    },

    announce: (turn: TurnRef): void =>
      bus.publish({ type: 'resource', resource: 'approval', action: 'created', handle: turn.handle }),

    /** Newest first; only those of the caller's handle. */
    async list(caller: Caller, state: 'pending' | 'all'): Promise<Approval[]> {
      return (await store.list(caller.handle, state)).map(toApproval)
    },

    /** The question that a turn of this session waits for, oldest first. */
    pendingOf: (sid: number): Promise<ApprovalRow[]> => store.pendingOf(sid),

    /** Throws `not_found` for somebody else's, `conflict` when it was answered before. */
    async decide(caller: Caller, id: string, decision: ApprovalDecision): Promise<Approval> {
      demand(caller, 'chat')
      const row = await store.get(id)
      if (!row || row.handle !== caller.handle) throw notFound('approval', id)
      if (row.state !== 'pending' || !await settle(row, decision, caller.name)) {
        const current = await store.get(id)
        throw new AppError(
          'conflict',
          `This was already answered: ${current?.state ?? row.state} by ${current?.decided_by ?? 'somebody'}`,
        )
      }
      tell(row)
      return toApproval((await store.get(id))!)
    },

    /** Withdraws what a turn still asks; its calls are told that nobody answered. */
    async cancel(turnId: string): Promise<void> {
      for (const row of await store.ofTurn(turnId)) {
        if (row.state === 'pending' && await settle(row, 'cancelled', 'the turn was stopped')) tell(row)
      }
    },

    close: (): void => clearInterval(timer),
  }
}

export const DecideInput = v.object({
  decision: v.picklist(
    ['allow_once', 'allow_session', 'allow_always', 'deny'],
    'must be allow_once, allow_session, allow_always or deny',
  ),
})

const refOf = (row: ApprovalRow): TurnRef => ({
  sid: row.sid,
  session_id: row.session_id,
  handle: row.handle,
  turn_id: row.turn_id,
})

function toApproval(row: ApprovalRow): Approval {
  return {
    id: row.id,
    session_id: row.session_id,
    turn_id: row.turn_id,
    call_id: row.call_id,
    tool: row.tool,
    arguments: JSON.parse(row.arguments) as Record<string, unknown>,
    reason: row.reason,
    state: row.state,
    decided_by: row.decided_by,
    created_at: row.created_at / 1000,
    expires_at: row.expires_at / 1000,
    decided_at: row.decided_at === null ? null : row.decided_at / 1000,
  }
}
