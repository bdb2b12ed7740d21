import type { McpState } from '../../shared/mcp.ts'
import { AppError } from '../errors.ts'
import type { Log } from '../system/log.ts'
import { type Connection, explain, type Hooks } from './connect.ts'
import { SignInNeeded } from './oauth.ts'
import type { StoredMcp } from './store.ts'

/** What a row shows of a server that may be running. */
export type LiveState = { state: McpState; needs_auth: boolean; last_error: string | null; retry_at: number | null }

export type PoolDeps = {
  /** Opens a connection; rejects with an error for the owner. */
  open(server: StoredMcp, hooks: Pick<Hooks, 'onLost' | 'onToolsChanged'>, signal: AbortSignal): Promise<Connection>
  /** Reads its tools, once per connection and whenever the server says that they changed. */
  learn(server: StoredMcp, connection: Connection): Promise<void>
  /** Seconds without a call until a server is stopped. */
  idleSeconds: () => number
  onState: (name: string) => void
  log: Log
  now: () => number
}

type Entry = {
  server: StoredMcp
  state: McpState
  connection?: Promise<Connection>
  live?: Connection
  calls: number
  /** Called by a model, and not only asked for its tools. */
  used: boolean
  /** Aborted when it is closed, so that nobody waits for a start. */
  closing: AbortController
  /** Its settings changed or it was removed: it closes when its last call ends. */
  retired: boolean
  idle?: ReturnType<typeof setTimeout>
  readyAt: number
}

/** What is remembered of a server between its connections. */
type Past = { failures: number; retryAt: number; error: string | null; needsAuth: boolean }

export type Pool = ReturnType<typeof createPool>

const LONGEST_BACKOFF_MS = 60_000
/** A start that lasted so long was a good one: the next crash counts from one again. */
const STABLE_MS = 60_000
/** A call waits for a retry that is this near, and fails when it is further away. */
const WORTH_WAITING_MS = 3000
/** A server that was only asked for its tools need not wait for calls for long. */
const BRIEF_SECONDS = 5
/** A server that says again and again that its tools changed is asked this often at most. */
const LEARN_GAP_MS = 1000

/**
 * Connections by server: made on first use, kept while they are used, stopped when idle, made again after a crash with
 * growing delays. With changed settings the next call gets a new connection; calls under way end on the old one.
 */
