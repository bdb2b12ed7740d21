import { type Generated, type Kysely, sql } from 'kysely'
import type { Db } from '../db/open.ts'
import type { Scope } from './principal.ts'

type KeysTable = {
  id: string
  hash: string
  prefix: string
  name: string
  handle: string
  scopes: string
  created_by: string
  created_at: number
  expires_at: number | null
  last_used_at: number | null
}

type BrowsersTable = {
  id: string
  hash: string
  name: string
  handle: string
  scopes: string
  key_id: string | null
  owner_token: string | null
  address: string
  created_at: number
  last_seen_at: number
  expires_at: number
  ends_at: number | null
}

type LinksTable = {
  hash: string
  short_hash: string | null
  kind: 'first' | 'login' | 'pairing'
  handle: string
  scopes: string
  created_by: string
  created_at: number
  expires_at: number
}

type AuditTable = {
  id: Generated<number>
  at: number
  actor_kind: string
  actor_id: string
  actor_name: string
  handle: string
  action: string
  target: string
  detail: string
  address: string
  prev_hash: Generated<string>
  hash: Generated<string>
}

type Tables = {
  handles: { handle: string; created_at: number }
  api_keys: KeysTable
  browsers: BrowsersTable
  login_links: LinksTable
  audit: AuditTable
  sqlite_sequence: { name: string; seq: number }
}

type WithScopes<Row> = Omit<Row, 'hash' | 'short_hash' | 'scopes'> & { scopes: Scope[] }

/** Times are epoch milliseconds. A stored secret's hash goes in and is never read back. */
export type StoredKey = WithScopes<KeysTable>
export type StoredBrowser = WithScopes<BrowsersTable>
export type StoredLink = WithScopes<LinksTable>

/** One row of the audit log; the chain gives the id and the hashes. */
export type NewAudit = Omit<AuditTable, 'id' | 'detail' | 'prev_hash' | 'hash'> & { detail: Record<string, unknown> }
/** Rows that are older than the chain have empty hashes. */
export type StoredAudit = NewAudit & { id: number; prev_hash: string; hash: string }

/** What `createAuthStore` offers. */
export type AuthStore = ReturnType<typeof createAuthStore>

/** A transaction of any feature, or the database itself. */
export type AuditTx = Kysely<Pick<Tables, 'audit'>>

