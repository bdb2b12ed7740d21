import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js'
import type { JSONRPCMessage } from '@modelcontextprotocol/sdk/types.js'
import type { Child, Runtime } from '../runtime/port.ts'

/** Largest message that is accepted, in bytes; what is longer ends the connection. */
const MAX_MESSAGE = 16 * 1024 * 1024
/** Messages that a server may send beside its answers: so many at once, and so many a second for good. */
const BURST = 3000
const PER_SECOND = 300
const MAX_LOG_LINE = 2000
/** How long a server may take to end by itself when its input closes, and after SIGTERM. */
const GRACE_MS = 1000

export type StdioOptions = {
  runtime: Runtime
  command: string
  args: string[]
  env: Record<string, string>
  cwd?: string | undefined
  /** A line that the server wrote beside the protocol. */
  onLine: (line: string) => void
}

/** MCP over the standard streams of a child, over our own `spawn` so that it is the same on every runtime. */
export function createStdio(options: StdioOptions): Transport & { protocolVersion?: string } {
  let child: Child | undefined
  let closed = false
  let credit = BURST
  let closing: Promise<void> | undefined

  const transport: Transport & { protocolVersion?: string } = {
    setProtocolVersion: (version) => (transport.protocolVersion = version),
    async start() {
      const { runtime, command, args, env, cwd } = options
      child = await runtime.spawn(command, args, { env, ...(cwd ? { cwd } : {}) })
      void readMessages(child)
      void readLog(child)
      void child.exited.then(({ code, signal }) => {
        // What the server started must not outlive it.
        child?.killGroup('SIGKILL')
        ended(closing ? undefined : new Error(`the process ended with ${signal ?? `exit code ${code}`}`))
      })
      if (closed) await transport.close()
    },
    async send(message) {
      if (!child || closed) throw new Error('the process is not running')
      credit++
      await child.write(new TextEncoder().encode(JSON.stringify(message) + '\n'))
    },
    close: () => closing ??= end(),
  }

  async function end(): Promise<void> {
    if (!child) {
      closed = true
      return
    }
    const gone = child.exited.then(() => true)
    const wait = () => Promise.race([gone, later(GRACE_MS)])
    await child.closeStdin().catch(() => {})
    if (!await wait()) child.killGroup('SIGTERM')
    if (!await wait()) child.killGroup('SIGKILL')
    await Promise.race([gone, later(GRACE_MS)])
    child.killGroup('SIGKILL')
    ended()
  }

  function ended(error?: Error): void {
    if (closed) return
    closed = true
    if (error) transport.onerror?.(error)
    transport.onclose?.()
  }

  async function readMessages({ stdout }: Child): Promise<void> {
    let since = Date.now()
    try {
      for await (const line of linesOf(stdout, MAX_MESSAGE)) {
        const now = Date.now()
        credit = Math.min(BURST, credit + (now - since) / 1000 * PER_SECOND) - 1
        since = now
        if (credit < 0) throw new Error('the server sent more messages than is accepted')
        const message = messageOf(line)
        // Programs that log to stdout are common; a line that is no message is a line of the log.
        if (message) transport.onmessage?.(message)
        else if (line.trim() !== '') options.onLine(line.slice(0, MAX_LOG_LINE))
      }
    } catch (error) {
      if (closed) return
      transport.onerror?.(error as Error)
      void transport.close()
    }
  }

  async function readLog({ stderr }: Child): Promise<void> {
    try {
      for await (const line of linesOf(stderr, 1024 * 1024)) {
        if (line.trim() !== '') options.onLine(line.slice(0, MAX_LOG_LINE))
      }
    } catch { /* the stream ends with the process */ }
  }

  return transport
}

function messageOf(line: string): JSONRPCMessage | undefined {
  if (!line.startsWith('{')) return undefined
  try {
    const value = JSON.parse(line) as { jsonrpc?: unknown }
    return value.jsonrpc === '2.0' ? value as JSONRPCMessage : undefined
  } catch {
    return undefined
  }
}

/** Lines without their ends; throws when one is longer than `max` bytes. */
async function* linesOf(stream: AsyncIterable<Uint8Array>, max: number): AsyncGenerator<string> {
  const decoder = new TextDecoder()
  let parts: Uint8Array[] = []
  let size = 0
  for await (const chunk of stream) {
    let from = 0
    for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, from)) {
      parts.push(chunk.subarray(from, at))
      yield decoder.decode(joined(parts)).replace(/\r$/, '')
      parts = []
      size = 0
      from = at + 1
    }
    if (from === chunk.length) continue
    parts.push(chunk.slice(from))
    size += chunk.length - from
    if (size > max) throw new Error(`the server sent a line longer than ${max} bytes`)
  }
}

const joined = (parts: Uint8Array[]): Uint8Array => parts.length === 1 ? parts[0]! : Buffer.concat(parts)

/** False after a while; keeps no process alive. */
const later = (ms: number): Promise<false> =>
  new Promise((resolve) => {
    const timer = setTimeout(() => resolve(false), ms)
    ;(timer as { unref?: () => void }).unref?.()
  })
