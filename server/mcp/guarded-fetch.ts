import type { Outbound } from '../http/outbound.ts'

/** A plain answer, and one message of a stream. */
const MAX_BODY = 64 * 1024 * 1024
const MAX_EVENT = 16 * 1024 * 1024

/** As the SDK wants it. */
export type Fetch = (url: string | URL, init?: RequestInit) => Promise<Response>

/** Requests to MCP servers and their sign-in pages, through the guard; streams may be long but not one event of them. */
export const guardedFetch = (outbound: Outbound): Fetch => async (url, init) => {
  const response = await outbound.fetch(url, { ...init, timeoutMs: 0, maxBytes: Number.MAX_SAFE_INTEGER })
  if (!response.body) return response
  const stream = /^text\/event-stream/i.test(response.headers.get('content-type') ?? '')
  const body = response.body.pipeThrough(limit(stream))
  const limited = new Response(body, {
    status: response.status,
    statusText: response.statusText,
    headers: response.headers,
  })
  return Object.defineProperties(limited, { url: { value: response.url }, redirected: { value: response.redirected } })
}

function limit(stream: boolean): TransformStream<Uint8Array, Uint8Array> {
  let size = 0
  return new TransformStream({
    transform(chunk, controller) {
      size += chunk.byteLength
      // An event ends with an empty line: two line ends side by side.
      if (stream && endsEvent(chunk)) size = 0
      if (size > (stream ? MAX_EVENT : MAX_BODY)) controller.error(new Error('the server sent more than is accepted'))
      else controller.enqueue(chunk)
    },
  })
}

function endsEvent(chunk: Uint8Array): boolean {
  for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, at + 1)) {
    if (chunk[at + 1] === 10 || (chunk[at + 1] === 13 && chunk[at + 2] === 10)) return true
  }
  return false
}
