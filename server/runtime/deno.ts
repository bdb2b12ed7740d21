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
type Process = {
  pid: number
  stdin: WritableStream<Uint8Array>
  stdout: ReadableStream<Uint8Array>
  stderr: ReadableStream<Uint8Array>
  status: Promise<{ code: number; signal: string | null }>
  kill(signal: Signal): void
}

/** The few names of Deno that are used here. */
declare const Deno: {
  version: { deno: string }
  serve(
    options: { hostname: string; port: number; onListen(): void; onError(error: unknown): Response },
    handler: (request: Request, info: { remoteAddr: { hostname?: string } }) => Response | Promise<Response>,
  ): { addr: { port: number }; shutdown(): Promise<void> }
  upgradeWebSocket(
    request: Request,
    options: { idleTimeout: number; protocol?: string },
  ): { socket: WebSocket; response: Response }
  Command: new (command: string, options: Record<string, unknown>) => { spawn(): Process }
  addSignalListener(signal: Signal, listener: () => void): void
  removeSignalListener(signal: Signal, listener: () => void): void
}

/** How long peers may take to answer a close frame before the server goes down. */
const CLOSING_MS = 500

export const denoRuntime: Runtime = {
  name: 'deno',
  get version() {
    return Deno.version.deno
  },
  serve: listen,
  spawn: start,
  onSignal(listener) {
    const term = () => listener('SIGTERM')
    const int = () => listener('SIGINT')
    Deno.addSignalListener('SIGTERM', term)
    Deno.addSignalListener('SIGINT', int)
    return () => {
      Deno.removeSignalListener('SIGTERM', term)
      Deno.removeSignalListener('SIGINT', int)
    }
  },
}

// async, so that an address that is taken rejects.
// deno-lint-ignore require-await
async function listen(options: ServeOptions): Promise<Listening> {
  const open = new Set<Socket>()
  try {
    const server = Deno.serve({
      hostname: options.hostname,
      port: options.port,
      onListen() {},
      onError: () => new Response('Internal error', { status: 500 }),
    }, (request, { remoteAddr }) => {
      const info = { remoteAddress: peerAddress(remoteAddr.hostname) }
      if (!wantsWebSocket(request.method, request.headers.get('upgrade'))) return options.fetch(request, info)
      return upgrade(request, options.upgrade(request, info), open)
    })
    return { hostname: options.hostname, port: server.addr.port, stop: (graceMs) => stop(server, open, graceMs) }
  } catch (error) {
    throw listenError(error, options.hostname, options.port)
  }
}

/** A stream that is still open after the grace time ends with the process: aborting `serve` after `shutdown` throws. */
async function stop(server: { shutdown(): Promise<void> }, open: Set<Socket>, graceMs: number): Promise<void> {
  for (const socket of [...open]) socket.close(1001, 'The server is stopping')
  // `shutdown` sends a close code of its own, ahead of those that were asked for a moment ago.
  const until = performance.now() + Math.min(graceMs, CLOSING_MS)
  while (open.size > 0 && performance.now() < until) await new Promise((resolve) => setTimeout(resolve, 10))
  await within(graceMs, server.shutdown())
  for (const socket of [...open]) socket.terminate()
}

async function upgrade(
  request: Request,
  asked: Promise<Response | SocketHandlers>,
  open: Set<Socket>,
): Promise<Response> {
  const answer = await asked
  if (answer instanceof Response) return answer
  try {
    // 30 s without a pong ends a connection whose peer is gone.
    const protocol = firstProtocol(request.headers.get('sec-websocket-protocol'))
    const { socket, response } = Deno.upgradeWebSocket(request, { idleTimeout: 30, protocol })
    wire(socket, answer, open)
    return response
  } catch {
    return new Response('Not a WebSocket handshake', { status: 400 })
  }
}

function wire(web: WebSocket, handlers: SocketHandlers, open: Set<Socket>): void {
  web.binaryType = 'arraybuffer'
  let opened = false
  const ended = (code: number, reason: string) => {
    if (!open.delete(socket)) return
    handlers.close(socket, code, reason)
  }
  const socket: Socket = {
    send: (data) => web.readyState === WebSocket.OPEN ? web.send(data as string) : undefined,
    close: (code, reason) => web.readyState === WebSocket.OPEN ? web.close(code, reason) : undefined,
    terminate() {
      // There is no way to cut the connection: its peer gets a close frame, and nothing of it is heard any more.
      if (web.readyState === WebSocket.OPEN) web.close(1011)
      ended(1006, '')
    },
    get bufferedAmount() {
      return web.bufferedAmount
    },
  }
  web.onopen = () => {
    opened = true
    open.add(socket)
    handlers.open(socket)
  }
  web.onmessage = ({ data }: MessageEvent<string | ArrayBuffer>) => {
    if (!opened || !open.has(socket)) return
    const size = typeof data === 'string' ? data.length : data.byteLength
    if (size > MAX_MESSAGE) return web.close(1009, 'The message is larger than 16 MiB')
    handlers.message(socket, typeof data === 'string' ? data : new Uint8Array(data))
  }
  web.onerror = () => {} // 'close' follows.
  web.onclose = ({ code, reason }) => ended(code || 1006, reason)
}

// async, so that a program that is missing rejects.
// deno-lint-ignore require-await
async function start(command: string, args: string[], options: SpawnOptions = {}): Promise<Child> {
  const group = options.group ?? true
  const child = run(command, {
    args,
    cwd: options.cwd,
    env: options.env,
    clearEnv: options.env !== undefined,
    detached: group,
    stdin: 'piped',
    stdout: 'piped',
    stderr: 'piped',
  })
  const writer = child.stdin.getWriter()
  const kill = (signal: Signal) => {
    try {
      child.kill(signal)
    } catch (error) {
      if (!(error instanceof TypeError)) throw error // "Child process has already terminated"
    }
  }
  return {
    pid: child.pid,
    stdout: child.stdout,
    stderr: child.stderr,
    exited: child.status.then(({ code, signal }) => ({ code: signal ? null : code, signal })),
    write: (chunk) =>
      writer.write(chunk).catch((error) => {
        throw childGone(error)
      }),
    closeStdin: () => writer.close().catch(() => {}), // Closed already, or broken.
    kill: (signal = 'SIGTERM') => kill(signal),
    killGroup: (signal = 'SIGTERM') => group ? signalGroup(child.pid, signal) : kill(signal),
  }
}

function run(command: string, options: Record<string, unknown>): Process {
  try {
    return new Deno.Command(command, options).spawn()
  } catch (error) {
    throw spawnError(error, command)
  }
}
