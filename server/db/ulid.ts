import { ulid as ulidOf } from 'ulid'

/** Random bytes are drawn for many ids at once: the package asks the system for each character. */
const pool = new Uint8Array(4096)
let used = pool.length

function random(): number {
  if (used === pool.length) {
    crypto.getRandomValues(pool)
    used = 0
  }
  return pool[used++]! / 256
}

/** A new id that sorts by its time (ULID). */
export const ulid = (): string => ulidOf(undefined, random)
