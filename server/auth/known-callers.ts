import { setInterval } from 'node:timers'
import type { Log } from '../system/log.ts'
import { SESSION_MS } from './browser-sessions.ts'
import type { Caller } from './principal.ts'
import type { AuthStore } from './store.ts'

/** Someone that a stored credential stands for. */
export type Known = {
  caller: Caller
  /** Epoch milliseconds; null is never. */
  expiresAt: number | null
  /** Hard end of a session that slides with use. */
  endsAt: number | null
  lastUsedAt: number
  /** When it was read; another process on the same database may have revoked it since. */
  readAt: number
  /** Of an API key, for the browser sessions that it opens. */
  key?: { id: string; expires_at: number | null }
}

/** Callers by the hash of their credential, in memory, so that a request costs no query. */
export type KnownCallers = {
  /** `undefined` for an unknown or expired one. */
  find(kind: 'token' | 'cookie', hash: string): Promise<Known | undefined>
  forget(id: string): void
  /** Stops looking for expired ones and waits for what is still being written. */
  stop(): Promise<void>
}

const RECHECK_MS = 10_000
const TOUCH_MS = 60_000
const MOST = 5_000

type Deps = {
  store: AuthStore
  log: Log
  now: () => number
  /** Called once for each that expires, so that its open streams end too. */
  expired: (id: string) => void
  /** How often to look for those; only while some can expire. */
  sweepMs: number
}

/** Nothing is read before it is asked for; `expired` hears of those whose time is over. */
export function createKnownCallers({ store, log, now, expired, sweepMs }: Deps): KnownCallers {
  const known = new Map<string, Known>()
  const writing = new Set<Promise<void>>()
  let forgotten = 0
  let sweeper: NodeJS.Timeout | undefined

  function sweep(): void {
    const over = [...known.values()].filter((entry) => entry.endsAt !== null && entry.endsAt <= now())
    for (const { caller } of over) expired(caller.id)
    if ([...known.values()].every((entry) => entry.endsAt === null)) stopSweeping()
  }

  function stopSweeping(): void {
    clearInterval(sweeper)
    sweeper = undefined
  }

  async function read(kind: 'token' | 'cookie', hash: string, slot: string): Promise<Known | undefined> {
    const before = forgotten
    const entry = kind === 'token' ? await readKey(hash) : await readBrowser(hash)
    // What was revoked while it was read must not be remembered.
    if (before !== forgotten) return read(kind, hash, slot)
    known.delete(slot)
    if (!entry) return undefined
    known.set(slot, entry)
    if (entry.endsAt !== null) sweeper ??= setInterval(sweep, sweepMs).unref()
    if (known.size > MOST) known.delete(known.keys().next().value!)
    return entry
  }

  async function readKey(hash: string): Promise<Known | undefined> {
    const key = await store.keyByHash(hash)
    if (!key) return undefined
    const { id, handle, name, scopes, expires_at } = key
    const caller: Caller = { kind: 'key', handle, id, name, scopes: new Set(scopes) }
    const lastUsedAt = key.last_used_at ?? 0
    return { caller, expiresAt: expires_at, endsAt: expires_at, lastUsedAt, readAt: now(), key: { id, expires_at } }
  }

  async function readBrowser(hash: string): Promise<Known | undefined> {
    const browser = await store.browserByHash(hash)
    if (!browser) return undefined
    const { id, handle, name, scopes, expires_at, ends_at, last_seen_at } = browser
    const caller: Caller = { kind: 'user', handle, id, name, scopes: new Set(scopes) }
    return { caller, expiresAt: expires_at, endsAt: ends_at, lastUsedAt: last_seen_at, readAt: now() }
  }

  /** Notes the use without making the request wait. */
  function touch(entry: Known): void {
    const { id, kind } = entry.caller
    entry.lastUsedAt = now()
    if (kind === 'user') entry.expiresAt = Math.min(now() + SESSION_MS, entry.endsAt ?? Infinity)
    const write = kind === 'user' ? store.touchBrowser(id, now(), entry.expiresAt!) : store.touchKey(id, now())
    const done = write
      .catch((error: unknown) => log.warn('auth.touch_failed', 'The last use of a key was not noted', { id, error }))
      .finally(() => writing.delete(done))
    writing.add(done)
  }

  return {
    async find(kind, hash) {
      const slot = kind + hash
      let entry = known.get(slot)
      if (!entry || entry.readAt < now() - RECHECK_MS) entry = await read(kind, hash, slot)
      if (!entry || (entry.expiresAt !== null && entry.expiresAt <= now())) return undefined
      if (entry.lastUsedAt <= now() - TOUCH_MS) touch(entry)
      return entry
    },
    forget(id) {
      forgotten++
      for (const [slot, entry] of known) if (entry.caller.id === id) known.delete(slot)
    },
    async stop() {
      stopSweeping()
      await Promise.all(writing)
    },
  }
}
