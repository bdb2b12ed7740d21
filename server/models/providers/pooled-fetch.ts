import { Buffer } from 'node:buffer'
import {
  Agent as PlainAgent,
  type ClientRequest,
  type IncomingMessage,
  request as plainRequest,
  type RequestOptions,
} from 'node:http'
import { Agent as SecureAgent, request as secureRequest } from 'node:https'

/** Chunks that may wait for a reader before the upstream is slowed down. */
const HIGH_WATER = 16

/** Statuses whose answers have no body; `Response` refuses one. */
const EMPTY = new Set([204, 205, 304])

/**
 * The part of `fetch` that providers need (bodies of text or bytes, no redirects, no compression) over pooled `node:http`
 * connections: on Node it costs about half the processor time of the built-in `fetch` per request.
 */
export function createPooledFetch(): typeof fetch {
  const options = { keepAlive: true, maxSockets: Infinity, maxFreeSockets: 512, scheduling: 'lifo' as const }
  const plain = new PlainAgent(options)
  const secure = new SecureAgent(options)

  const send = (url: URL, init: RequestInit, again: boolean): Promise<Response> => {
    const body = typeof init.body === 'string'
      ? Buffer.from(init.body)
      : init.body instanceof Uint8Array
      ? init.body
      : undefined
    const settings: RequestOptions = {
      method: init.method ?? 'GET',
      headers: {
        ...(init.headers as Record<string, string> | undefined),
        ...(body ? { 'content-length': body.byteLength } : {}),
      },
      ...(init.signal ? { signal: init.signal } : {}),
    }
    return new Promise((resolve, reject) => {
      const outgoing: ClientRequest = url.protocol === 'https:'
        ? secureRequest(url, { ...settings, agent: secure })
        : plainRequest(url, { ...settings, agent: plain })
      outgoing.on('response', (incoming) => resolve(toResponse(incoming)))
      outgoing.on('error', (error: Error & { code?: string }) => {
        // The server closed an idle connection in the moment we took it; nothing has been answered, so ask once more.
        const stale = outgoing.reusedSocket && error.code === 'ECONNRESET' && !again && !init.signal?.aborted
        if (stale) send(url, init, true).then(resolve, reject)
        else reject(error)
      })
      outgoing.end(body)
    })
  }

  return ((input: string | URL, init: RequestInit = {}) => send(new URL(input), init, false)) as typeof fetch
}

function toResponse(incoming: IncomingMessage): Response {
  const headers = new Headers()
  for (const [name, value] of Object.entries(incoming.headers)) {
    if (value !== undefined && name !== 'set-cookie') headers.set(name, Array.isArray(value) ? value.join(', ') : value)
  }
  const status = incoming.statusCode ?? 502
  if (EMPTY.has(status)) {
    incoming.resume()
    return new Response(null, { status, headers })
  }
  return new Response(bodyOf(incoming), { status, headers })
}

function bodyOf(incoming: IncomingMessage): ReadableStream<Uint8Array> {
  let over = false
  /** Why the answer broke off; told once what had come is read, for an error throws away what waits. */
  let failure: Error | undefined
  return new ReadableStream<Uint8Array>({
    start(controller) {
      incoming.on('data', (chunk: Uint8Array) => {
        if (over) return
        controller.enqueue(chunk)
        if ((controller.desiredSize ?? 1) <= 0) incoming.pause()
      })
      incoming.on('end', () => {
        if (!over) controller.close()
        over = true
      })
      const fail = (error?: Error): void => {
        if (over) return
        over = true
        failure = error ?? new Error('The connection was closed')
        if (controller.desiredSize === HIGH_WATER) controller.error(failure)
      }
      incoming.on('error', fail)
      incoming.on('close', () => fail())
    },
    pull(controller) {
      if (failure && controller.desiredSize === HIGH_WATER) return controller.error(failure)
      incoming.resume()
    },
    cancel() {
      over = true
      incoming.destroy()
    },
  }, { highWaterMark: HIGH_WATER })
}
