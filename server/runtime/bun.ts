import type { Child, Listening, Runtime, ServeOptions, Socket, SocketHandlers, SpawnOptions } from './port.ts'
import {
  childGone,
  firstProtocol,
  listenError,
  MAX_MESSAGE,
  peerAddress,
  signalGroup,
  spawnError,
  wantsWebSocket,
  within,
} from './wire.ts'

type Signal = 'SIGTERM' | 'SIGKILL' | 'SIGINT'
type BunSocket = {
  data: { handlers: SocketHandlers; socket?: Socket }
  readyState: number
  /** Bytes sent, -1 when they wait, 0 when they were dropped. */
  send(data: string | Uint8Array): number
  close(code?: number, reason?: string): void
  terminate(): void
  getBufferedAmount(): number
}
type BunServer = {
  port: number
  requestIP(request: Request): { address: string } | null
  upgrade(request: Request, options: { data: BunSocket['data']; headers?: Record<string, string> }): boolean
  stop(cut: boolean): Promise<void>
}
type Process = {
  pid: number
  stdin: {
    write(chunk: Uint8Array): number
    flush(): number | Promise<number> | undefined
    end(): number | Promise<number> | undefined
  }
  stdout: ReadableStream<Uint8Array>
  stderr: ReadableStream<Uint8Array>
  exited: Promise<number>
  exitCode: number | null
  signalCode: string | null
  kill(signal: Signal): void
}

/** The few names of Bun that are used here. */
declare const Bun: {
  version: string
  serve(options: Record<string, unknown>): BunServer
  spawn(command: string[], options: Record<string, unknown>): Process
}

export const bunRuntime: Runtime = {
  name: 'bun',
  get version() {
    return Bun.version
  },
  serve: listen,
  spawn: start,
  onSignal(listener) {
    const signals = ['SIGTERM', 'SIGINT'] as const
    for (const signal of signals) process.on(signal, listener)
    return () => signals.forEach((signal) => process.off(signal, listener))
  },
}

// async, so that an address that is taken rejects.
// deno-lint-ignore require-await
async function listen(options: ServeOptions): Promise<Listening> {
  const open = new Set<BunSocket>()
  try {
    const server = Bun.serve({
      hostname: options.hostname,
      port: options.port,
      idleTimeout: 0, // By default a quiet stream is cut after 10 s.
      maxRequestBodySize: Number.MAX_SAFE_INTEGER, // Routes have their own limits.
      development: false,
      reusePort: false, // Outside development Bun would share an address that is taken.
      error: () => new Response('Internal error', { status: 500 }),
      fetch(request: Request, server: BunServer) {
        const info = {
          get remoteAddress() {
            return peerAddress(server.requestIP(request)?.address)
          },
        }
        if (!wantsWebSocket(request.method, request.headers.get('upgrade'))) return options.fetch(request, info)
        return upgrade(request, options.upgrade(request, info), server)
      },
      websocket: sockets(open),
    })
    return { hostname: options.hostname, port: server.port, stop: (graceMs) => stop(server, open, graceMs) }
  } catch (error) {
    throw listenError(error, options.hostname, options.port)
  }
}

async function stop(server: BunServer, open: Set<BunSocket>, graceMs: number): Promise<void> {
  for (const socket of [...open]) socket.close(1001, 'The server is stopping')
  let done = false
  await within(graceMs, server.stop(false).then(() => (done = true)))
  if (!done) await within(500, server.stop(true))
}

async function upgrade(
  request: Request,
  asked: Promise<Response | SocketHandlers>,
  server: BunServer,
): Promise<Response | undefined> {
  const answer = await asked
  if (answer instanceof Response) return answer
  const protocol = firstProtocol(request.headers.get('sec-websocket-protocol'))
  const headers = protocol ? { 'sec-websocket-protocol': protocol } : undefined
  if (server.upgrade(request, { data: { handlers: answer }, headers })) return undefined
  return new Response('Not a WebSocket handshake', { status: 400 })
}

/** Bun has one set of handlers for all sockets; each socket carries its own in `data`. */
const sockets = (open: Set<BunSocket>): Record<string, unknown> => ({
  idleTimeout: 120, // Seconds; Bun pings meanwhile, so only a peer that is gone is cut.
  sendPings: true,
  maxPayloadLength: MAX_MESSAGE,
  backpressureLimit: 1024 * 1024 * 1024, // Bun drops messages above it; who sends looks at `bufferedAmount` long before.
  open(ws: BunSocket) {
    open.add(ws)
    const socket: Socket = {
      send: (data) => void (ws.readyState === WebSocket.OPEN && ws.send(data)),
      close: (code, reason) => ws.readyState === WebSocket.OPEN ? ws.close(code, reason) : undefined,
      terminate: () => ws.terminate(),
      get bufferedAmount() {
        return ws.readyState === WebSocket.OPEN ? ws.getBufferedAmount() : 0
      },
    }
    ws.data.socket = socket
    ws.data.handlers.open(socket)
  },
  message(ws: BunSocket, data: string | Uint8Array) {
    ws.data.handlers.message(ws.data.socket!, data)
  },
  close(ws: BunSocket, code: number, reason: string) {
    if (open.delete(ws)) ws.data.handlers.close(ws.data.socket!, code, reason)
  },
})

// async, so that a program that is missing rejects.
// deno-lint-ignore require-await
async function start(command: string, args: string[], options: SpawnOptions = {}): Promise<Child> {
  const group = options.group ?? true
  const child = run([command, ...args], {
    cwd: options.cwd,
    env: options.env,
    detached: group,
    stdin: 'pipe',
    stdout: 'pipe',
    stderr: 'pipe',
  })
  /** Set by the exit, and by the first broken write: Bun only reports that one. */
  let gone = false
  let ended = false
  const waiting = new Set<() => void>()
  const exited = child.exited.then(() => {
    gone = ended = true
    for (const wake of waiting) wake()
    return { code: child.signalCode ? null : child.exitCode, signal: child.signalCode }
  })
  /** A flush to a child that dies may never end. */
  const settled = (work: Promise<number>) =>
    new Promise<void>((resolve) => {
      waiting.add(resolve)
      const done = () => {
        waiting.delete(resolve)
        resolve()
      }
      work.then(done, () => {
        gone = true
        done()
      })
    })
  const kill = (signal: Signal) => ended ? undefined : child.kill(signal)
  return {
    pid: child.pid,
    stdout: child.stdout,
    stderr: child.stderr,
    exited,
    async write(chunk) {
      if (gone) throw childGone()
      let flushed: number | Promise<number> | undefined
      try {
        const written = child.stdin.write(chunk) as number | Promise<number>
        if (written instanceof Promise) await settled(written)
        flushed = child.stdin.flush()
      } catch (error) {
        gone = true
        throw childGone(error)
      }
      if (flushed instanceof Promise) await settled(flushed)
      // When the pipe broke, Bun mostly throws nothing: `flush` just gives nothing.
      if (gone || flushed === undefined) throw childGone()
    },
    async closeStdin() {
      const closed = gone ? undefined : child.stdin.end()
      if (closed instanceof Promise) await settled(closed)
    },
    kill: (signal = 'SIGTERM') => kill(signal),
    killGroup: (signal = 'SIGTERM') => group ? signalGroup(child.pid, signal) : kill(signal),
  }
}

function run(command: string[], options: Record<string, unknown>): Process {
  try {
    return Bun.spawn(command, options)
  } catch (error) {
    throw spawnError(error, command[0]!)
  }
}
