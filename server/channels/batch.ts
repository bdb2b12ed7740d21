import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Kysely } from 'kysely'
import type { ChannelTables, Tx } from './tables.ts'

const MOST = 64

/**
 * Gathers what comes in one turn of the event loop, or while a write is under way, into the next one: under load many
 * share a commit, and alone nothing waits. When a write of several fails, each is tried alone.
 */
export function createBatch<Item, Result>(
  write: (items: Item[]) => Promise<Result[]>,
): (item: Item) => Promise<Result> {
  const waiting: { item: Item; resolve(result: Result): void; reject(error: unknown): void }[] = []
  let busy = false

  async function drain(): Promise<void> {
    busy = true
    await nextTurn()
    while (waiting.length > 0) await writeAll(waiting.splice(0, MOST))
    busy = false
  }

  async function writeAll(batch: typeof waiting): Promise<void> {
    try {
      const results = await write(batch.map(({ item }) => item))
      for (const [i, { resolve }] of batch.entries()) resolve(results[i]!)
    } catch (error) {
      if (batch.length === 1) batch[0]!.reject(error)
      else for (const one of batch) await writeAll([one])
    }
  }

  return (item) =>
    new Promise((resolve, reject) => {
      waiting.push({ item, resolve, reject })
      if (!busy) void drain()
    })
}

type Work = (tx: Tx) => Promise<unknown>

/** Runs transactions in such batches. One may run twice, so it must do nothing but write. */
export function createTransactions(db: Kysely<ChannelTables>): <T>(work: (tx: Tx) => Promise<T>) => Promise<T> {
  const run = createBatch((works: Work[]) =>
    db.transaction().execute(async (tx) => {
      const results: unknown[] = []
      for (const work of works) results.push(await work(tx))
      return results
    })
  )
  return <T>(work: (tx: Tx) => Promise<T>) => run(work) as Promise<T>
}
