import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js'
import type { JSONRPCMessage } from '@modelcontextprotocol/sdk/types.js'
import type { Child, Runtime } from '../runtime/port.ts'

/** Largest message that is accepted, in bytes; what is longer ends the connection. */
const MAX_MESSAGE = 16 * 1024 * 1024
/** More messages in one second than any honest server sends. */
const MAX_PER_SECOND = 5000
const STDERR_PER_SECOND = 50
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
  /** The process began; its id also names its group. */
  onPid?: ((pid: number) => void) | undefined
}

/** MCP over the standard streams of a child, over our own `spawn` so that it is the same on every runtime. */
export function createStdio(options: StdioOptions): Transport & { protocolVersion?: string } {
  let child: Child | undefined
  let closed = false
  let closing: Promise<void> | undefined

  const transport: Transport & { protocolVersion?: string } = {
    setProtocolVersion: (version) => (transport.protocolVersion = version),
    async start() {
      const { runtime, command, args, env, cwd } = options
      child = await runtime.spawn(command, args, { env, ...(cwd ? { cwd } : {}) })
      options.onPid?.(child.pid)
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
    let second = 0
    let count = 0
    try {
      for await (const line of linesOf(stdout, MAX_MESSAGE)) {
        const now = Math.floor(Date.now() / 1000)
        count = now === second ? count + 1 : 1
        second = now
        if (count > MAX_PER_SECOND) throw new Error(`the server sent more than ${MAX_PER_SECOND} messages in a second`)
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
    let second = 0
    let count = 0
    try {
      for await (const line of linesOf(stderr, 1024 * 1024)) {
        const now = Math.floor(Date.now() / 1000)
        if (now !== second && count > STDERR_PER_SECOND) options.onLine(`(${count - STDERR_PER_SECOND} lines left out)`)
        count = now === second ? count + 1 : 1
        second = now
        if (count <= STDERR_PER_SECOND && line.trim() !== '') options.onLine(line.slice(0, MAX_LOG_LINE))
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
