import type { Transaction } from 'kysely'
import type { Db } from '../db/open.ts'
import { ulid } from '../db/ulid.ts'
import type { Approval, ApprovalDecision, ApprovalPattern, ApprovalQuery, ApprovalVia } from '../../shared/approvals.ts'
import { canonicalJson } from '../../shared/canonical-json.ts'
import type { TurnEventBody } from '../../shared/turn-events.ts'
import { type Caller, demand } from '../auth/principal.ts'
import type { Bus } from '../bus/bus.ts'
import { AppError, invalid, notFound } from '../errors.ts'
import type { EventLog, TurnRef, Tx } from '../sessions/event-log.ts'
import { type ApprovalRow, type ApprovalTables, createApprovalStore, type Settled } from './store.ts'

export type Approvals = ReturnType<typeof createApprovals>

/** A call that waits for a yes: its arguments are frozen here and shown to whoever answers. */
export type Question = {
  call_id: string
  tool: string
  arguments: Record<string, unknown>
  reason: string
  /** What a standing yes may be for, in the order of preference. */
  patterns: ApprovalPattern[]
}

/** A standing yes that an answer gives; without arguments it covers all, without a session every one. */
export type Grant = {
  id: string
  handle: string
  tool: string
  arguments: string | null
  sid: number | null
  created_by: string
  created_at: number
}

/** What may come with an answer. */
export type DecideOptions = {
  reason?: string | undefined
  pattern?: ApprovalPattern['kind'] | undefined
  /** Told from the kind of caller when left out. */
  via?: ApprovalVia | undefined
}

/** Questions that end with their turn. */
export type Withdrawal = {
  /** Writes it in the transaction that ends the turn; answers its events. */
  in(tx: Tx): Promise<TurnEventBody[]>
  /** Tells that it is durable. */
  told(): void
}

const SWEEP_MS = 2000

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
  /** Keeps a standing yes, in the transaction of the answer. */
  grant(tx: object, grant: Grant): Promise<void>
  /** Notes an answer in the audit log, in its own transaction. */
  audit(tx: object, entry: {
    caller?: Caller
    system?: string
    action: string
    target: string
    detail: Record<string, unknown>
  }): Promise<void>
  /** Told of failures that nobody waits for. */
  onError: (message: string, error: unknown) => void
  now: () => number
}) {
  const { log, bus, now } = deps
  const store = createApprovalStore(deps.kysely)

  /** Writes an answer; false when the question was answered before. */
  async function settle(row: ApprovalRow, answer: Answer): Promise<boolean> {
    const won = await log.commit<boolean>(async (tx) => {
      const decided = await write(tx, row, answer)
      if (!decided) return { result: false }
      await store.resumeTurnWhenAnswered(tx, row.turn_id)
      return { result: true, turn: refOf(row), events: [decided] }
    })
    if (!won) return false
    tell(row)
    bus.publish({ type: 'turn_ready', sid: row.sid })
    return true
  }

  /** The event of an answer, once it is written; nothing when the question was answered before. */
  async function write(tx: Tx, row: ApprovalRow, answer: Answer): Promise<TurnEventBody | undefined> {
    const { decision, by, via = null, reason, pattern = null } = answer
    const settled: Settled = { state: decision, by, via, reason: reason || null, pattern, at: now() }
    if (!await store.decide(tx, row.id, settled)) return undefined
    if (pattern !== null) {
      await deps.grant(tx, {
        id: `grant-${row.id}`,
        handle: row.handle,
        tool: row.tool,
        arguments: pattern === 'exact' ? canonicalJson(JSON.parse(row.arguments)) : null,
        sid: decision === 'allow_session' ? row.sid : null,
        created_by: by,
        created_at: settled.at,
      })
    }
    await record(tx, row, answer)
    const told = { approval_id: row.id, call_id: row.call_id, decision, by, ...(reason ? { reason } : {}) }
    return { type: 'approval_decided', ...told }
  }

  const record = (
    tx: object,
    row: ApprovalRow,
    { decision, caller, via, reason, pattern }: Answer,
  ): Promise<void> =>
    deps.audit(tx, {
      ...(caller ? { caller } : { system: row.handle }),
      action: `approval.${decision}`,
      target: row.id,
      detail: {
        tool: row.tool,
        session_id: row.session_id,
        turn_id: row.turn_id,
        call_id: row.call_id,
        ...(via ? { via } : {}),
        ...(reason ? { reason } : {}),
        ...(pattern ? { pattern: patternsOf(row).find(({ kind }) => kind === pattern)?.text ?? pattern } : {}),
      },
    })

  const tell = (row: ApprovalRow): void =>
    bus.publish({ type: 'resource', resource: 'approval', action: 'updated', id: row.id, handle: row.handle })

  async function expireOverdue(): Promise<void> {
    for (const row of await store.overdue(now())) {
      await settle(row, { decision: 'expired', by: 'nobody' })
    }
  }

  let sweeping: Promise<void> | undefined
  const timer = setInterval(() => {
    sweeping ??= expireOverdue()
      .catch((error) => deps.onError('Questions that nobody answered could not be closed; trying again', error))
      .finally(() => (sweeping = undefined))
  }, SWEEP_MS)
  ;(timer as { unref?: () => void }).unref?.()

  return {
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
          patterns: question.patterns,
          expires_at: expires / 1000,
        })
      }
      return events
    },

    announce: (turn: TurnRef): void =>
      bus.publish({ type: 'resource', resource: 'approval', action: 'created', handle: turn.handle }),

    /** Newest first; only those of the caller's handle. */
    async list(caller: Caller, state: 'pending' | 'all'): Promise<Approval[]> {
      return (await store.list(caller.handle, { state, limit: 200 })).map(toApproval)
    },

    /** As `list`, page by page. */
    async page(caller: Caller, { cursor, ...of }: ApprovalQuery) {
      if (cursor !== undefined && !/^[0-9A-Z]{26}$/i.test(cursor)) {
        throw invalid('cursor', 'is not one that this list gave')
      }
      const rows = await store.list(caller.handle, { ...of, limit: of.limit + 1, before: cursor })
      const approvals = rows.slice(0, of.limit).map(toApproval)
      return { approvals, nextCursor: rows.length > of.limit ? approvals.at(-1)!.id : null }
    },

    /** Throws `not_found` for somebody else's. */
    async get(caller: Caller, id: string): Promise<Approval> {
      const row = await store.get(id)
      if (!row || row.handle !== caller.handle) throw notFound('approval', id)
      return toApproval(row)
    },

    /** The question that a turn of this session waits for, oldest first. */
    pendingOf: (sid: number): Promise<ApprovalRow[]> => store.pendingOf(sid),

    /** Throws `not_found` for somebody else's, `conflict` when it was answered before. */
    async decide(
      caller: Caller,
      id: string,
      decision: ApprovalDecision,
      { reason, pattern: wanted, via = viaOf(caller) }: DecideOptions = {},
    ): Promise<Approval> {
      demand(caller, 'chat')
      const row = await store.get(id)
      if (!row || row.handle !== caller.handle) throw notFound('approval', id)
      const pattern = standing(row, decision, wanted)
      const answer = { decision, by: caller.name, caller, via, reason, pattern }
      if (row.state !== 'pending' || !await settle(row, answer)) {
        const current = await store.get(id)
        throw new AppError(
          'conflict',
          `This was already answered: ${current?.state ?? row.state} by ${current?.decided_by ?? 'somebody'}`,
        )
      }
      return toApproval((await store.get(id))!)
    },

    /** Withdraws what a turn still asks, with the end of the turn: a turn's last event stays its last. */
    async withdraw(turnId: string): Promise<Withdrawal> {
      const pending = (await store.ofTurn(turnId)).filter((row) => row.state === 'pending')
      return {
        async in(tx) {
          const events: TurnEventBody[] = []
          for (const row of pending) {
            const decided = await write(tx, row, { decision: 'cancelled', by: 'the turn was stopped' })
            if (decided) events.push(decided)
          }
          return events
        },
        told: () => pending.forEach(tell),
      }
    },

    close: (): void => clearInterval(timer),
  }
}

