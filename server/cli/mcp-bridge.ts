import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { StdioServerTransport } from '@modelcontextprotocol/sdk/server/stdio.js'
import {
  ErrorCode,
  isInitializedNotification,
  isInitializeRequest,
  isJSONRPCErrorResponse,
  isJSONRPCRequest,
  isJSONRPCResultResponse,
  type JSONRPCMessage,
  type RequestId,
} from '@modelcontextprotocol/sdk/types.js'
import { noServer } from './client.ts'
import type { Target } from './target.ts'

/** Only a name: each request finds the server anew, which may have been restarted on another port. */
const NOMINAL = new URL('http://gatehouse.invalid/mcp')
/** How long a stopping bridge waits for answers that are under way, and for the server to forget the session. */
const LAST_WORDS_MS = 5000
const GOODBYE_MS = 1000
const AGAIN = 'gatehouse-again'

/**
 * Carries messages between stdin and stdout and the server until `over`. A server that was restarted is greeted again
 * in the client's own words, so that the client notices nothing but calls that were cut.
 */
export async function bridge({ find, note, over }: {
  find: () => Promise<Target>
  /** One line for people. */
  note: (line: string) => void
  over: Promise<void>
}): Promise<void> {
  const stdio = new StdioServerTransport()
  /** Requests of the client that nobody answered yet. */
  const pending = new Set<RequestId>()
  /** Called when the last of them was answered. */
  let quiet: (() => void) | undefined
  let greeting: Extract<JSONRPCMessage, { method: string }> | undefined
  let greeted: ((answer: JSONRPCMessage) => void) | undefined
  let http = await open()
  let greetingAgain: Promise<void> | undefined

  async function open(): Promise<StreamableHTTPClientTransport> {
    const transport = new StreamableHTTPClientTransport(NOMINAL, { fetch: carry })
    transport.onmessage = (message) => void fromServer(transport, message)
    transport.onerror = (error) => {
      if (!/Maximum reconnection attempts/.test(error.message)) return
      failPending('The connection to Gatehouse was lost; whether the call took effect is not known')
    }
    await transport.start()
    return transport
  }

  async function carry(_: string | URL, init: RequestInit = {}): Promise<Response> {
    const to = await find()
    const headers = new Headers(init.headers)
    if (to.token) headers.set('authorization', `Bearer ${to.token}`)
    headers.set('user-agent', 'gatehouse-cli')
    try {
      return await fetch(`${to.url}/mcp`, { ...init, headers })
    } catch (error) {
      if (init.signal?.aborted) throw error
      throw noServer(to)
    }
  }

  async function fromServer(transport: StreamableHTTPClientTransport, message: JSONRPCMessage): Promise<void> {
    const isAnswer = isJSONRPCResultResponse(message) || isJSONRPCErrorResponse(message)
    if (isAnswer && message.id === AGAIN) return greeted?.(message)
    if (isAnswer && message.id !== undefined) {
      pending.delete(message.id)
      if (message.id === (greeting as { id?: RequestId } | undefined)?.id) setVersion(transport, message)
    }
    await stdio.send(message)
    if (pending.size === 0) quiet?.()
  }

  async function fromClient(message: JSONRPCMessage): Promise<void> {
    if (isInitializeRequest(message)) greeting = message as typeof greeting
    if (isJSONRPCRequest(message)) pending.add(message.id)
    try {
      await greetingAgain
      await http.send(message)
    } catch (error) {
      const isForgotten = (error as { code?: unknown }).code === 404 && greeting !== undefined
      if (!isForgotten || isInitializeRequest(message)) return fail(message, error as Error)
      try {
        await (greetingAgain ??= greet(message).finally(() => (greetingAgain = undefined)))
        if (!isInitializedNotification(message)) await http.send(message)
      } catch (second) {
        fail(message, second as Error)
      }
    }
  }

  /** A new session for a client that does not know that the old one is gone. */
  async function greet(message: JSONRPCMessage): Promise<void> {
    const kept = isJSONRPCRequest(message) ? message.id : undefined
    failPending('Gatehouse was restarted meanwhile; whether the call took effect is not known', kept)
    const before = http
    http = await open()
    await before.close()
    const answer = new Promise<JSONRPCMessage>((resolve) => (greeted = resolve))
    await http.send({ ...greeting!, id: AGAIN } as JSONRPCMessage)
    setVersion(http, await answer)
    await http.send({ jsonrpc: '2.0', method: 'notifications/initialized' })
    note('Gatehouse was restarted; connected again')
  }

  function failPending(words: string, except?: RequestId): void {
    for (const id of pending) if (id !== except) fail({ jsonrpc: '2.0', id, method: '' }, new Error(words))
  }

  function fail(message: JSONRPCMessage, error: Error): void {
    note(error.message)
    if (!isJSONRPCRequest(message) || !pending.delete(message.id)) return
    const answer = { code: ErrorCode.ConnectionClosed, message: error.message }
    void stdio.send({ jsonrpc: '2.0', id: message.id, error: answer }).then(() => pending.size === 0 && quiet?.())
  }

  stdio.onmessage = (message) => void fromClient(message)
  stdio.onerror = (error) => note(error.message)
  await stdio.start()
  await over
  if (pending.size > 0) await within(LAST_WORDS_MS, new Promise<void>((resolve) => (quiet = resolve)))
  await within(GOODBYE_MS, http.terminateSession().catch(() => {}))
  await http.close()
}

/** Later requests name the revision that was agreed on. */
function setVersion(transport: StreamableHTTPClientTransport, answer: JSONRPCMessage): void {
  const { protocolVersion } = (answer as { result?: { protocolVersion?: string } }).result ?? {}
  if (protocolVersion) transport.setProtocolVersion(protocolVersion)
}

const within = (ms: number, work: Promise<unknown>): Promise<unknown> =>
  Promise.race([work, new Promise((done) => setTimeout(done, ms))])
