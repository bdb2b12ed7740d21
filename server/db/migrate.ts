import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { CompiledQuery } from 'kysely'
import type { Database } from './open.ts'
import { splitStatements, statementFacts } from './sql-text.ts'

/** The database and the program don't fit together; `message` tells a person what to do. */
export class DatabaseRefused extends Error {
  override name = 'DatabaseRefused'
}

type Migration = { number: number; name: string; sha256: string; sql: string }
type Applied = { number: number; name: string; sha256: string }

const FOLDER = join(import.meta.dirname, 'migrations')
const APPLIED = 'select number, name, sha256 from migrations order by number'
const CREATE = `create table if not exists migrations (
  number integer primary key, name text not null, sha256 text not null, applied_at text not null
) strict`

/**
 * Brings the database up to the numbered `.sql` files of `folder`, each in a transaction of its own, and returns the
 * names of those it applied. When there is nothing to do it costs one query. Throws `DatabaseRefused`.
 */
export async function migrate(db: Database, folder = FOLDER): Promise<string[]> {
  const [migrations, applied] = await Promise.all([readMigrations(folder), appliedTo(db)])
  compare(migrations, applied)
  const names: string[] = []
  for (const migration of migrations.slice(applied.length)) {
    if (await apply(db, migration)) names.push(migration.name)
  }
  return names
}

async function readMigrations(folder: string): Promise<Migration[]> {
  const names = (await readdir(folder)).filter((name) => name.endsWith('.sql')).sort()
  const migrations = await Promise.all(names.map((name) => readMigration(folder, name)))
  migrations.forEach((migration, index) => {
    if (migration.number === index + 1) return
    const same = migrations[index - 1]?.number === migration.number
    throw new DatabaseRefused(
      same
        ? `Two migrations have the number ${migration.number}: ${migrations[index - 1]?.name} and ${migration.name}. ` +
          'Give the newer one the next free number.'
        : `Migration ${index + 1} is missing: ${migration.name} comes too early. Numbers go up by one.`,
    )
  })
  return migrations
}

async function readMigration(folder: string, name: string): Promise<Migration> {
  const number = /^(\d{4})-[a-z0-9-]+\.sql$/.exec(name)?.[1]
  if (!number) throw new DatabaseRefused(`The migration ${name} must be named like 0001-sessions.sql`)
  // Line ends may change with a checkout; that is no change of the migration.
  const sql = (await readFile(join(folder, name), 'utf8')).replaceAll('\r\n', '\n')
  const sha256 = createHash('sha256').update(sql).digest('hex')
  return { number: Number(number), name: name.slice(0, -'.sql'.length), sha256, sql }
}

async function appliedTo(db: Database): Promise<Applied[]> {
  try {
    return await db.all<Applied>(APPLIED)
  } catch (error) {
    if (!/no such table/.test(String(error))) throw error
    return []
  }
}

function compare(migrations: Migration[], applied: Applied[]): void {
  applied.forEach((done, index) => {
    const migration = migrations[index]
    if (!migration || migration.name !== done.name) {
      throw new DatabaseRefused(
        `The database has the migration "${done.name}", which this program does not know: the database was used by a ` +
          'newer version. Start that version, or restore a backup from before the update.',
      )
    }
    if (migration.sha256 !== done.sha256) {
      throw new DatabaseRefused(
        `The migration ${migration.name} was changed after it was applied. Restore the file, and put the change into ` +
          'a new migration.',
      )
    }
  })
}

/** False when another process applied it meanwhile. */
async function apply(db: Database, { number, name, sha256, sql }: Migration): Promise<boolean> {
  const statements = splitStatements(sql)
  const control = statements.find((statement) => statementFacts(statement).kind === 'control')
  if (control) throw new DatabaseRefused(`The migration ${name} says "${control}"; each one runs in a transaction`)
  return db.kysely.transaction().execute(async (trx) => {
    const run = (text: string, parameters: unknown[] = []) => trx.executeQuery(CompiledQuery.raw(text, parameters))
    await run(CREATE)
    const { rows } = await run('select 1 from migrations where number = ?', [number])
    if (rows.length > 0) return false
    for (const statement of statements) {
      try {
        await run(statement)
      } catch (error) {
        const why = error instanceof Error ? error.message : String(error)
        throw new DatabaseRefused(`The migration ${name} failed: ${why}. Nothing of it was kept.`, { cause: error })
      }
    }
    const when = new Date().toISOString()
    await run('insert into migrations (number, name, sha256, applied_at) values (?, ?, ?, ?)', [
      number,
      name,
      sha256,
      when,
    ])
    return true
  })
}
