import { PluginError } from '../sdk/errors.ts'

/** What Slack wants to be told of, until it is acknowledged by its id. */
export type Envelope = {
  envelope_id: string
  type: 'events_api' | 'interactive' | 'slash_commands'
  payload: Record<string, unknown>
  accepts_response_payload?: boolean
}

type Hello = { num_connections?: number; connection_info?: { app_id?: string } }
type Frame = { type?: string; reason?: string; envelope_id?: string } & Hello

/** Handles an envelope; what it resolves to is acknowledged with it. A rejection leaves it to be sent again. */
export type Take = (envelope: Envelope) => Promise<object | undefined>

const HELLO_MS = 20_000
/** What is being handled may still be acknowledged before the end. */
const DRAIN_MS = 5000
/** A connection that answers no farewell in this time was dead before it. */
const FAREWELL_MS = 5000

const TYPES = new Set(['events_api', 'interactive', 'slash_commands'])

/** One WebSocket of the socket mode, from its hello on. */
export type Line = Awaited<ReturnType<typeof openLine>>

/** Opens a connection; resolves at the hello, and throws when none comes. */
export async function openLine(url: string, { take, failed, signal }: {
  take: Take
  failed: (error: unknown) => void
  signal: AbortSignal
}) {
  const socket = new WebSocket(url)
  const hello = Promise.withResolvers<Hello>()
  const leaving = Promise.withResolvers<string>()
  const closed = Promise.withResolvers<{ code: number }>()
  const running = new Set<Promise<void>>()
  let ready = false
  let lastNews = Date.now()

  async function answer(envelope: Envelope): Promise<void> {
    try {
      const payload = await take(envelope)
      if (socket.readyState !== WebSocket.OPEN) return
      const { envelope_id, accepts_response_payload } = envelope
      socket.send(JSON.stringify({ envelope_id, ...(payload && accepts_response_payload ? { payload } : {}) }))
    } catch (error) {
      failed(error)
    }
  }

  socket.addEventListener('message', ({ data }) => {
    lastNews = Date.now()
    const frame = frameOf(data)
    if (!frame) return failed(new TypeError('Slack said something that is no JSON object'))
    if (frame.type === 'hello') return hello.resolve(frame)
    if (frame.type === 'disconnect') {
      const reason = frame.reason ?? 'unknown'
      if (!ready) hello.reject(new PluginError('not_connected', wordsOf(reason)))
      return leaving.resolve(reason)
    }
    if (!frame.envelope_id || !TYPES.has(frame.type ?? '')) return
    const work = answer(frame as Envelope).finally(() => running.delete(work))
    running.add(work)
  })
  const end = (): void => socket.close(1000)
  signal.addEventListener('abort', end, { once: true })
  socket.addEventListener('close', ({ code }) => {
    signal.removeEventListener('abort', end)
    closed.resolve({ code })
    hello.reject(new PluginError('not_connected', `Slack closed the connection (${code})`))
  })
  // The close that follows says all there is to say.
  socket.addEventListener('error', () => {})

  const late = setTimeout(() => {
    hello.reject(new PluginError('not_connected', 'Slack opened a connection, and said nothing'))
  }, HELLO_MS)
  try {
    const { num_connections, connection_info } = await hello.promise
    ready = true
    return {
      connections: num_connections,
      app: connection_info?.app_id,
      /** Resolves with the reason when Slack is about to close it. */
      leaving: leaving.promise,
      closed: closed.promise,
      isOpen: (): boolean => socket.readyState === WebSocket.OPEN,
      lastNews: (): number => lastNews,

      /** Ends it when everything on it is acknowledged. False when nobody was at the other end any more. */
      async close(): Promise<boolean> {
        await within(DRAIN_MS, Promise.allSettled(running))
        if (socket.readyState <= WebSocket.OPEN) socket.close(1000)
        const farewell = await within(FAREWELL_MS, closed.promise)
        return farewell !== undefined && farewell.code !== 1006
      },
    }
  } catch (error) {
    socket.close()
    throw error
  } finally {
    clearTimeout(late)
  }
}

/** Why Slack closes a connection, in words for the owner. */
export const wordsOf = (reason: string): string => reason === 'link_disabled' ? TURNED_OFF : `Slack says ${reason}`

/** No next connection will help. */
export const TURNED_OFF = 'Socket Mode was turned off on the page of the app'

function frameOf(data: unknown): Frame | undefined {
  try {
    const value: unknown = JSON.parse(String(data))
    return typeof value === 'object' && value !== null ? value as Frame : undefined
  } catch {
    return undefined
  }
}

async function within<T>(ms: number, work: Promise<T>): Promise<T | undefined> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<undefined>((resolve) => (timer = setTimeout(() => resolve(undefined), ms)))
  const result = await Promise.race([work, late])
  clearTimeout(timer)
  return result
}
