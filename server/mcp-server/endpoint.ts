import { randomUUID } from 'node:crypto'
import type { WebStandardStreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/webStandardStreamableHttp.js'
import type { Caller } from '../auth/principal.ts'
import type { Log } from '../system/log.ts'
import { type Connection, createConnection } from './connection.ts'
import type { Features } from './features.ts'
import { createReplay } from './replay.ts'
import { refusal } from './refusal.ts'
import { loadSdk, type Sdk } from './sdk.ts'
import { untilRead } from './until-read.ts'

type Transport = WebStandardStreamableHTTPServerTransport

/** A client that shook hands and was given an `Mcp-Session-Id`. */
type Session = Connection & {
  id: string
  caller: Caller
  transport: Transport
  /** Streams that somebody reads. */
  readers: number
  /** Epoch milliseconds. */
  lastUsed: number
}

export type Endpoint = ReturnType<typeof createEndpoint>

export type EndpointLimits = {
  maxSessions: number
  /** Of one principal. */
  maxOfOne: number
  /** How long a session is kept that nobody uses. */
  idleMs: number
}

const LIMITS: EndpointLimits = { maxSessions: 200, maxOfOne: 50, idleMs: 30 * 60_000 }
const SWEEP_MS = 60_000
/** When a client whose stream ended should take it up again. */
const RETRY_MS = 1000

/**
 * Streamable HTTP, with sessions and without: a client that begins with `initialize` gets a session, and a request
 * that names none is answered by itself. A session belongs to the credential that opened it.
 */
export function createEndpoint({ features, version, log, now, ...limits }: {
  features: Features
  version: string
  log: Log
  now: () => number
} & Partial<EndpointLimits>) {
  const { maxSessions, maxOfOne, idleMs } = { ...LIMITS, ...limits }
  const sessions = new Map<string, Session>()
  let sweeper: ReturnType<typeof setInterval> | undefined

  const isIdle = (session: Session): boolean => session.readers === 0 && session.busy() === 0

  function forget(id: string): void {
    sessions.delete(id)
    if (sessions.size > 0) return
    clearInterval(sweeper)
    sweeper = undefined
  }

  async function end(session: Session): Promise<void> {
    forget(session.id)
    await session.server.close()
  }

  async function sweep(): Promise<void> {
    const before = now() - idleMs
    for (const session of [...sessions.values()]) if (isIdle(session) && session.lastUsed < before) await end(session)
  }

  /** Makes room by ending the session that was idle for longest: of this principal where it has many, else of all. */
  async function makeRoom({ id }: Caller): Promise<boolean> {
    const all = [...sessions.values()]
    const own = all.filter((session) => session.caller.id === id)
    const crowd = own.length >= maxOfOne ? own : all.length >= maxSessions ? all : []
    if (crowd.length === 0) return true
    const [oldest] = crowd.filter(isIdle).sort((a, b) => a.lastUsed - b.lastUsed)
    if (oldest) await end(oldest)
    return oldest !== undefined
  }

  async function open(sdk: Sdk, request: Request, body: unknown, caller: Caller): Promise<Response> {
    if (!await makeRoom(caller)) {
      return refusal(503, 'Too many MCP sessions are in use; end one, or send requests without a session')
    }
    const id = randomUUID()
    const transport = new sdk.WebStandardStreamableHTTPServerTransport({
      sessionIdGenerator: () => id,
      eventStore: createReplay(),
      retryInterval: RETRY_MS,
      onsessionclosed: () => forget(id),
    })
    const connection = createConnection(sdk, features, caller, { version, log })
    const session: Session = { ...connection, id, caller, transport, readers: 0, lastUsed: now() }
    await connection.server.connect(transport)
    sessions.set(id, session)
    if (!sweeper) {
      sweeper = setInterval(() => void sweep(), Math.min(SWEEP_MS, idleMs))
      ;(sweeper as { unref?: () => void }).unref?.()
    }
    const response = await use(session, request, body).catch(async (error: unknown) => {
      await end(session)
      throw error
    })
    if (!response.ok) await end(session)
    return response
  }

  async function use(session: Session, request: Request, body: unknown): Promise<Response> {
    session.lastUsed = now()
    const response = await session.transport.handleRequest(request, body === undefined ? {} : { parsedBody: body })
    if (!response.body) return response
    session.readers++
    return untilRead(response, () => {
      session.readers--
      session.lastUsed = now()
    })
  }

  /** One request without a session: a server of its own, which ends with the answer or when the client goes. */
  async function once(sdk: Sdk, request: Request, body: unknown, caller: Caller): Promise<Response> {
    const transport = new sdk.WebStandardStreamableHTTPServerTransport({})
    const { server } = createConnection(sdk, features, caller, { version, log })
    await server.connect(transport)
    const response = await transport.handleRequest(request, { parsedBody: body })
    if (response.body) return untilRead(response, () => void server.close())
    await server.close()
    return response
  }

  return {
    /** Answers one request; `body` is the parsed JSON of a POST. */
    async handle(request: Request, body: unknown, caller: Caller): Promise<Response> {
      const id = request.headers.get('mcp-session-id')
      if (id !== null) {
        const session = sessions.get(id)
        // Somebody else's session is as unknown as none; 404 makes the client begin anew.
        if (!session || session.caller.id !== caller.id || session.caller.handle !== caller.handle) {
          return refusal(404, 'There is no such MCP session (any more); begin again with initialize', -32001)
        }
        return await use(session, request, body)
      }
      if (request.method !== 'POST') {
        return refusal(400, `${request.method} needs the header Mcp-Session-Id, which the answer to initialize gives`)
      }
      const sdk = await loadSdk()
      return await (isInitialize(body) ? open : once)(sdk, request, body, caller)
    },

    /** Tells every session, as far as it listens. */
    tell(what: (session: Pick<Session, 'server' | 'subscriptions' | 'caller'>) => Promise<void>): void {
      for (const session of sessions.values()) {
        what(session).catch((error: Error) =>
          log.debug('mcp_server.not_told', 'An MCP client could not be told of a change', { error: error.message })
        )
      }
    },

    count: (): number => sessions.size,

    /** Ends the sessions of one principal, or all. */
    async close(principal?: string): Promise<void> {
      for (const session of [...sessions.values()]) {
        if (principal === undefined || session.caller.id === principal) await end(session)
      }
    },
  }
}

const isInitialize = (body: unknown): boolean => (body as { method?: unknown } | null)?.method === 'initialize'
