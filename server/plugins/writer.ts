import { Buffer } from 'node:buffer'
import type { Child } from '../runtime/port.ts'

/** Lines that may wait for a plugin to read, and their bytes. */
const MAX_LINES = 100
const MAX_BYTES = 8 * 1024 * 1024
/** How many times as much of what can't be left out. */
const MUST_FACTOR = 10

export type Writer = {
  /** Queues a line; false when the plugin is too far behind. `must` is for what it waits for, and has more room. */
  offer(line: string, options?: { must?: true }): boolean
  /** Resolves with true when there is room again, with false after `ms`. */
  room(ms: number): Promise<boolean>
  /** How long the write that is under way has waited; milliseconds. */
  stuckFor(): number
  /** Nothing more is written. */
  close(): void
}

/** Writes beside the reading, never in its way. What has gathered goes in one write. */
export function createWriter({ child, onBroken }: {
  child: Pick<Child, 'write'>
  onBroken: (error: unknown) => void
}): Writer {
  const encoder = new TextEncoder()
  let queue: Uint8Array[] = []
  let bytes = 0
  let since = 0
  let writing = false
  let closed = false
  const waiting = new Set<(room: boolean) => void>()

  const isFull = (factor = 1) => queue.length >= MAX_LINES * factor || (bytes >= MAX_BYTES * factor && queue.length > 0)
  const wake = (room: boolean) => {
    const all = [...waiting]
    waiting.clear()
    for (const resolve of all) resolve(room)
  }

  async function write(): Promise<void> {
    writing = true
    try {
      while (queue.length > 0 && !closed) {
        const batch = queue
        const size = bytes
        queue = []
        bytes = 0
        since = performance.now()
        wake(true)
        await child.write(batch.length === 1 ? batch[0]! : Buffer.concat(batch, size))
      }
    } catch (error) {
      closed = true
      wake(false)
      onBroken(error)
    } finally {
      writing = false
      since = 0
    }
  }

  return {
    offer(line, options) {
      if (closed || isFull(options?.must ? MUST_FACTOR : 1)) return false
      const encoded = encoder.encode(line + '\n')
      queue.push(encoded)
      bytes += encoded.length
      if (!writing) void write()
      return true
    },
    room(ms) {
      if (closed) return Promise.resolve(false)
      if (!isFull()) return Promise.resolve(true)
      return new Promise((resolve) => {
        const done = (room: boolean) => {
          clearTimeout(timer)
          waiting.delete(done)
          resolve(room)
        }
        const timer = setTimeout(done, ms, false)
        waiting.add(done)
      })
    },
    stuckFor: () => since === 0 ? 0 : performance.now() - since,
    close() {
      closed = true
      queue = []
      bytes = 0
      wake(false)
    },
  }
}
