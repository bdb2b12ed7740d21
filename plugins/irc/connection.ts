import { connect as connectPlain, isIP, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { linesOf } from '../sdk/stdio.ts'
import { type IrcMessage, parseMessage } from './message.ts'

const CONNECT_MS = 20_000
/** Lines that go at once before the pace counts. */
const BURST = 4

export type SendOptions = { urgent?: boolean; optional?: boolean }

export type Connection = {
  /** Sends a line, later when many wait; what is `urgent` goes before those, what is `optional` not at all then. */
  send(line: string, options?: SendOptions): void
  messages: AsyncGenerator<IrcMessage>
  close(): void
}

/** Opens a connection. Throws when the server can't be reached or its certificate is not in order. */
export async function openConnection({ server, port, tls, linesPerSecond, signal }: {
  server: string
  port: number
  tls: boolean
  linesPerSecond: number
  signal: AbortSignal
}): Promise<Connection> {
  const socket = await opened({ server, port, tls, signal })
  const waiting: string[] = []
  let credit = BURST
  let refilled = performance.now()
  let timer: ReturnType<typeof setTimeout> | undefined

  function write(line: string): void {
    if (socket.writable) socket.write(`${line}\r\n`)
  }

  function flush(): void {
    timer = undefined
    const now = performance.now()
    credit = Math.min(BURST, credit + (now - refilled) / 1000 * linesPerSecond)
    refilled = now
    while (credit >= 1 && waiting.length > 0) {
      credit--
      write(waiting.shift()!)
    }
    if (waiting.length > 0) timer = setTimeout(flush, Math.max(1, (1 - credit) / linesPerSecond * 1000))
  }

  const close = (): void => {
    clearTimeout(timer)
    waiting.length = 0
    socket.destroy()
  }
  const leave = (): void => {
    waiting.length = 0
    socket.end('QUIT :Until later\r\n')
  }
  signal.addEventListener('abort', leave, { once: true })

  async function* messages(): AsyncGenerator<IrcMessage> {
    try {
      for await (const line of linesOf(socket)) {
        const message = parseMessage(line)
        if (message) yield message
      }
    } finally {
      signal.removeEventListener('abort', leave)
      close()
    }
  }

  return {
    messages: messages(),
    close,
    send(line, { urgent = false, optional = false } = {}) {
      if (urgent) return write(line)
      if (optional && waiting.length > 0) return
      waiting.push(line)
      if (timer === undefined) flush()
    },
  }
}

function opened({ server, port, tls, signal }: {
  server: string
  port: number
  tls: boolean
  signal: AbortSignal
}): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket: Socket = tls
      // The name that is asked for can't be an address; the certificate is held against the host then.
      ? connectTls({ host: server, port, ...(isIP(server) ? {} : { servername: server }) })
      : connectPlain({ host: server, port })
    const late = setTimeout(() => fail(new Error(`${server} does not answer`)), CONNECT_MS)
    const abort = (): void => fail(new Error('stopped'))
    const fail = (error: Error): void => {
      done()
      socket.destroy()
      reject(error)
    }
    const done = (): void => {
      clearTimeout(late)
      signal.removeEventListener('abort', abort)
      socket.off('error', fail)
      // What happens later ends the reading of it.
      socket.on('error', () => {})
    }
    socket.once('error', fail)
    socket.once(tls ? 'secureConnect' : 'connect', () => {
      done()
      socket.setKeepAlive(true, 60_000)
      resolve(socket)
    })
    signal.addEventListener('abort', abort, { once: true })
  })
}
