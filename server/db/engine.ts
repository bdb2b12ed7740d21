import { AsyncLocalStorage } from 'node:async_hooks'
import type { Row } from './values.ts'

/** What one statement gave: rows of a select or `returning`, or what a write changed. */
export type Result = { rows: Row[]; changes: number; lastInsertRowid: bigint }

export type Statement = { sql: string; parameters?: readonly unknown[] }

/**
 * `sync: false` is for what nobody was promised: it outlives this process at once, yet the machine only with the next
 * commit that waits for the disk.
 */
export type CommitOptions = { sync?: boolean }

/** An open write transaction; it holds the process's only write lock until `commit` or `rollback`. */
export interface EngineTransaction {
  /** False once it was committed or rolled back. */
  readonly open: boolean
  execute(sql: string, parameters: readonly unknown[]): Promise<Result>
  /** When it throws, everything was rolled back and the lock is free. */
  commit(): Promise<void>
  /** Does nothing when the transaction is over. */
  rollback(): Promise<void>
}

/** One SQL database, in a local file or behind a URL; the Kysely dialect and `Database` sit on top of it. */
export interface Engine {
  readonly kind: 'local' | 'remote'
  /** Runs a read on the last committed state; never waits for a writer. */
  read(sql: string, parameters: readonly unknown[]): Promise<Row[]>
  /** Runs one write durably. */
  write(sql: string, parameters: readonly unknown[]): Promise<Result>
  begin(options?: CommitOptions): Promise<EngineTransaction>
  checkpoint(): Promise<void>
  /** Refuses new work, waits for what runs, checkpoints and closes. */
  close(): Promise<void>
  stats(): DatabaseStats
}

export type DatabaseStats = {
  reads: number
  /** Reads that ran away from the event loop, being scans or slow. */
  scans: number
  writes: number
  commits: number
  /** Callers that wait for the write lock now. */
  waiting: number
  /** Times that another process held the database. */
  busy: number
  /** Connections that were thrown away after an error. */
  replaced: number
  /** Native connections that are open now. */
  connections: number
}

/** Set while the callback of a transaction runs, so that a second write from inside it is noticed. */
export type Scope = { engine: Engine; transaction?: EngineTransaction }

const scopes = new AsyncLocalStorage<Scope | undefined>()

export const runInScope = <T>(scope: Scope, work: () => T): T => scopes.run(scope, work)

/** The transaction of this engine that the caller's code runs in. */
export function enclosingTransaction(engine: Engine): EngineTransaction | undefined {
  const scope = scopes.getStore()
  return scope?.engine === engine && scope.transaction?.open ? scope.transaction : undefined
}

/**
 * Runs `work` as if no transaction surrounded it: for timers and background tasks that are started inside one and
 * write on their own account later.
 */
export const outsideTransaction = <T>(work: () => T): T => scopes.run(undefined, work)

/** Throws for a write that would wait for its own caller for ever. */
export function refuseNested(engine: Engine): void {
  if (!enclosingTransaction(engine)) return
  throw new Error(
    'A write was started through the database inside a transaction, where it would wait for itself. ' +
      'Use the transaction that the callback was given.',
  )
}
