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
  text: string
}

/** Versions that are kept; older ones go. */
export const KEPT = 20

/** The history of `gatehouse.yaml`; the texts may hold secrets, so they are sealed. */
export type ConfigStore = {
  /** Newest first. */
  list(): Promise<StoredVersion[]>
  get(id: number): Promise<StoredVersion | undefined>
  add(version: Omit<StoredVersion, 'id'>): Promise<void>
}

export function createConfigStore(
  { kysely, secrets }: { kysely: Db; secrets: Pick<Secrets, 'seal' | 'open'> },
): ConfigStore {
  const db = kysely.withTables<Tables>()
  const versions = () => db.selectFrom('config_history').selectAll().orderBy('id', 'desc')
  const fromRow = (row: Selectable<Tables['config_history']>): StoredVersion => ({
    id: Number(row.id),
    at: Number(row.at),
    by: { kind: row.by_kind, id: row.by_id, name: row.by_name },
    sha: row.sha,
    text: secrets.open(row.text),
  })
  return {
    list: async () => (await versions().limit(KEPT).execute()).map(fromRow),
    get: async (id) => {
      const row = await versions().where('id', '=', id).executeTakeFirst()
      return row && fromRow(row)
    },
    add: async ({ at, by, sha, text }) => {
      await db.insertInto('config_history').values({
        at,
        by_kind: by.kind,
        by_id: by.id,
        by_name: by.name,
        sha,
        text: secrets.seal(text),
      }).execute()
      await db.deleteFrom('config_history')
        .where(
          'id',
          'not in',
          (query) => query.selectFrom('config_history').select('id').orderBy('id', 'desc').limit(KEPT),
        )
        .execute()
    },
  }
}
