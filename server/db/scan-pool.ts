import { Connection } from './connections.ts'
import { isBusy } from './sql-error.ts'
import type { Row, SqlValue } from './values.ts'

const PRAGMAS = ['query_only = on']
/** Connections at most; each is opened when it is first needed. */
const SIZE = 3

/** Read-only connections for statements of unknown length, which run in other threads. */
export class ScanPool {
  #path: string
  #idle: Connection[] = []
  #queue: (() => void)[] = []
  #running = new Set<Promise<unknown>>()
  /** Connections that are open or being opened. */
  size = 0
  /** Connections that were thrown away after a busy database. */
  replaced = 0

  constructor(path: string) {
    this.#path = path
  }

  read(sql: string, bound: SqlValue[]): Promise<Row[]> {
    const work = this.#read(sql, bound)
    this.#running.add(work)
    const done = () => void this.#running.delete(work)
    work.then(done, done)
    return work
  }

  /** Waits for the scans that run. */
  async close(): Promise<void> {
    await Promise.allSettled(this.#running)
    for (const connection of this.#idle.splice(0)) connection.close()
    this.size = 0
  }

  async #read(sql: string, bound: SqlValue[]): Promise<Row[]> {
    let connection = await this.#take()
    try {
      connection ??= await Connection.open(this.#path, PRAGMAS)
      return await connection.read(sql, bound)
    } catch (error) {
      if (isBusy(error)) {
        connection?.close()
        connection = undefined
        this.replaced++
      }
      throw error
    } finally {
      if (connection) this.#idle.push(connection)
      else this.size--
      this.#queue.shift()?.()
    }
  }

  /** An idle connection, or undefined for permission to open one more. */
  async #take(): Promise<Connection | undefined> {
    for (;;) {
      const idle = this.#idle.pop()
      if (idle) return idle
      if (this.size < SIZE) {
        this.size++
        return undefined
      }
      await new Promise<void>((resolve) => this.#queue.push(resolve))
    }
  }
}