/** Keys, browsers, login links and the audit log; the only SQL about them. */
export function createAuthStore(kysely: Db) {
  const db = kysely.withTables<Tables>()

  const ensureHandle = (handle: string, now: number) =>
    db.insertInto('handles').values({ handle, created_at: now }).onConflict((on) => on.doNothing()).execute()

  return {
    /** Whether somebody can still come in as the owner with all scopes. */
    async hasOwner(now: number): Promise<boolean> {
      const keys = db.selectFrom('api_keys').select('id').where('handle', '=', 'owner').where(
        'scopes',
        'like',
        '%admin%',
      )
        .where((or) => or.or([or('expires_at', 'is', null), or('expires_at', '>', now)]))
      if (await keys.limit(1).executeTakeFirst()) return true
      const browsers = db.selectFrom('browsers').select('id').where('handle', '=', 'owner')
        .where('scopes', 'like', '%admin%').where('expires_at', '>', now)
      return (await browsers.limit(1).executeTakeFirst()) !== undefined
    },

    async addKey(key: StoredKey, hash: string): Promise<void> {
      await ensureHandle(key.handle, key.created_at)
      await db.insertInto('api_keys').values({ ...flat(key), hash }).execute()
    },
    async keyByHash(hash: string): Promise<StoredKey | undefined> {
      const row = await db.selectFrom('api_keys').selectAll().where('hash', '=', hash).executeTakeFirst()
      return row && keyOf(row)
    },
    async listKeys(): Promise<StoredKey[]> {
      const rows = await db.selectFrom('api_keys').selectAll().orderBy('created_at', 'desc').orderBy('id').execute()
      return rows.map(keyOf)
    },
    async removeKey(id: string): Promise<StoredKey | undefined> {
      const row = await db.deleteFrom('api_keys').where('id', '=', id).returningAll().executeTakeFirst()
      return row && keyOf(row)
    },
    async touchKey(id: string, at: number): Promise<void> {
      await db.updateTable('api_keys').set({ last_used_at: at }).where('id', '=', id).execute()
    },

    async addBrowser(browser: StoredBrowser, hash: string): Promise<void> {
      await ensureHandle(browser.handle, browser.created_at)
      await db.insertInto('browsers').values({ ...flat(browser), hash }).execute()
    },
    async browserByHash(hash: string): Promise<StoredBrowser | undefined> {
      const row = await db.selectFrom('browsers').selectAll().where('hash', '=', hash).executeTakeFirst()
      return row && browserOf(row)
    },
    async getBrowser(id: string): Promise<StoredBrowser | undefined> {
      const row = await db.selectFrom('browsers').selectAll().where('id', '=', id).executeTakeFirst()
      return row && browserOf(row)
    },
    /** Those still valid at `now`; of every handle when none is given. */
    async listBrowsers(now: number, handle?: string): Promise<StoredBrowser[]> {
      let query = db.selectFrom('browsers').selectAll().where('expires_at', '>', now)
      if (handle !== undefined) query = query.where('handle', '=', handle)
      return (await query.orderBy('last_seen_at', 'desc').orderBy('id').execute()).map(browserOf)
    },
    async browserIdsOfKey(keyId: string): Promise<string[]> {
      const rows = await db.selectFrom('browsers').select('id').where('key_id', '=', keyId).execute()
      return rows.map((row) => row.id)
    },
    async touchBrowser(id: string, at: number, expiresAt: number): Promise<void> {
      const changes = { last_seen_at: at, expires_at: expiresAt }
      await db.updateTable('browsers').set(changes).where('id', '=', id).execute()
    },
    /** Returns whether it was there. */
    async removeBrowser(id: string): Promise<boolean> {
      const gone = await db.deleteFrom('browsers').where('id', '=', id).returning('id').executeTakeFirst()
      return gone !== undefined
    },

    /** Adds a link; outdated ones go, and of the first start's only the newest stays. */
    async addLink(link: StoredLink, hash: string, shortHash: string | null): Promise<void> {
      await db.deleteFrom('login_links').where((or) =>
        or.or([
          or('expires_at', '<=', link.created_at),
          ...(link.kind === 'first' ? [or('kind', '=', 'first' as const)] : []),
        ])
      ).execute()
      await db.insertInto('login_links').values({ ...flat(link), hash, short_hash: shortHash }).execute()
    },
    /** Takes a link that is valid at `now`: of two callers at once only one gets it. */
    async takeLink(hash: string, now: number): Promise<StoredLink | undefined> {
      const row = await db.deleteFrom('login_links')
        .where((or) => or.or([or('hash', '=', hash), or('short_hash', '=', hash)]))
        .where('expires_at', '>', now)
        .returningAll()
        .executeTakeFirst()
      return row && linkOf(row)
    },
    async removeFirstLinks(): Promise<void> {
      await db.deleteFrom('login_links').where('kind', '=', 'first').execute()
    },
    async removeExpiredBrowsers(now: number): Promise<void> {
      await db.deleteFrom('browsers').where('expires_at', '<=', now).execute()
    },
    /** Ends the sessions that another token of the environment opened than the one with this fingerprint. */
    async removeBrowsersOfOtherTokens(fingerprint: string | null): Promise<void> {
      await db.deleteFrom('browsers').where('owner_token', 'is not', null)
        .where('owner_token', 'is not', fingerprint).execute()
    },

    async addAudit(rows: StoredAudit[], tx: AuditTx = db): Promise<void> {
      const values = rows.map((row) => ({ ...row, detail: JSON.stringify(row.detail) }))
      await tx.insertInto('audit').values(values).execute()
    },
    /** Of the newest row. */
    newestAudit: (tx: AuditTx = db): Promise<{ id: number; hash: string } | undefined> =>
      tx.selectFrom('audit').select(['id', 'hash']).orderBy('id', 'desc').limit(1).executeTakeFirst(),
    /** Oldest first. */
    async auditAfter(id: number, limit: number): Promise<StoredAudit[]> {
      const rows = await db.selectFrom('audit').selectAll().where('id', '>', id).orderBy('id').limit(limit).execute()
      return rows.map((row) => ({ ...row, detail: JSON.parse(row.detail) }))
    },
    /** The largest id that was ever given, also to a row that is gone. */
    async lastAuditId(): Promise<number> {
      const row = await db.selectFrom('sqlite_sequence').select('seq').where('name', '=', 'audit').executeTakeFirst()
      return row?.seq ?? 0
    },
    /** Newest first. An action that ends with a dot stands for all that begin with it. */
    async listAudit({ limit, before, action, actor, about, since }: {
      limit: number
      before?: number | undefined
      action?: string | undefined
      actor?: string | undefined
      about?: string | undefined
      /** Epoch milliseconds. */
      since?: number | undefined
    }): Promise<StoredAudit[]> {
      let query = db.selectFrom('audit').selectAll().orderBy('id', 'desc').limit(limit)
      if (before !== undefined) query = query.where('id', '<', before)
      if (since !== undefined) query = query.where('at', '>=', since)
      if (actor) query = query.where(holds(actor, 'actor_name', 'handle'))
      if (about) query = query.where(holds(about, 'target', 'detail'))
      if (action?.endsWith('.')) {
        // The character after the dot bounds the prefix.
        query = query.where('action', '>=', action).where('action', '<', `${action.slice(0, -1)}/`)
      } else if (action !== undefined) query = query.where('action', '=', action)
      return (await query.execute()).map((row) => ({ ...row, detail: JSON.parse(row.detail) }))
    },
  }
}

/** Whether one of the columns has the text in it, in either case. */
const holds = (text: string, ...columns: ('actor_name' | 'handle' | 'target' | 'detail')[]) =>
  sql<boolean>`instr(lower(${
    sql.join(columns.map((column) => sql.ref(column)), sql` || char(10) || `)
  }), lower(${text})) > 0`

const flat = <T extends { scopes: Scope[] }>(row: T): Omit<T, 'scopes'> & { scopes: string } => ({
  ...row,
  scopes: JSON.stringify(row.scopes),
})

const keyOf = ({ hash: _, ...row }: KeysTable): StoredKey => ({ ...row, scopes: JSON.parse(row.scopes) })
const browserOf = ({ hash: _, ...row }: BrowsersTable): StoredBrowser => ({ ...row, scopes: JSON.parse(row.scopes) })
const linkOf = ({ hash: _, short_hash: __, ...row }: LinksTable): StoredLink => ({
  ...row,
  scopes: JSON.parse(row.scopes),
})
