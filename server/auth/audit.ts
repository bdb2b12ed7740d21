import { invalid } from '../errors.ts'
import type { AuditCheck, AuditEntry, AuditPage, AuditQuery } from '../../shared/auth.ts'
import { createAuditChain } from './audit-chain.ts'
import type { Caller } from './principal.ts'
import type { AuditTx, AuthStore, NewAudit, StoredAudit } from './store.ts'
import { stamp } from './times.ts'

/** What happened. `detail` must hold no secret; without a caller the actor is a stranger, or Gatehouse itself. */
export type AuditRecord = {
  caller?: Caller | undefined
  /** Done by nobody, such as a question that expired; the handle that it belongs to. */
  system?: string
  /** Dotted, feature first: `key.created`, `config.changed`. */
  action: string
  /** Id of what it happened to. */
  target?: string
  detail?: Record<string, unknown>
  address?: string
}

/** Who did what, kept for ever and never changed. */
export type Audit = {
  record(entry: AuditRecord): Promise<void>
  /** As `record`, in the transaction of what happened: both are kept, or neither is. */
  recordIn(tx: object, entry: AuditRecord): Promise<void>
  /** Newest first. */
  list(query: AuditQuery): Promise<AuditPage>
  /** Whether every row is as it was written. */
  verify(): Promise<AuditCheck>
}

/** Writes the audit log and pages through it. */
export function createAudit({ store, now }: { store: AuthStore; now: () => number }): Audit {
  const chain = createAuditChain(store)
  return {
    record: (entry) => chain.append(rowOf(entry, now())),
    recordIn: (tx, entry) => chain.appendIn(tx as AuditTx, rowOf(entry, now())),

    verify: chain.verify,

    async list({ limit = 50, cursor, since, ...of }) {
      const before = cursor === undefined ? undefined : beforeOf(cursor)
      const from = since === undefined ? undefined : since * 1000
      const rows = await store.listAudit({ limit: limit + 1, before, since: from, ...of })
      const items = rows.slice(0, limit).map(toWire)
      const last = items.at(-1)
      return { items, nextCursor: rows.length > limit && last ? cursorOf(last.id) : null }
    },
  }
}

function rowOf(
  { caller, system, action, target = '', detail = {}, address = '' }: AuditRecord,
  at: number,
): NewAudit {
  return {
    at,
    actor_kind: caller?.kind ?? (system === undefined ? 'stranger' : 'system'),
    actor_id: caller?.id ?? '',
    actor_name: caller?.name ?? '',
    handle: caller?.handle ?? system ?? '',
    action,
    target,
    // As it will be read back, for that is what the hash is over.
    detail: JSON.parse(JSON.stringify(detail)) as Record<string, unknown>,
    address,
  }
}

const toWire = ({ at, prev_hash: _, ...row }: StoredAudit): AuditEntry => ({ ...row, ...stamp('at', at) })

const cursorOf = (id: number): string => Buffer.from(`a${id}`).toString('base64url')

function beforeOf(cursor: string): number {
  const [, id] = /^a(\d{1,15})$/.exec(Buffer.from(cursor, 'base64url').toString()) ?? []
  if (id === undefined) throw invalid('cursor', 'is not one that this list gave')
  return Number(id)
}
