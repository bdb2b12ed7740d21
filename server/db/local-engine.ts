import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import { AppError } from '../errors.ts'
import { Connection, QuickReader } from './connections.ts'
import {
  type CommitOptions,
  type DatabaseStats,
  enclosingTransaction,
  type Engine,
  type EngineTransaction,
  refuseNested,
  type Result,
} from './engine.ts'
import { ScanPool } from './scan-pool.ts'
import { isBusy, SqlError } from './sql-error.ts'
import { statementFacts } from './sql-text.ts'
import { bindable, type Row, type SqlValue } from './values.ts'
import { WriteLock } from './write-lock.ts'

const WRITER_PRAGMAS = [
  'journal_mode = wal',
  'synchronous = full',
  'foreign_keys = on',
  'journal_size_limit = 67108864',
]
/** Milliseconds that a write waits for another process to let go of the database. */
const BUSY_PATIENCE = 10_000
const LOCK_PATIENCE = 30_000
/** Commits in a row that need not wait for the disk: the log of the database is shortened only by one that does. */
const UNSYNCED = 100
/** Writes of different callers that share one commit. */
const GROUP = 200
/** Statements that SQLite refuses inside a transaction. */
const ALONE = new Set(['pragma', 'vacuum', 'attach', 'detach'])

type Pending = {
  sql: string
  bound: SqlValue[]
  resolve(result: Result): void
  reject(error: unknown): void
}

/** A database in a file or in memory: one writer, one quick reader, and connections for scans. */
export class LocalEngine implements Engine {
  readonly kind = 'local'
  #path: string
  #memory: boolean
  #lock = new WriteLock(LOCK_PATIENCE)
  #writer: Connection | undefined
  #quick: QuickReader | undefined
  #scanners: ScanPool
  #pending: Pending[] = []
  #draining = false
  #unsynced = 0
  #closing: Promise<void> | undefined
  #counts = { reads: 0, scans: 0, writes: 0, commits: 0, busy: 0, replaced: 0 }

  /** `path` is a file's path or `:memory:`. */
  constructor(path: string) {
    this.#path = path
    this.#memory = path === ':memory:'
    this.#scanners = new ScanPool(path)
  }

  /** Opens the file now, so that what is wrong with it shows at start. */
  async open(): Promise<void> {
    await this.#patiently(() => this.#openWriter())
  }

