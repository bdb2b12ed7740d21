import { type Client, createClient, type InArgs, type ResultSet, type Transaction } from '@libsql/client'
import { setTimeout as sleep } from 'node:timers/promises'
import { AppError } from '../errors.ts'
import { type DatabaseStats, type Engine, type EngineTransaction, refuseNested, type Result } from './engine.ts'
import { isBusy, sqlError } from './sql-error.ts'
import { bindable, readable, type Row } from './values.ts'
import { WriteLock } from './write-lock.ts'

/** Milliseconds that a write waits for another instance. */
const BUSY_PATIENCE = 15_000
const LOCK_PATIENCE = 30_000

/** A libSQL server behind a URL. Writes of this process still take turns: the server has one writer anyway. */
export class RemoteEngine implements Engine {
  readonly kind = 'remote'
  #client: Client
  #lock = new WriteLock(LOCK_PATIENCE)
  #running = new Set<Promise<unknown>>()
  #closing: Promise<void> | undefined
  #counts = { reads: 0, scans: 0, writes: 0, commits: 0, busy: 0, replaced: 0 }

  private constructor(client: Client) {
    this.#client = client
  }

  /** Connects and asks for one value, so that a wrong URL or token shows at start. */
  static async open(url: string, authToken?: string): Promise<RemoteEngine> {
    const engine = new RemoteEngine(createClient({ url, authToken, intMode: 'bigint' }))
    try {
      await engine.read('select 1', [])
    } catch (error) {
      engine.#client.close()
      const why = error instanceof Error ? error.message : String(error)
      throw new AppError('unavailable', `The database server at ${withoutSecrets(url)} can't be used: ${why}`, {
        cause: error,
      })
    }
    return engine
  }

  async read(sql: string, parameters: readonly unknown[]): Promise<Row[]> {
    const args = bindable(parameters) as InArgs
    this.#refuseClosed()
    this.#counts.reads++
    return resultOf(await this.#track(this.#patiently(() => this.#client.execute({ sql, args })))).rows
  }

  async write(sql: string, parameters: readonly unknown[]): Promise<Result> {
    const args = bindable(parameters) as InArgs
    refuseNested(this)
    this.#refuseClosed()
    this.#counts.writes++
    await this.#lock.take()
    try {
      const result = await this.#patiently(() => this.#client.execute({ sql, args }))
      this.#counts.commits++
      return resultOf(result)
    } finally {
      this.#lock.give()
    }
  }

  async begin(): Promise<EngineTransaction> {
    refuseNested(this)
    this.#refuseClosed()
    await this.#lock.take()
    try {
      return this.#transaction(await this.#patiently(() => this.#beginNow()))
    } catch (error) {
      this.#lock.give()
      throw error
    }
  }

  /** The server keeps its own log. */
  async checkpoint(): Promise<void> {}

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  stats(): DatabaseStats {
    return { ...this.#counts, waiting: this.#lock.waiting, connections: this.#closing ? 0 : 1 }
  }

  async #close(): Promise<void> {
    await this.#lock.take()
    await Promise.allSettled(this.#running)
    this.#client.close()
    this.#lock.give()
  }

  /** The client sends `begin` with the first statement; a harmless one makes a busy server answer here, not later. */
  async #beginNow(): Promise<Transaction> {
    const transaction = await this.#client.transaction('write')
    try {
      await transaction.execute('select 1')
      return transaction
    } catch (error) {
      transaction.close()
      throw error
    }
  }

  #transaction(transaction: Transaction): EngineTransaction {
    let open = true
    const end = () => {
      open = false
      transaction.close()
      this.#lock.give()
    }
    return {
      get open() {
        return open
      },
      execute: async (sql, parameters) => {
        const args = bindable(parameters) as InArgs
        if (!open) throw new Error('The transaction is over')
        return resultOf(await transaction.execute({ sql, args }).catch(rethrow))
      },
      commit: async () => {
        if (!open) throw new Error('The transaction is over')
        try {
          await transaction.commit().catch(rethrow)
          this.#counts.commits++
        } finally {
          end()
        }
      },
      rollback: async () => {
        if (!open) return
        try {
          await transaction.rollback()
        } finally {
          end()
        }
      },
    }
  }

  #refuseClosed(): void {
    if (this.#closing) throw new AppError('unavailable', 'The database is closed; the server is stopping')
  }

  #track<T>(work: Promise<T>): Promise<T> {
    this.#running.add(work)
    const done = () => void this.#running.delete(work)
    work.then(done, done)
    return work
  }

  async #patiently<T>(work: () => Promise<T>): Promise<T> {
    const deadline = performance.now() + BUSY_PATIENCE
    for (let pause = 5;; pause = Math.min(pause * 2, 200)) {
      try {
        return await work()
      } catch (error) {
        if (!isBusy(error)) throw sqlError(error)
        this.#counts.busy++
        if (performance.now() > deadline) throw sqlError(error)
      }
      await sleep(pause * (0.5 + Math.random() / 2))
    }
  }
}

function rethrow(error: unknown): never {
  throw sqlError(error)
}

function resultOf(set: ResultSet): Result {
  const rows = set.rows.map((row) => Object.fromEntries(set.columns.map((name, index) => [name, row[index]])))
  return { rows: readable(rows), changes: set.rowsAffected, lastInsertRowid: set.lastInsertRowid ?? 0n }
}

function withoutSecrets(url: string): string {
  const { protocol, host, pathname } = new URL(url)
  return `${protocol}//${host}${pathname}`
}
