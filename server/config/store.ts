import type { Generated, Selectable } from 'kysely'
import type { Db } from '../db/open.ts'
import type { Secrets } from '../secrets/service.ts'

type Tables = {
  config_history: {
    id: Generated<number>
    at: number
    by_kind: string
    by_id: string
    by_name: string
    sha: string
    text: string
  }
}

/** One version as it is kept; `at` is epoch milliseconds. */
export type StoredVersion = {
  id: number
  at: number
  by: { kind: string; id: string; name: string }
  sha: string
}

/** Versions that are kept; older ones go. */
export const KEPT = 20

/** The history of `gatehouse.yaml`; the texts may hold secrets, so they are sealed. */
export type ConfigStore = {
  /** Newest first. */
  list(): Promise<StoredVersion[]>
  get(id: number): Promise<(StoredVersion & { text: string }) | undefined>
  /** Adds a version unless the newest is the same. */
  add(version: Omit<StoredVersion, 'id'> & { text: string }): Promise<void>
}

export function createConfigStore(
  { kysely, secrets }: { kysely: Db; secrets: Pick<Secrets, 'seal' | 'open'> },
): ConfigStore {
  const db = kysely.withTables<Tables>()
  const newest = () => db.selectFrom('config_history').orderBy('id', 'desc')
  const fromRow = (row: Omit<Selectable<Tables['config_history']>, 'text'>): StoredVersion => ({
    id: row.id,
    at: row.at,
    by: { kind: row.by_kind, id: row.by_id, name: row.by_name },
    sha: row.sha,
  })
  return {
    list: async () => {
      const rows = await newest().select(['id', 'at', 'by_kind', 'by_id', 'by_name', 'sha']).limit(KEPT).execute()
      return rows.map(fromRow)
    },
    get: async (id) => {
      const row = await newest().selectAll().where('id', '=', id).executeTakeFirst()
      return row && { ...fromRow(row), text: secrets.open(row.text) }
    },
    add: async ({ at, by, sha, text }) => {
      const last = await newest().select('sha').limit(1).executeTakeFirst()
      if (last?.sha === sha) return
      await db.insertInto('config_history').values({
        at,
        by_kind: by.kind,
        by_id: by.id,
        by_name: by.name,
        sha,
        text: secrets.seal(text),
      }).execute()
      await db.deleteFrom('config_history')
        .where('id', 'not in', newest().select('id').limit(KEPT))
        .execute()
    },
  }
}
