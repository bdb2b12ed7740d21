import { Buffer } from 'node:buffer'
import { randomBytes } from 'node:crypto'
import { connect, type Socket } from 'node:net'

// deno-lint-ignore no-explicit-any -- the assertions say what a frame must hold
export type Frame = { type: string; [field: string]: any }

export type TestSocket = {
  /** Every frame so far but the system snapshots, in order. */
  frames: Frame[]
  send(frame: unknown): void
  sendRaw(text: string): void
  /** The next frame from `from` on that fits; waits for it. */
  next(fits: (frame: Frame) => boolean, from?: number): Promise<Frame>
  /** Until a number of turns are complete, counted from the first frame. */
  turns(count: number, session?: string): Promise<void>
  /** Text of the deltas of a session, joined. */
  text(session: string): string
  /** Stops and resumes reading from the connection. */
  pause(): void
  resume(): void
  closed: Promise<{ code: number; reason: string }>
  close(): void
  /** Cuts the connection without a word. */
  drop(): void
}

const WAIT_MS = 30_000

/**
 * A WebSocket client over a plain TCP connection: the same on every runtime, it sends headers that a browser's cannot,
 * and it can stop reading.
 */
export async function openSocket(url: string, headers: Record<string, string> = {}): Promise<TestSocket> {
  const { hostname, port, pathname } = new URL(url)
  const tcp = connect(Number(port), hostname)
  await new Promise<void>((resolve, reject) => tcp.once('connect', resolve).once('error', reject))
  const extra = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`).join('')
  tcp.write(
    `GET ${pathname} HTTP/1.1\r\nHost: ${hostname}:${port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
      `Sec-WebSocket-Key: ${randomBytes(16).toString('base64')}\r\nSec-WebSocket-Version: 13\r\n${extra}\r\n`,
  )
  const rest = await handshake(tcp)

  const frames: Frame[] = []
  const waiting = new Set<() => void>()
  let end: { code: number; reason: string } = { code: 1006, reason: '' }
  let over = false
  const closed = new Promise<{ code: number; reason: string }>((resolve) =>
    tcp.once('close', () => {
      over = true
      resolve(end)
      for (const wake of waiting) wake()
    })
  )
  tcp.on('error', () => {})

  const read = reader((opcode, payload) => {
    if (opcode === 1) {
      const frame = JSON.parse(payload.toString()) as Frame
      if (frame.type === 'system_snapshot') return
      frames.push(frame)
      for (const wake of waiting) wake()
    } else if (opcode === 8) {
      end = { code: payload.length > 1 ? payload.readUInt16BE(0) : 1005, reason: payload.subarray(2).toString() }
      write(tcp, 8, payload.subarray(0, 2))
      tcp.end()
    } else if (opcode === 9) write(tcp, 10, payload)
  })
  tcp.on('data', read)
  read(rest)
  tcp.resume()

  async function until<T>(look: () => T | undefined, what: string): Promise<T> {
    const deadline = Date.now() + WAIT_MS
    for (;;) {
      const found = look()
      if (found !== undefined) return found
      const seen = () => frames.slice(-30).map((frame) => JSON.stringify(frame).slice(0, 160)).join('\n')
      if (over) throw new Error(`closed (${end.code} ${end.reason}) before ${what}; last frames:\n${seen()}`)
      if (Date.now() > deadline) throw new Error(`no ${what}; last frames:\n${seen()}`)
      await new Promise<void>((resolve) => {
        const timer = setTimeout(wake, 500)
        function wake() {
          clearTimeout(timer)
          waiting.delete(wake)
          resolve()
        }
        waiting.add(wake)
      })
    }
  }

  return {
    frames,
    send: (frame) => void write(tcp, 1, Buffer.from(JSON.stringify(frame))),
    sendRaw: (text) => void write(tcp, 1, Buffer.from(text)),
    next: (fits, from = 0) => until(() => frames.slice(from).find(fits), `frame that fits ${fits}`),
    async turns(count, session) {
      const done = () =>
        frames.filter((frame) =>
          frame.type === 'turn_complete' && (session === undefined || frame.session_id === session)
        )
      await until(() => done().length >= count ? true : undefined, `${count} finished turns`)
    },
    text: (session) =>
      frames.filter((frame) => frame.type === 'delta' && frame.session_id === session).map((frame) => frame.text)
        .join(''),
    pause: () => void tcp.pause(),
    resume: () => void tcp.resume(),
    closed,
    close: () => void write(tcp, 8, Buffer.from([0x03, 0xe8])),
    drop: () => void tcp.destroy(),
  }
}

/** Resolves with what came behind the head of the answer; throws what was answered instead of an upgrade. */
function handshake(tcp: Socket): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    let head = Buffer.alloc(0)
    const take = (chunk: Buffer) => {
      head = Buffer.concat([head, chunk])
      const at = head.indexOf('\r\n\r\n')
      if (at < 0) return
      tcp.off('data', take)
      tcp.pause()
      const line = head.toString('latin1', 0, head.indexOf('\r\n'))
      if (line.includes(' 101 ')) return resolve(head.subarray(at + 4))
      tcp.destroy()
      reject(new Error(line))
    }
    tcp.on('data', take)
    tcp.once('close', () => reject(new Error('closed in the handshake')))
  })
}

/** Takes bytes as they come and hands on whole frames; servers send theirs unmasked and, here, unfragmented. */
function reader(take: (opcode: number, payload: Buffer) => void): (chunk: Buffer) => void {
  let chunks: Buffer[] = []
  let size = 0
  let wanted = 2
  return (chunk) => {
    chunks.push(chunk)
    size += chunk.length
    while (size >= wanted) {
      const all = chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)
      chunks = [all]
      const short = all[1]! & 0x7f
      const head = short === 126 ? 4 : short === 127 ? 10 : 2
      if (size < head) {
        wanted = head
        return
      }
      const length = short === 126 ? all.readUInt16BE(2) : short === 127 ? Number(all.readBigUInt64BE(2)) : short
      wanted = head + length
      if (size < wanted) return
      take(all[0]! & 0x0f, all.subarray(head, wanted))
      const left = all.subarray(wanted)
      chunks = [left]
      size = left.length
      wanted = 2
    }
  }
}

function write(tcp: Socket, opcode: number, payload: Buffer): void {
  if (tcp.destroyed || tcp.writableEnded) return
  const mask = randomBytes(4)
  const masked = Buffer.from(payload.map((byte, i) => byte ^ mask[i % 4]!))
  const length = payload.length
  const head = length < 126
    ? Buffer.from([0x80 | opcode, 0x80 | length])
    : length < 65_536
    ? Buffer.from([0x80 | opcode, 0x80 | 126, length >> 8, length & 255])
    : Buffer.alloc(10)
  if (length >= 65_536) {
    head[0] = 0x80 | opcode
    head[1] = 0x80 | 127
    head.writeBigUInt64BE(BigInt(length), 2)
  }
  tcp.write(Buffer.concat([head, mask, masked]))
}
