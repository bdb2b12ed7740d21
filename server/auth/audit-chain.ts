import { createHash } from 'node:crypto'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { AuditCheck } from '../../shared/auth.ts'
import { canonicalJson } from '../../shared/canonical-json.ts'
import type { AuditTx, AuthStore, NewAudit, StoredAudit } from './store.ts'

type Head = { id: number; hash: string }
type Waiting = { entry: NewAudit; done: () => void; failed: (error: unknown) => void }

/** Rows of one insert, and of one step of a check. */
const BATCH = 500
/** Another process may write to the same database; then the head is read again. */
const TRIES = 5

/**
 * Appends to the audit log so that each row holds the hash of the one before: who changes, removes or inserts a row
 * breaks every later one. The head is in memory, so that an append reads nothing; appends that wait share a commit.
 */
export function createAuditChain(store: AuthStore) {
  let head: Head | undefined
  const waiting: Waiting[] = []
  let writing: Promise<void> | undefined

  async function drain(): Promise<void> {
    while (waiting.length > 0) {
      const batch = waiting.splice(0, BATCH)
      try {
        await write(batch.map(({ entry }) => entry))
        for (const { done } of batch) done()
      } catch (error) {
        for (const { failed } of batch) failed(error)
      }
    }
  }

  async function write(entries: NewAudit[]): Promise<void> {
    for (let attempt = 1;; attempt++) {
      head ??= await readHead()
      const rows = linked(head, entries)
      try {
        await store.addAudit(rows)
        head = rows.at(-1)
        return
      } catch (error) {
        head = undefined
        if (attempt === TRIES || !/unique|primary key/i.test(String(error))) throw error
      }
    }
  }

  /** Rows that are older than the chain have no hash; the first one that has one vouches for all of them. */
  async function readHead(tx?: AuditTx): Promise<Head> {
    const newest = await store.newestAudit(tx)
    if (!newest) return { id: await store.lastAuditId(), hash: '' }
    if (newest.hash !== '') return { id: newest.id, hash: newest.hash }
    let hash = ''
    for await (const row of rowsFrom(0)) hash = hashOf({ ...row, prev_hash: hash })
    return { id: newest.id, hash }
  }

  async function* rowsFrom(after: number): AsyncGenerator<StoredAudit> {
    for (;;) {
      const rows = await store.auditAfter(after, BATCH)
      yield* rows
      if (rows.length < BATCH) return
      after = rows.at(-1)!.id
      await nextTurn()
    }
  }

  return {
    append: (entry: NewAudit): Promise<void> =>
      new Promise((done, failed) => {
        waiting.push({ entry, done, failed })
        writing ??= drain().finally(() => (writing = undefined))
      }),

    /** Within a transaction: the row is there exactly if the rest of it is. */
    async appendIn(tx: AuditTx, entry: NewAudit): Promise<void> {
      await store.addAudit(linked(await readHead(tx), [entry]), tx)
      // Whoever reads it again before the commit meets this row's id when it writes, and reads once more.
      head = undefined
    },

    /** Reads the whole log and recomputes every hash. */
    async verify(): Promise<AuditCheck> {
      let rows = 0
      let chained = 0
      let last: Head = { id: 0, hash: '' }
      const broken = (id: number, problem: string): AuditCheck => ({
        ok: false,
        rows,
        chained,
        head: last,
        broken: { id, problem },
      })
      for await (const row of rowsFrom(0)) {
        rows++
        if (row.id !== last.id + 1 && chained > 0) {
          return broken(row.id, `rows before it were removed, from ${last.id + 1} on`)
        }
        const hash = hashOf({ ...row, prev_hash: last.hash })
        if (row.hash === '' && chained > 0) return broken(row.id, 'it has no hash')
        if (row.hash !== '') {
          chained++
          if (row.prev_hash !== last.hash) return broken(row.id, 'it does not follow the row before it')
          if (row.hash !== hash) return broken(row.id, 'it was changed after it was written')
        }
        last = { id: row.id, hash }
      }
      const newest = await store.lastAuditId()
      if (newest > last.id && (await store.auditAfter(last.id, 1)).length === 0) {
        return broken(newest, `the newest rows were removed, from ${last.id + 1} on`)
      }
      return { ok: true, rows, chained, head: last, broken: null }
    },
  }
}

/** The rows that follow a row of the log. */
function linked(after: Head, entries: NewAudit[]): StoredAudit[] {
  let last = after
  return entries.map((entry) => {
    const row = { ...entry, id: last.id + 1, prev_hash: last.hash }
    last = { id: row.id, hash: hashOf(row) }
    return { ...row, hash: last.hash }
  })
}

/** Over everything but the hash itself. */
function hashOf({ id, at, actor_kind, actor_id, actor_name, handle, action, target, detail, address, prev_hash }:
  & NewAudit
  & { id: number; prev_hash: string }): string {
  const row = { id, at, actor_kind, actor_id, actor_name, handle, action, target, detail, address, prev_hash }
  return createHash('sha256').update(canonicalJson(row)).digest('hex')
}
