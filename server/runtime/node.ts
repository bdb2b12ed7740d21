import { spawn } from 'node:child_process'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import { Readable } from 'node:stream'
import type { ReadableStream as NodeStream } from 'node:stream/web'
import { getRequestListener } from '@hono/node-server'
import type { Child, Listening, Runtime, ServeOptions, SpawnOptions } from './port.ts'
import { acceptUpgrades } from './node-sockets.ts'
import { childGone, listenError, peerAddress, signalGroup, spawnError, wantsWebSocket } from './wire.ts'

export const nodeRuntime: Runtime = {
  name: 'node',
  version: process.versions.node,
  serve: listen,
  spawn: start,
  onSignal(listener) {
    const signals = ['SIGTERM', 'SIGINT'] as const
    for (const signal of signals) process.on(signal, listener)
    return () => signals.forEach((signal) => process.off(signal, listener))
  },
}

async function listen(options: ServeOptions): Promise<Listening> {
  const server = createServer({
    // An upload may take long; slow heads are still cut after a minute.
    requestTimeout: 0,
    headersTimeout: 60_000,
    // Longer than the minute that proxies keep idle connections, so that none sends into a closing one.
    keepAliveTimeout: 65_000,
    // Other upgrades, such as the h2c that curl offers, are answered as plain requests.
    shouldUpgradeCallback: (request: IncomingMessage) => wantsWebSocket(request.method ?? '', request.headers.upgrade),
  })
  server.on(
    'request',
    getRequestListener(
      (request, { incoming }) => options.fetch(request, { remoteAddress: peerAddress(incoming.socket?.remoteAddress) }),
      { hostname: options.hostname },
    ),
  )
  const sockets = acceptUpgrades(server, options)
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => reject(listenError(error, options.hostname, options.port)))
    server.listen(options.port, options.hostname, resolve)
  })
  const address = server.address() as { port: number }
  return { hostname: options.hostname, port: address.port, stop: (graceMs) => stop(server, sockets, graceMs) }
}

async function stop(server: Server, sockets: ReturnType<typeof acceptUpgrades>, graceMs: number): Promise<void> {
  sockets.close()
  // The connection of the last answer only turns idle after `close` was called, so look again and again.
  const idle = setInterval(() => server.closeIdleConnections(), 50)
  const cut = setTimeout(() => {
    sockets.terminate()
    server.closeAllConnections()
  }, graceMs)
  await new Promise<void>((resolve) => server.close(() => resolve()))
  clearInterval(idle)
  clearTimeout(cut)
}

async function start(command: string, args: string[], options: SpawnOptions = {}): Promise<Child> {
  const group = options.group ?? true
  const child = spawn(command, args, { cwd: options.cwd, env: options.env, detached: group, stdio: 'pipe' })
  // 'close' may never come when a grandchild holds a pipe.
  const exited = new Promise<{ code: number | null; signal: string | null }>((resolve) =>
    child.once('exit', (code, signal) => resolve({ code, signal }))
  )
  child.stdin.on('error', () => {}) // EPIPE reaches the callback of the write that caused it.
  // Web streams read from the start, so that what is unread at exit is not lost.
  const stdout = Readable.toWeb(child.stdout) as NodeStream<Uint8Array>
  const stderr = Readable.toWeb(child.stderr) as NodeStream<Uint8Array>
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve)
    child.once('error', (error) => reject(spawnError(error, command)))
  })
  child.on('error', () => {}) // A signal that could not be sent.
  const pid = child.pid!
  return {
    pid,
    stdout,
    stderr,
    exited,
    write: (chunk) =>
      new Promise((resolve, reject) =>
        child.stdin.write(chunk, (error) => error ? reject(childGone(error)) : resolve())
      ),
    closeStdin: () => new Promise((resolve) => child.stdin.destroyed ? resolve() : child.stdin.end(() => resolve())),
    kill: (signal = 'SIGTERM') => void child.kill(signal),
    killGroup: (signal = 'SIGTERM') => group ? signalGroup(pid, signal) : void child.kill(signal),
  }
}