export function createPool(deps: PoolDeps) {
  const { log, now, onState } = deps
  const entries = new Map<string, Entry>()
  const retiring = new Set<Entry>()
  const past = new Map<string, Past>()
  let stopped = false

  const pastOf = (name: string): Past => {
    const found = past.get(name) ?? { failures: 0, retryAt: 0, error: null, needsAuth: false }
    past.set(name, found)
    return found
  }

  function entryOf(server: StoredMcp): Entry {
    const current = entries.get(server.name)
    if (current && current.server.updated_at === server.updated_at) return current
    if (current) retire(current)
    const entry: Entry = {
      server,
      state: 'stopped',
      calls: 0,
      used: false,
      closing: new AbortController(),
      retired: false,
      readyAt: 0,
    }
    entries.set(server.name, entry)
    return entry
  }

  function connectionOf(entry: Entry): Promise<Connection> {
    return entry.connection ??= start(entry).catch((error: unknown) => {
      delete entry.connection
      failed(entry, error)
      throw error
    })
  }

  async function start(entry: Entry): Promise<Connection> {
    const { server } = entry
    const before = pastOf(server.name)
    const wait = before.retryAt - now()
    if (wait > WORTH_WAITING_MS) {
      throw new AppError(
        'unavailable',
        `The MCP server ${server.name} failed (${before.error}) and is tried again in ${Math.ceil(wait / 1000)} s`,
      )
    }
    entry.state = 'starting'
    onState(server.name)
    if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait))
    if (stopped || entry.retired) throw new AppError('unavailable', `The MCP server ${server.name} was stopped`)
    let lost: Error | undefined
    const connection = await deps.open(server, {
      onLost: (error) => {
        lost = error
        delete entry.connection
        delete entry.live
        if (!entry.retired && !stopped) failed(entry, error)
      },
      onToolsChanged: () => relearn(entry),
    }, entry.closing.signal)
    try {
      await deps.learn(server, connection)
      if (lost) throw lost
    } catch (error) {
      await connection.close()
      throw error
    }
    entry.live = connection
    entry.readyAt = now()
    entry.state = 'ready'
    Object.assign(before, { error: null, needsAuth: false, retryAt: 0 })
    log.info(`mcp.${server.name}`, 'The MCP server is ready', { server: connection.about })
    onState(server.name)
    if (stopped) await close(entry)
    return connection
  }

  function failed(entry: Entry, error: unknown): void {
    const { name } = entry.server
    if (entry.retired || stopped) return
    const before = pastOf(name)
    const waiting = before.retryAt - now() > WORTH_WAITING_MS
    entry.state = 'failed'
    if (!waiting) {
      if (entry.readyAt > 0 && now() - entry.readyAt > STABLE_MS) before.failures = 0
      before.failures++
      before.error = explain(error)
      before.needsAuth = error instanceof SignInNeeded
      before.retryAt = now() + Math.min(500 * 2 ** before.failures, LONGEST_BACKOFF_MS)
      entry.readyAt = 0
      log.warn(`mcp.${name}`, 'The MCP server failed', { error: before.error, failures: before.failures })
    }
    onState(name)
  }

  /** At most one at a time, and not too often. */
  const learning = new Set<Entry>()
  function relearn(entry: Entry): void {
    if (learning.has(entry)) return
    learning.add(entry)
    const timer = setTimeout(async () => {
      learning.delete(entry)
      const connection = entry.live
      if (!connection || entry.retired) return
      await deps.learn(entry.server, connection).catch((error: unknown) =>
        log.warn(`mcp.${entry.server.name}`, 'Its changed tools could not be read', { error: explain(error) })
      )
    }, LEARN_GAP_MS)
    unref(timer)
  }

  function retire(entry: Entry): void {
    if (entry.retired) return
    entry.retired = true
    clearTimeout(entry.idle)
    if (entries.get(entry.server.name) === entry) entries.delete(entry.server.name)
    if (entry.calls > 0) retiring.add(entry)
    else void close(entry)
  }

  async function close(entry: Entry): Promise<void> {
    retiring.delete(entry)
    clearTimeout(entry.idle)
    if (!entry.live) {
      entry.closing.abort(new Error('stopped'))
      entry.closing = new AbortController()
    }
    const connection = entry.live ?? await entry.connection?.catch(() => undefined)
    delete entry.live
    delete entry.connection
    entry.state = 'stopped'
    await connection?.close()
    onState(entry.server.name)
  }

  function rest(entry: Entry): void {
    if (entry.calls > 0) return
    if (entry.retired) return void close(entry)
    clearTimeout(entry.idle)
    if (!entry.live) return
    entry.idle = setTimeout(() => {
      if (entry.calls > 0) return
      log.info(`mcp.${entry.server.name}`, 'The MCP server was stopped, for nobody used it', {})
      void close(entry)
    }, (entry.used ? deps.idleSeconds() : Math.min(BRIEF_SECONDS, deps.idleSeconds())) * 1000)
    unref(entry.idle)
  }

  return {
    /** Connects when needed and keeps the connection until `work` ended; `brief` only looks at it. */
    async use<T>(
      server: StoredMcp,
      work: (connection: Connection) => Promise<T>,
      options: { signal?: AbortSignal; brief?: true } = {},
    ): Promise<T> {
      if (stopped) throw new AppError('unavailable', 'The server is stopping')
      const entry = entryOf(server)
      if (!options.brief) entry.used = true
      entry.calls++
      clearTimeout(entry.idle)
      try {
        return await work(await aborting(connectionOf(entry), options.signal))
      } finally {
        entry.calls--
        rest(entry)
      }
    },

    /** Ends what runs with old settings when its calls are done; a start that nobody wants any more ends at once. */
    drop: (name: string, unwanted = false): void => {
      const entry = entries.get(name)
      if (entry) retire(entry)
      if (entry && unwanted && !entry.live) void close(entry)
      past.delete(name)
    },

    /** Forgets failures, so that the next use tries at once. */
    forgive: (name: string): void => {
      past.delete(name)
      const entry = entries.get(name)
      if (entry?.state === 'failed') entry.state = 'stopped'
    },

    /** Throws a connection away that turned out to be of no use. */
    reset: (name: string, connection: Connection): void => {
      const entry = entries.get(name)
      if (entry?.live === connection) retire(entry)
    },

    stateOf(name: string): LiveState {
      const { error, needsAuth, retryAt } = past.get(name) ?? { error: null, needsAuth: false, retryAt: 0 }
      const state = entries.get(name)?.state ?? (error ? 'failed' : 'stopped')
      const failed = state === 'failed'
      return {
        state,
        needs_auth: failed && needsAuth,
        last_error: failed ? error : null,
        retry_at: failed && retryAt > now() ? retryAt / 1000 : null,
      }
    },

    isReady: (name: string): boolean => entries.get(name)?.state === 'ready',

    /** Ends every connection and waits until no process is left. */
    async stop(): Promise<void> {
      stopped = true
      await Promise.all([...entries.values(), ...retiring].map(close))
    },
  }
}

function aborting<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return promise
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason)
    if (signal.aborted) return abort()
    signal.addEventListener('abort', abort, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
  })
}

const unref = (timer: unknown): void => (timer as { unref?: () => void }).unref?.()