type Answer = {
  decision: ApprovalDecision | 'expired' | 'cancelled'
  /** Name to show. */
  by: string
  caller?: Caller
  via?: ApprovalVia
  reason?: string | undefined
  pattern?: ApprovalPattern['kind'] | null
}

/** The door that is usual for a caller of this kind. */
function viaOf({ kind, id }: Caller): ApprovalVia {
  if (kind === 'channel') return 'channel'
  if (kind === 'user') return 'web'
  return id === 'terminal' ? 'terminal' : 'rest'
}

/** Questions from before patterns were kept stood for the whole tool. */
function patternsOf(row: ApprovalRow): ApprovalPattern[] {
  const patterns = JSON.parse(row.patterns) as ApprovalPattern[]
  return patterns.length > 0 ? patterns : [{ kind: 'tool', text: `${row.tool} with any arguments` }]
}

/** What a standing yes covers; null for an answer that is for this once. */
function standing(
  row: ApprovalRow,
  decision: ApprovalDecision,
  wanted: ApprovalPattern['kind'] | undefined,
): ApprovalPattern['kind'] | null {
  if (decision !== 'allow_session' && decision !== 'allow_always') {
    if (wanted) throw invalid('pattern', 'goes with allow_session and allow_always only')
    return null
  }
  const offered = patternsOf(row).map(({ kind }) => kind)
  if (wanted === undefined) return offered[0]!
  if (offered.includes(wanted)) return wanted
  throw invalid('pattern', `must be ${offered.join(' or ')} for this call; write a rule to allow more`)
}

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
    session_title: row.session_title,
    origin: row.origin,
    asked_for: row.caller === null ? '' : (JSON.parse(row.caller) as { name?: string }).name ?? '',
    turn_id: row.turn_id,
    call_id: row.call_id,
    tool: row.tool,
    arguments: JSON.parse(row.arguments) as Record<string, unknown>,
    reason: row.reason,
    patterns: patternsOf(row),
    state: row.state,
    decided_by: row.decided_by,
    via: row.via,
    decision_reason: row.decision_reason,
    pattern: row.pattern,
    created_at: row.created_at / 1000,
    expires_at: row.expires_at / 1000,
    decided_at: row.decided_at === null ? null : row.decided_at / 1000,
  }
}