  async read(sql: string, parameters: readonly unknown[]): Promise<Row[]> {
    const bound = bindable(parameters)
    this.#refuseClosed()
    this.#counts.reads++
    if (this.#memory) return this.#readInMemory(sql, parameters)
    return this.#patiently(async () => {
      const rows = await this.#readQuickly(sql, bound)
      if (rows) return rows
      this.#counts.scans++
      return this.#scanners.read(sql, bound)
    })
  }

  async write(sql: string, parameters: readonly unknown[]): Promise<Result> {
    const bound = bindable(parameters)
    refuseNested(this)
    this.#refuseClosed()
    return new Promise((resolve, reject) => {
      this.#pending.push({ sql, bound, resolve, reject })
      if (!this.#draining) void this.#drain()
    })
  }

  async begin({ sync = true }: CommitOptions = {}): Promise<EngineTransaction> {
    refuseNested(this)
    this.#refuseClosed()
    await this.#lock.take()
    try {
      await this.#beginHeld(sync)
    } catch (error) {
      this.#lock.give()
      throw error
    }
    return this.#transaction()
  }

  async checkpoint(): Promise<void> {
    if (this.#memory) return
    await this.#lock.take()
    try {
      await this.#checkpointHeld()
    } finally {
      this.#lock.give()
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  stats(): DatabaseStats {
    const connections = (this.#writer ? 1 : 0) + (this.#quick ? 1 : 0) + this.#scanners.size
    const replaced = this.#counts.replaced + this.#scanners.replaced
    return { ...this.#counts, replaced, waiting: this.#lock.waiting, connections }
  }

  async #close(): Promise<void> {
    await this.#lock.take()
    await this.#scanners.close()
    if (!this.#memory) await this.#checkpointHeld()
    this.#quick?.close()
    this.#writer?.close()
    this.#quick = undefined
    this.#writer = undefined
    this.#lock.give()
  }

  /** Readers that are still busy leave the rest of the log for the next checkpoint; that is no error. */
  async #checkpointHeld(): Promise<void> {
    const writer = await this.#openWriter()
    for (let attempt = 0; attempt < 5; attempt++) {
      const [row] = await writer.read('pragma wal_checkpoint(truncate)', [])
      if (row?.busy === 0) return
      await sleep(20)
    }
  }

  #refuseClosed(): void {
    if (this.#closing) throw new AppError('unavailable', 'The database is closed; the server is stopping')
  }

  async #readQuickly(sql: string, bound: SqlValue[]): Promise<Row[] | undefined> {
    this.#quick ??= new QuickReader(this.#path)
    try {
      return await this.#quick.read(sql, bound)
    } catch (error) {
      if (isBusy(error)) {
        this.#quick?.close()
        this.#quick = undefined
        this.#counts.replaced++
      }
      throw error
    }
  }

  /** A memory database has one connection: a read inside a transaction sees that transaction, others wait for it. */
  async #readInMemory(sql: string, parameters: readonly unknown[]): Promise<Row[]> {
    const transaction = enclosingTransaction(this)
    if (transaction) return (await transaction.execute(sql, parameters)).rows
    await this.#lock.take()
    try {
      return await (await this.#openWriter()).read(sql, bindable(parameters))
    } finally {
      this.#lock.give()
    }
  }

  /** Commits the writes that wait as one group: under load they share the disk's sync. */
  async #drain(): Promise<void> {
    this.#draining = true
    while (this.#pending.length > 0) {
      try {
        await this.#lock.take()
      } catch (error) {
        for (const write of this.#pending.splice(0)) write.reject(error)
        break
      }
      const group = this.#nextGroup()
      try {
        await this.#writeGroup(group)
      } catch (error) {
        // Not even a rollback worked; those that were answered already ignore this.
        for (const write of group) write.reject(error)
      } finally {
        this.#lock.give()
      }
    }
    this.#draining = false
  }

  #nextGroup(): Pending[] {
    const alone = (write: Pending) => ALONE.has(statementFacts(write.sql).verb)
    const end = this.#pending.findIndex((write, index) => alone(write) || index >= GROUP)
    return this.#pending.splice(0, end < 0 ? this.#pending.length : Math.max(end, 1))
  }

  async #writeGroup(group: Pending[]): Promise<void> {
    this.#counts.writes += group.length
    const first = group[0]!
    if (ALONE.has(statementFacts(first.sql).verb)) {
      await settle(first, async () => (await this.#openWriter()).execute(first.sql, first.bound))
      return
    }
    if (group.length > 1 && (await this.#writeTogether(group))) return
    for (const write of group) await settle(write, () => this.#writeOne(write))
  }

  async #writeOne(write: Pending): Promise<Result> {
    const writer = await this.#beginHeld()
    try {
      const result = await writer.execute(write.sql, write.bound)
      await this.#commitHeld()
      return result
    } catch (error) {
      await this.#rollbackHeld(error)
      throw error
    }
  }

  /** False when the group as a whole could not be committed, and nothing of it was. */
  async #writeTogether(group: Pending[]): Promise<boolean> {
    const outcomes: (() => void)[] = []
    try {
      const writer = await this.#beginHeld()
      let turn = performance.now()
      for (const write of group) {
        try {
          const result = await writer.execute(write.sql, write.bound)
          outcomes.push(() => write.resolve(result))
        } catch (error) {
          // A refused statement leaves no trace and the others stand, unless SQLite gave up the whole transaction.
          if (!writer.inTransaction || isBusy(error)) throw error
          outcomes.push(() => write.reject(error))
        }
        if (performance.now() - turn > 4) {
          await nextTurn()
          turn = performance.now()
        }
      }
      await this.#commitHeld()
    } catch (error) {
      await this.#rollbackHeld(error)
      return false
    }
    for (const outcome of outcomes) outcome()
    return true
  }

  #transaction(): EngineTransaction {
    let open = true
    const end = () => {
      open = false
      this.#lock.give()
    }
    return {
      get open() {
        return open
      },
      execute: async (sql, parameters) => {
        const bound = bindable(parameters)
        if (!open) throw new Error('The transaction is over')
        const writer = await this.#openWriter()
        // SQLite may have rolled back by itself (disk full); what follows must not commit statement by statement.
        if (!writer.inTransaction) throw rolledBack()
        return writer.execute(sql, bound)
      },
      commit: async () => {
        if (!open) throw new Error('The transaction is over')
        try {
          await this.#commitHeld()
        } catch (error) {
          await this.#rollbackHeld(error)
          throw error
        } finally {
          end()
        }
      },
      rollback: async () => {
        if (!open) return
        try {
          await this.#rollbackHeld()
        } finally {
          end()
        }
      },
    }
  }

  async #openWriter(): Promise<Connection> {
    this.#writer ??= await Connection.open(this.#path, WRITER_PRAGMAS)
    return this.#writer
  }

  /** Begins on the writer; the caller holds the lock. */
  #beginHeld(sync = true): Promise<Connection> {
    return this.#patiently(async () => {
      const writer = await this.#openWriter()
      this.#unsynced = sync || this.#unsynced === UNSYNCED ? 0 : this.#unsynced + 1
      writer.setSync(this.#unsynced === 0)
      try {
        await writer.runNow('begin immediate')
      } catch (error) {
        // The binding leaves a refused `begin` open, and a later commit would say "SQL statements in progress".
        await this.#rollbackHeld(error)
        throw error
      }
      return writer
    })
  }

  async #commitHeld(): Promise<void> {
    const writer = await this.#openWriter()
    if (!writer.inTransaction) throw rolledBack()
    await writer.commit()
    this.#counts.commits++
  }

  /** Brings the writer back to rest. One that met a busy database, or can't roll back, is replaced. */
  async #rollbackHeld(cause?: unknown): Promise<void> {
    const writer = this.#writer
    if (!writer) return
    let broken = isBusy(cause) && !this.#memory
    try {
      if (writer.inTransaction) await writer.runNow('rollback')
    } catch (error) {
      if (this.#memory) throw error
      broken = true
    }
    if (!broken) return
    writer.close()
    this.#writer = undefined
    this.#counts.replaced++
  }

  /** Tries again, with pauses in JavaScript, while another process holds the database. */
  async #patiently<T>(work: () => Promise<T>): Promise<T> {
    const deadline = performance.now() + BUSY_PATIENCE
    for (let pause = 2;; pause = Math.min(pause * 2, 50)) {
      try {
        return await work()
      } catch (error) {
        if (!isBusy(error)) throw error
        this.#counts.busy++
        if (performance.now() > deadline) {
          throw new AppError('unavailable', 'Another program holds the database; end it or try again', { cause: error })
        }
      }
      await sleep(pause * (0.5 + Math.random() / 2))
    }
  }
}

const rolledBack = (): SqlError =>
  new SqlError('The database rolled the transaction back after an error', 'SQLITE_ABORT_ROLLBACK', undefined)

async function settle(write: Pending, work: () => Promise<Result>): Promise<void> {
  try {
    write.resolve(await work())
  } catch (error) {
    write.reject(error)
  }
}
