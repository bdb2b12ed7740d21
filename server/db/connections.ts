import BlockingDatabase from 'libsql'
import ThreadedDatabase from 'libsql/promise'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Result } from './engine.ts'
import { Pace } from './pace.ts'
import { sqlError } from './sql-error.ts'
import { readable, type Row, type SqlValue } from './values.ts'

type Blocking = InstanceType<typeof BlockingDatabase>
type Threaded = InstanceType<typeof ThreadedDatabase>
type Bound = SqlValue[]
type RawRow = Record<string, unknown>
type RunInfo = { changes: number; lastInsertRowid: number | bigint }
type AnyStatement = { reader: boolean; get(args: Bound): unknown; safeIntegers(on: boolean): unknown }
type BlockingStatement = AnyStatement & { all(args: Bound): RawRow[] }
type ThreadedStatement = AnyStatement & { run(args: Bound): RunInfo; iterate(args: Bound): Promise<Iterable<RawRow>> }

/** Milliseconds that SQLite itself may wait for another process: it blocks the event loop, the rest waits in JavaScript. */
const BUSY_TIMEOUT = 5
const CACHED_STATEMENTS = 200
/** Rows are handed over on the event loop; after this many milliseconds it gets a turn for other work. */
const ROW_BUDGET = 4

type Cached<S> = { statement: S; reader: boolean; pace: Pace }

/** Least recently used statements of one connection. They are freed with garbage, so the loop gets a turn now and then. */
class StatementCache<S extends AnyStatement> {
  #entries = new Map<string, Cached<S>>()
  #misses = 0

  get(sql: string): Cached<S> | undefined {
    const entry = this.#entries.get(sql)
    if (!entry) return undefined
    this.#entries.delete(sql)
    this.#entries.set(sql, entry)
    return entry
  }

  put(sql: string, statement: S, scans = false): Cached<S> {
    if (this.#entries.size >= CACHED_STATEMENTS) this.#entries.delete(this.#entries.keys().next().value!)
    const entry = { statement, reader: statement.reader, pace: new Pace(scans) }
    this.#entries.set(sql, entry)
    return entry
  }

  /** Lets native memory of dropped statements be freed: that only happens between turns of the event loop. */
  async breathe(): Promise<void> {
    if (++this.#misses % 50 === 0) await nextTurn()
  }

  drop(sql: string): void {
    this.#entries.delete(sql)
  }

  clear(): void {
    this.#entries.clear()
  }
}

/** One connection for reads that take microseconds: it runs them right on the event loop. */
export class QuickReader {
  #db: Blocking
  #cache = new StatementCache<BlockingStatement>()

  constructor(path: string) {
    this.#db = new BlockingDatabase(path, { timeout: BUSY_TIMEOUT })
    this.#db.exec('pragma query_only = on')
  }

  /** The rows, or undefined when the statement scans or proved slow and must run on a `Connection`. */
  async read(sql: string, args: Bound): Promise<Row[] | undefined> {
    let entry = this.#cache.get(sql)
    if (!entry) {
      await this.#cache.breathe()
      entry = this.#cache.get(sql)
    }
    try {
      entry ??= this.#prepare(sql)
      const { statement, pace } = entry
      return pace.slow ? undefined : pace.run(() => readable(statement.all(args)))
    } catch (error) {
      this.#cache.drop(sql)
      throw sqlError(error)
    }
  }

  #prepare(sql: string): Cached<BlockingStatement> {
    const statement = this.#db.prepare(sql) as unknown as BlockingStatement
    statement.safeIntegers(true)
    return this.#cache.put(sql, statement, this.#scans(sql))
  }

  /** Whether the plan reads a whole table, sorts, or searches text: no bound on its time is known then. */
  #scans(sql: string): boolean {
    if (!/^\s*(select|with)\b/i.test(sql)) return true
    const plan = this.#db.prepare(`explain query plan ${sql}`) as unknown as BlockingStatement
    const steps = plan.all([])
    reset(plan)
    return steps.some(isScan)
  }

  close(): void {
    this.#cache.clear()
    this.#db.close()
  }
}

/** A connection that can work away from the event loop; its owner runs one thing at a time on it. */
export class Connection {
  #db: Threaded
  #sync = true
  #cache = new StatementCache<ThreadedStatement>()

  private constructor(db: Threaded) {
    this.#db = db
  }

  static async open(path: string, pragmas: string[]): Promise<Connection> {
    const db = new ThreadedDatabase(path, { timeout: BUSY_TIMEOUT })
    try {
      for (const pragma of pragmas) await db.exec(`pragma ${pragma}`)
    } catch (error) {
      db.close()
      throw sqlError(error)
    }
    return new Connection(db)
  }

