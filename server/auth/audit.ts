import { invalid } from '../errors.ts'
import type { AuditEntry, AuditPage } from '../../shared/auth.ts'
import type { Caller } from './principal.ts'
import type { AuthStore, StoredAudit } from './store.ts'
import { stamp } from './times.ts'

/** What happened. `detail` must hold no secret; without a caller the actor is a stranger. */
export type AuditRecord = {
  caller?: Caller | undefined
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
  /** Newest first. */
  list(
    query: { limit?: number | undefined; cursor?: string | undefined; action?: string | undefined },
  ): Promise<AuditPage>
}

/** Writes the audit log and pages through it. */
export function createAudit({ store, now }: { store: AuthStore; now: () => number }): Audit {
  return {
    async record({ caller, action, target = '', detail = {}, address = '' }) {
      const actor = {
        actor_kind: caller?.kind ?? 'stranger',
        actor_id: caller?.id ?? '',
        actor_name: caller?.name ?? '',
        handle: caller?.handle ?? '',
      }
      await store.addAudit({ at: now(), ...actor, action, target, detail, address })
    },

    async list({ limit = 50, cursor, action }) {
      const before = cursor === undefined ? undefined : beforeOf(cursor)
      const rows = await store.listAudit({ limit: limit + 1, before, action })
      const items = rows.slice(0, limit).map(toWire)
      const last = items.at(-1)
      return { items, nextCursor: rows.length > limit && last ? cursorOf(last.id) : null }
    },
  }
}

const toWire = ({ at, ...row }: StoredAudit): AuditEntry => ({ ...row, ...stamp('at', at) })

const cursorOf = (id: number): string => Buffer.from(`a${id}`).toString('base64url')

function beforeOf(cursor: string): number {
  const [, id] = /^a(\d{1,15})$/.exec(Buffer.from(cursor, 'base64url').toString()) ?? []
  if (id === undefined) throw invalid('cursor', 'is not one that this list gave')
  return Number(id)
}
