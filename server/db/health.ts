import { stat, statfs } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import type { Database } from './open.ts'

/** Below this much free disk a start of writing is a matter of luck. */
const FLOOR_BYTES = 50 * 1024 ** 2

/** Size and fitness of the database. */
export function createHealth(database: Database, home: string) {
  const path = database.url.startsWith('file:') ? fileURLToPath(new URL(database.url)) : undefined
  return {
    /** Bytes on disk with the write-ahead log; 0 for a remote one. */
    async size(): Promise<number> {
      if (!path) return 0
      const sizes = await Promise.all(
        ['', '-wal'].map((suffix) => stat(path + suffix).then((info) => info.size, () => 0)),
      )
      return sizes.reduce((sum, size) => sum + size, 0)
    },

    /** Why nothing can be stored now; empty when it can. */
    async unready(): Promise<string[]> {
      const reasons: string[] = []
      const disk = await statfs(home).catch(() => undefined)
      if (disk && disk.bavail * disk.bsize < FLOOR_BYTES) reasons.push('the disk is almost full')
      try {
        // Takes the write lock and a transaction, and changes nothing.
        await database.run('update event_epochs set reserved_to = reserved_to where from_offset = -1')
      } catch (error) {
        reasons.push(`the database cannot be written: ${(error as Error).message}`)
      }
      return reasons
    },
  }
}