  get inTransaction(): boolean {
    return (this.#db as unknown as { inTransaction: boolean }).inTransaction
  }

  /** Rows of a read, computed in another thread and handed over in slices. */
  async read(sql: string, args: Bound): Promise<Row[]> {
    return this.#using(sql, async ({ statement }) => {
      const rows = await stepAll(statement, args)
      if (/^\s*explain\b/i.test(sql)) reset(statement)
      return rows
    })
  }

  /** Runs any statement; short writes on the event loop, those that proved slow in another thread. */
  async execute(sql: string, args: Bound): Promise<Result> {
    return this.#using(sql, async ({ statement, reader, pace }) => {
      if (reader) {
        // Right here when it is short: a hop to another thread would hold the write lock far longer.
        const rows = pace.slow
          ? await stepAll(statement, args)
          : pace.run(() => readable([...iterateNow(statement, args)]))
        return { rows, changes: rows.length, lastInsertRowid: 0n }
      }
      if (!pace.slow) {
        const info = pace.run(() => statement.run(args))
        return { rows: [], changes: info.changes, lastInsertRowid: BigInt(info.lastInsertRowid) }
      }
      await stepAll(statement, args)
      const [info] = await this.read('select changes() as changes, last_insert_rowid() as id', [])
      return { rows: [], changes: Number(info?.changes), lastInsertRowid: BigInt(info?.id as number) }
    })
  }

  /** Runs a statement without parameters in another thread: for what waits for the disk. */
  async exec(sql: string): Promise<void> {
    try {
      await this.#db.exec(sql)
    } catch (error) {
      throw sqlError(error)
    }
  }

  /**
   * Whether commits wait for the disk, from the next transaction on. Those that don't leave it to the others to shorten
   * the log, for that waits for the disk too.
   */
  setSync(sync: boolean): void {
    if (this.#sync === sync) return
    try {
      execNow(this.#db, sync ? SYNCED : UNSYNCED)
    } catch (error) {
      throw sqlError(error)
    }
    this.#sync = sync
  }

  /** In another thread when it waits for the disk, or proved slow without. */
  async commit(): Promise<void> {
    if (this.#sync) return this.exec('commit')
    await this.#using('commit', async ({ statement, pace }) => {
      if (pace.slow) await this.exec('commit')
      else pace.run(() => statement.run([]))
    })
  }

  /** Runs a short statement without rows on the event loop. */
  async runNow(sql: string): Promise<void> {
    await this.#using(sql, async ({ statement }) => statement.run([]))
  }

  close(): void {
    this.#cache.clear()
    this.#db.close()
  }

  async #statement(sql: string): Promise<Cached<ThreadedStatement>> {
    const cached = this.#cache.get(sql)
    if (cached) return cached
    await this.#cache.breathe()
    const statement = (await this.#db.prepare(sql)) as ThreadedStatement
    statement.safeIntegers(true)
    return this.#cache.put(sql, statement, /^\s*(select|with)\b/i.test(sql) && (await this.#scans(sql)))
  }

  async #scans(sql: string): Promise<boolean> {
    const plan = (await this.#db.prepare(`explain query plan ${sql}`)) as ThreadedStatement
    const steps = [...iterateNow(plan, [])]
    reset(plan)
    return steps.some(isScan)
  }

  async #using<T>(sql: string, work: (entry: Cached<ThreadedStatement>) => Promise<T>): Promise<T> {
    try {
      return await work(await this.#statement(sql))
    } catch (error) {
      // A statement that failed half-way may still be open; a fresh one is not.
      this.#cache.drop(sql)
      throw sqlError(error)
    }
  }
}

/**
 * Ends an `explain`, which the binding leaves open after its last row: its connection would see no later commit.
 * `get` is what the binding resets after.
 */
const reset = (explain: AnyStatement) => void explain.get([])

/** Whether a step of a query plan reads a whole table, sorts or recurses. */
const isScan = ({ detail }: RawRow): boolean => /^SCAN (?!CONSTANT ROW)|TEMP B-TREE|RECURSIVE/.test(String(detail))

/** A pragma takes effect when it is prepared, so neither can be a statement that is kept. */
const SYNCED = 'pragma synchronous = full; pragma wal_autocheckpoint = 1000'
const UNSYNCED = 'pragma synchronous = normal; pragma wal_autocheckpoint = 0'

/** As for rows below: the threaded binding has no blocking way, and that of the other one works. */
const execNow = (db: Threaded, sql: string): void =>
  void BlockingDatabase.prototype.exec.call(db as unknown as Blocking, sql)

type IterateNow = (this: AnyStatement, args: Bound) => Iterable<RawRow>
let blockingIterate: IterateNow | undefined

/** The threaded binding has no blocking way to rows; that of the other one works, for both wrap the same native statement. */
function iterateNow(statement: AnyStatement, args: Bound): Iterable<RawRow> {
  if (!blockingIterate) {
    const db = new BlockingDatabase(':memory:')
    blockingIterate = (db.prepare('select 1') as unknown as { iterate: IterateNow }).iterate
    db.close()
  }
  return blockingIterate.call(statement, args)
}

async function stepAll(statement: ThreadedStatement, args: Bound): Promise<Row[]> {
  const rows: RawRow[] = []
  let turn = performance.now()
  for (const row of await statement.iterate(args)) {
    rows.push(row)
    if (rows.length % 100 === 0 && performance.now() - turn > ROW_BUDGET) {
      await nextTurn()
      turn = performance.now()
    }
  }
  return readable(rows)
}
