import { open } from 'node:fs/promises'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Kysely } from 'kysely'
import type { Log } from '../system/log.ts'
import { createKysely, type NoTables } from './dialect.ts'
import type { CommitOptions, DatabaseStats, Engine, Result, Statement } from './engine.ts'
import { LocalEngine } from './local-engine.ts'
import { runnableFacts } from './sql-text.ts'
import type { Row } from './values.ts'

/** Features narrow it to their own tables: `db.withTables<{ sessions: SessionsTable }>()`. */
export type Db = Kysely<NoTables>

/** The product's one database. Features use `kysely`; hot code uses the raw calls, which skip query building. */
export type Database = {
  kysely: Db
  url: string
  kind: 'local' | 'remote'
  /**
   * Rows of one statement. Integers beyond 2^53 - 1 come back as bigint, blobs as Uint8Array. Parameters: booleans
   * become 0/1, dates ISO text, undefined null; objects and NaN are refused.
   */
  all<R = Row>(sql: string, parameters?: readonly unknown[]): Promise<R[]>
  /** Runs one write durably; writes of several callers share a commit under load. */
  run(sql: string, parameters?: readonly unknown[]): Promise<{ changes: number; lastInsertRowid: bigint }>
  /** Runs writes in one transaction and one commit: all or none. A function is asked for them once it has begun. */
  batch(statements: Statements, options?: CommitOptions): Promise<Result[]>
  /** Moves the write-ahead log into the file, as far as readers allow. */
  checkpoint(): Promise<void>
  /** Refuses new work, waits for what runs, checkpoints and closes. */
  close(): Promise<void>
  stats(): DatabaseStats
}

type Statements = readonly Statement[] | (() => readonly Statement[])

export type OpenOptions = {
  /** `file:/abs/path`, `:memory:`, `libsql:`, `http(s):` or `ws(s):`. */
  url: string
  /** For remote ones. */
  authToken?: string
  log?: Log
}

/** Opens the database, creating a local one readable by its owner only. Throws when it can't be reached or used. */
export async function openDatabase({ url, authToken, log }: OpenOptions): Promise<Database> {
  const engine = await openEngine(url, authToken)
  const kysely = createKysely(engine)
  log?.debug('db.opened', 'The database is open', { kind: engine.kind })
  return {
    kysely,
    url,
    kind: engine.kind,
    all: async <R>(sql: string, parameters: readonly unknown[] = []) => {
      const read = runnableFacts(sql, parameters).kind === 'read'
      return (read ? await engine.read(sql, parameters) : (await engine.write(sql, parameters)).rows) as R[]
    },
    run: async (sql, parameters = []) => {
      runnableFacts(sql, parameters)
      const { changes, lastInsertRowid } = await engine.write(sql, parameters)
      return { changes, lastInsertRowid }
    },
    batch: (statements, options) => batch(engine, statements, options),
    checkpoint: () => engine.checkpoint(),
    close: () => engine.close(),
    stats: () => engine.stats(),
  }
}

async function openEngine(url: string, authToken?: string): Promise<Engine> {
  if (url !== ':memory:' && !url.startsWith('file:')) {
    const { RemoteEngine } = await import('./remote-engine.ts')
    return RemoteEngine.open(url, authToken)
  }
  const path = url === ':memory:' ? url : fileURLToPath(new URL(url))
  if (path !== ':memory:') await createPrivately(path)
  const engine = new LocalEngine(path)
  await engine.open()
  return engine
}

/** Never opens a file that is there: closing any handle of it would drop SQLite's own locks (POSIX). */
async function createPrivately(path: string): Promise<void> {
  try {
    await (await open(path, 'wx', 0o600)).close()
  } catch (error) {
    if ((error as { code?: string }).code !== 'EEXIST') throw error
  }
}

async function batch(engine: Engine, statements: Statements, options?: CommitOptions): Promise<Result[]> {
  const transaction = await engine.begin(options)
  try {
    const results: Result[] = []
    let turn = performance.now()
    for (const { sql, parameters = [] } of typeof statements === 'function' ? statements() : statements) {
      runnableFacts(sql, parameters)
      results.push(await transaction.execute(sql, parameters))
      if (performance.now() - turn > 4) {
        await nextTurn()
        turn = performance.now()
      }
    }
    await transaction.commit()
    return results
  } catch (error) {
    await transaction.rollback()
    throw error
  }
}
