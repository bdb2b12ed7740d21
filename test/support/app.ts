import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { createApp } from '../../server/app.ts'
import { loadConfig } from '../../server/config/load.ts'
import { migrate } from '../../server/db/migrate.ts'
import { openDatabase } from '../../server/db/open.ts'
import type { GatewayHost } from '../../server/channels/deps.ts'
import type { ModelProvider } from '../../server/models/provider.ts'
import { currentRuntime } from '../../server/runtime/current.ts'
import type { Listening } from '../../server/runtime/port.ts'
import type { Log } from '../../server/system/log.ts'
import { createLog } from '../../server/system/logs.ts'
import type { TurnEvent } from '../../shared/turn-events.ts'

export const OWNER_TOKEN = 'owner-token-of-the-tests-0123456789'

export type TestApp = Awaited<ReturnType<typeof testApp>>

/** The real app on a real database in a folder of its own, with a scripted model in place of the built-in one. */
export async function testApp(options: {
  model?: ModelProvider
  /** An earlier home, to start again on. */
  home?: string
  env?: Record<string, string>
  flags?: Record<string, unknown>
  /** Carries chats in place of plugins. */
  gateways?: GatewayHost
} = {}) {
  const home = options.home ?? await mkdtemp(join(tmpdir(), 'gatehouse-test-'))
  // No provider may be found on the machine that runs the tests.
  const env = { GATEHOUSE_TOKEN: OWNER_TOKEN, OLLAMA_HOST: 'http://127.0.0.1:9', ...options.env }
  const flags = options.flags ?? {}
  const loaded = await loadConfig({ home, env, flags })
  const log = createLog({ home, level: 'error' })
  const database = await openMigrated(join(home, 'gatehouse.db'), log)
  const runtime = await currentRuntime()
  const restarts: number[] = []
  const app = await createApp({
    home,
    database,
    log,
    loaded,
    env,
    flags,
    runtime,
    build: { version: '0.0.0-test', commit: '', build_date: '' },
    webRoot: join(import.meta.dirname, '..', '..', 'web', 'build'),
    restart: () => restarts.push(Date.now()),
    ...(options.model ? { builtin: options.model } : {}),
    ...(options.gateways ? { gateways: options.gateways } : {}),
  })
  await app.start()
  let listening: Listening | undefined

  /** A request as the owner, unless `token` says otherwise; null sends none. */
  function request(
    path: string,
    init: RequestInit & { token?: string | null; json?: unknown } = {},
  ): Promise<Response> {
    const headers = new Headers(init.headers)
    const token = init.token === undefined ? OWNER_TOKEN : init.token
    if (token !== null && !headers.has('authorization')) headers.set('authorization', `Bearer ${token}`)
    let { body } = init
    if (init.json !== undefined) {
      headers.set('content-type', 'application/json')
      body = JSON.stringify(init.json)
    }
    return Promise.resolve(
      app.fetch(new Request(`http://localhost${path}`, { ...init, headers, body }), { remoteAddress: '127.0.0.1' }),
    )
  }

  return {
    ...app,
    home,
    database,
    restarts,
    request,

    /** A request whose answer is JSON; fails the test on another status than the wanted one. */
    async json<T = Record<string, unknown>>(
      path: string,
      init: Parameters<typeof request>[1] & { status?: number } = {},
    ): Promise<T> {
      const response = await request(path, { ...(init.json !== undefined ? { method: 'POST' } : {}), ...init })
      const text = await response.text()
      if (init.status === undefined ? !response.ok : response.status !== init.status) {
        throw new Error(`${init.method ?? 'GET'} ${path} answered ${response.status}: ${text}`)
      }
      return JSON.parse(text) as T
    },

    /** Sends a text and waits for its answer. */
    async ask(session: string, text: string, more: Record<string, unknown> = {}) {
      return await this.json<
        {
          turn_id: string
          state: string
          text: string
          model: string
          error: { class: string; message: string } | null
        }
      >(
        `/api/sessions/${session}/messages`,
        { json: { text, ...more }, headers: { prefer: 'wait=20' } },
      )
    },

    /** Events of a session after an offset until one fulfils `until`; the connection is then dropped. */
    async events(session: string, after: number, until: (event: TurnEvent) => boolean): Promise<TurnEvent[]> {
      const abort = new AbortController()
      const timer = setTimeout(() => abort.abort(), 30_000)
      const response = await request(`/api/sessions/${session}/events?after=${after}`, { signal: abort.signal })
      const seen: TurnEvent[] = []
      try {
        for await (const frame of framesOf(response)) {
          if (frame.event === 'reset' || !frame.data) continue
          const event = JSON.parse(frame.data) as TurnEvent
          seen.push(event)
          if (until(event)) return seen
        }
        throw new Error(`the stream ended after ${seen.map((event) => event.type)}`)
      } finally {
        clearTimeout(timer)
        abort.abort()
      }
    },

    /** Listens on a free port, for tests that need a real socket. */
    async listen(): Promise<string> {
      listening ??= await runtime.serve({ hostname: '127.0.0.1', port: 0, fetch: app.fetch, upgrade: app.upgrade })
      return `http://127.0.0.1:${listening.port}`
    },

    /** Stops as a signal would; the home stays. */
    async stop(): Promise<void> {
      await app.stop()
      await listening?.stop(500)
      await database.close()
      await log.stop()
    },

    async close(): Promise<void> {
      await this.stop()
      await rm(home, { recursive: true, force: true })
    },
  }
}

/** A database as the migrations leave a new one, which is half of a start: the others of a file begin with its copy. */
let migrated: Uint8Array | undefined

async function openMigrated(path: string, log: Log) {
  if (migrated && !existsSync(path)) await writeFile(path, migrated, { mode: 0o600 })
  const database = await openDatabase({ url: pathToFileURL(path).href, log })
  const applied = await migrate(database)
  if (!migrated && applied.length > 0) {
    await database.checkpoint()
    migrated = await readFile(path)
  }
  return database
}

/** The frames of an SSE response as they come. */
export async function* framesOf(response: Response): AsyncGenerator<{ id?: string; event?: string; data?: string }> {
  const decoder = new TextDecoder()
  let buffer = ''
  for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
    buffer += decoder.decode(chunk, { stream: true })
    for (let end = buffer.indexOf('\n\n'); end >= 0; end = buffer.indexOf('\n\n')) {
      const frame: Record<string, string> = {}
      for (const line of buffer.slice(0, end).split('\n')) {
        const colon = line.indexOf(': ')
        if (colon > 0) frame[line.slice(0, colon)] = line.slice(colon + 2)
      }
      buffer = buffer.slice(end + 2)
      if (frame.data !== undefined || frame.event !== undefined) yield frame
    }
  }
}

/** The deltas of a list of events, joined. */
export const textOf = (events: TurnEvent[], turnId?: string): string =>
  events.filter((event) => event.type === 'text' && (turnId === undefined || event.turn_id === turnId))
    .map((event) => (event as { delta: string }).delta).join('')
