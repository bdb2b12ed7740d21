import { type IncomingMessage, type Server, STATUS_CODES } from 'node:http'
import type { Duplex } from 'node:stream'
import type { WebSocket, WebSocketServer } from 'ws'
import type { ServeOptions, Socket, SocketHandlers } from './port.ts'
import { MAX_MESSAGE, peerAddress } from './wire.ts'

/** How often a quiet peer is asked whether it is still there. Milliseconds. */
const PING_EVERY = 30_000

/** WebSockets of one Node server; `ws` is loaded at the first handshake. */
export function acceptUpgrades(server: Server, options: ServeOptions): { close(): void; terminate(): void } {
  let sockets: Promise<WebSocketServer> | undefined
  const open = new Set<WebSocket>()
  const answered = new WeakSet<WebSocket>()
  const pings = setInterval(() => {
    for (const socket of open) {
      if (!answered.delete(socket)) socket.terminate()
      else socket.ping()
    }
  }, PING_EVERY).unref()
  server.once('close', () => clearInterval(pings))

  const load = async (): Promise<WebSocketServer> => {
    const { WebSocketServer } = await import('ws')
    return new WebSocketServer({
      noServer: true,
      maxPayload: MAX_MESSAGE,
      perMessageDeflate: false,
      clientTracking: false,
    })
  }

  const upgrade = async (incoming: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> => {
    const request = toRequest(incoming)
    if (!request) return await refuse(socket, new Response('Bad request', { status: 400 }))
    const remoteAddress = peerAddress(incoming.socket.remoteAddress)
    const answer = await options.upgrade(request, { remoteAddress })
    if (answer instanceof Response) return await refuse(socket, answer)
    const accepting = await (sockets ??= load())
    if (socket.destroyed) return
    accepting.handleUpgrade(incoming, socket, head, (accepted) => {
      open.add(accepted)
      answered.add(accepted)
      accepted.on('pong', () => answered.add(accepted))
      accepted.on('close', () => open.delete(accepted))
      wire(accepted, answer)
    })
  }

  server.on('upgrade', (incoming, socket: Duplex, head) => {
    // A reset while `upgrade` is awaited must not end the process.
    socket.on('error', () => socket.destroy())
    upgrade(incoming, socket, head).catch(() => refuse(socket, new Response('Internal error', { status: 500 })))
  })

  return {
    close: () => open.forEach((socket) => socket.close(1001, 'The server is stopping')),
    terminate: () => open.forEach((socket) => socket.terminate()),
  }
}

function wire(accepted: WebSocket, handlers: SocketHandlers): void {
  const socket: Socket = {
    send: (data) => accepted.readyState === accepted.OPEN ? accepted.send(data) : undefined,
    close: (code, reason) => accepted.close(code, reason),
    terminate: () => accepted.terminate(),
    get bufferedAmount() {
      return accepted.bufferedAmount
    },
  }
  accepted.on('error', () => {}) // A frame that breaks the protocol; 'close' follows.
  accepted.on('message', (data: Buffer, isBinary) => handlers.message(socket, isBinary ? data : data.toString()))
  accepted.once('close', (code, reason) => handlers.close(socket, code, reason.toString()))
  handlers.open(socket)
}

function toRequest(incoming: IncomingMessage): Request | undefined {
  const headers = new Headers()
  for (let i = 0; i < incoming.rawHeaders.length; i += 2) {
    headers.append(incoming.rawHeaders[i]!, incoming.rawHeaders[i + 1]!)
  }
  const url = `http://${incoming.headers.host ?? 'localhost'}${incoming.url}`
  return incoming.url?.startsWith('/') && URL.canParse(url) ? new Request(url, { headers }) : undefined
}

async function refuse(socket: Duplex, response: Response): Promise<void> {
  if (socket.destroyed) return
  const body = new Uint8Array(await response.arrayBuffer())
  const headers = new Headers(response.headers)
  headers.set('content-length', String(body.byteLength))
  headers.set('connection', 'close')
  const head = [...headers].map(([name, value]) => `${name}: ${value}\r\n`).join('')
  const reason = response.statusText || STATUS_CODES[response.status] || ''
  socket.write(`HTTP/1.1 ${response.status} ${reason}\r\n${head}\r\n`)
  socket.end(body, () => socket.destroy())
}
