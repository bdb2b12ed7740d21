import {
  type CompiledQuery,
  type ConnectionProvider,
  type DatabaseConnection,
  DefaultQueryExecutor,
  type Dialect,
  type Driver,
  Kysely,
  type QueryResult,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from 'kysely'
import { enclosingTransaction, type Engine, type EngineTransaction, runInScope, type Scope } from './engine.ts'
import { runnableFacts } from './sql-text.ts'

// One dialect for both engines. How a read finds its connection, and why, is in README.md beside this file.

/** The adapter says yes to many connections: the engine orders writes itself, and reads need no order. */
class EngineAdapter extends SqliteAdapter {
  override get supportsMultipleConnections(): boolean {
    return true
  }
}

/** What Kysely calls a connection: where one query, or all of one transaction, goes through. */
class EngineConnection implements DatabaseConnection {
  transaction: EngineTransaction | undefined
  readonly scope: Scope
  #engine: Engine

  constructor(engine: Engine, scope: Scope) {
    this.#engine = engine
    this.scope = scope
  }

  async executeQuery<R>({ sql, parameters }: CompiledQuery): Promise<QueryResult<R>> {
    const { kind, verb } = runnableFacts(sql, parameters)
    if (kind === 'read') {
      const rows = this.transaction
        ? (await this.transaction.execute(sql, parameters)).rows
        : await this.#engine.read(sql, parameters)
      return { rows: rows as R[] }
    }
    const result = await (this.transaction ?? { execute: this.#engine.write.bind(this.#engine) })
      .execute(sql, parameters)
    return {
      rows: result.rows as R[],
      numAffectedRows: BigInt(result.changes),
      ...(verb === 'insert' ? { insertId: result.lastInsertRowid } : {}),
    }
  }

  async *streamQuery<R>(query: CompiledQuery): AsyncIterableIterator<QueryResult<R>> {
    yield await this.executeQuery<R>(query)
  }
}

class EngineDriver implements Driver {
  #engine: Engine

  constructor(engine: Engine) {
    this.#engine = engine
  }

  async init(): Promise<void> {}

  async acquireConnection(): Promise<EngineConnection> {
    return new EngineConnection(this.#engine, { engine: this.#engine })
  }

  async releaseConnection(): Promise<void> {}

  async beginTransaction(connection: EngineConnection): Promise<void> {
    connection.transaction = await this.#engine.begin()
    connection.scope.transaction = connection.transaction
  }

  async commitTransaction(connection: EngineConnection): Promise<void> {
    await connection.transaction?.commit()
    connection.transaction = undefined
  }

  async rollbackTransaction(connection: EngineConnection): Promise<void> {
    await connection.transaction?.rollback()
    connection.transaction = undefined
  }

  async savepoint(connection: EngineConnection, name: string): Promise<void> {
    await connection.transaction?.execute(`savepoint ${quoted(name)}`, [])
  }

  async rollbackToSavepoint(connection: EngineConnection, name: string): Promise<void> {
    await connection.transaction?.execute(`rollback to ${quoted(name)}`, [])
  }

  async releaseSavepoint(connection: EngineConnection, name: string): Promise<void> {
    await connection.transaction?.execute(`release ${quoted(name)}`, [])
  }

  async destroy(): Promise<void> {
    await this.#engine.close()
  }
}

const quoted = (name: string) => `"${name.replaceAll('"', '""')}"`

/**
 * Runs everything that Kysely does with a connection inside an async scope, so that a write through the database
 * from within `transaction()` is noticed. Only the provider sees the whole callback; a driver does not.
 */
class ScopedProvider implements ConnectionProvider {
  #engine: Engine

  constructor(engine: Engine) {
    this.#engine = engine
  }

  async provideConnection<T>(consumer: (connection: DatabaseConnection) => Promise<T>): Promise<T> {
    const scope: Scope = { engine: this.#engine, transaction: enclosingTransaction(this.#engine) }
    return runInScope(scope, () => consumer(new EngineConnection(this.#engine, scope)))
  }
}

/** Each feature brings its own tables. */
export type NoTables = Record<never, never>

/** A Kysely over one engine; features narrow it with `withTables<{ sessions: SessionsTable }>()`. */
export function createKysely(engine: Engine): Kysely<NoTables> {
  const adapter = new EngineAdapter()
  const driver = new EngineDriver(engine)
  const dialect: Dialect = {
    createAdapter: () => adapter,
    createDriver: () => driver,
    createIntrospector: (db) => new SqliteIntrospector(db),
    createQueryCompiler: () => new SqliteQueryCompiler(),
  }
  const executor = new DefaultQueryExecutor(new SqliteQueryCompiler(), adapter, new ScopedProvider(engine))
  return new Kysely({ config: { dialect }, dialect, driver, executor })
}
