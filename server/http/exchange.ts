import type { IncomingMessage, RequestOptions } from 'node:http'
import { pipeline, type Readable, type Transform } from 'node:stream'
import { AppError } from '../errors.ts'

/** One request, and the addresses that were found open for it. */
export type Exchange = {
  url: URL
  /** Where to connect, in order of preference; the name in `url` is not resolved again. */
  addresses: string[]
  method: string
  headers: Headers
  body: Uint8Array | undefined
  signal: AbortSignal
  /** Largest accepted body after decompression. */
  maxBytes: number
}

/** Failures before a byte was sent, after which the next address may be tried. */
const UNREACHED = new Set(['ECONNREFUSED', 'ENETUNREACH', 'EHOSTUNREACH', 'EADDRNOTAVAIL', 'ETIMEDOUT', 'ENETDOWN'])

/** Headers that belong to the connection and not to the message; a caller's own could split one request in two. */
const CONNECTION = new Set([
  'connection',
  'content-length',
  'expect',
  'host',
  'keep-alive',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])

/** Statuses whose answers have no body; `Response` refuses one. */
const EMPTY = new Set([204, 205, 304])

/**
 * One HTTP request to a chosen address, without following redirects.
 * It runs over `node:http`, since `fetch` has no way, on any runtime, to say which address a name stands for.
 */
export async function exchange(options: Exchange): Promise<Response> {
  let last: unknown
  for (const address of options.addresses.slice(0, 4)) {
    try {
      return toResponse(await send(options, address), options)
    } catch (error) {
      if (options.signal.aborted) throw abortError(options.signal)
      if (error instanceof AppError) throw error
      last = error
      if (!UNREACHED.has((error as { code?: string }).code ?? '')) break
    }
  }
  throw unreachable(options.url, last)
}

/** Out of time becomes an `AppError`; the caller's own abort reason passes as it is. */
export function abortError(signal: AbortSignal): unknown {
  const reason: unknown = signal.reason
  if (reason instanceof DOMException && reason.name === 'TimeoutError') {
    return new AppError('upstream_timeout', 'The other server did not answer in time', { cause: reason })
  }
  return reason
}

async function send({ url, method, headers, body, signal }: Exchange, address: string): Promise<IncomingMessage> {
  const secure = url.protocol === 'https:'
  const { request } = secure ? await import('node:https') : await import('node:http')
  const name = url.hostname.replace(/\.$/, '')
  const options: RequestOptions & { servername?: string } = {
    host: address,
    port: url.port || (secure ? 443 : 80),
    path: url.pathname + url.search,
    method,
    // A shared agent could hand out a connection to an address that was never judged.
    agent: false,
    signal,
    headers: {
      'user-agent': 'gatehouse',
      accept: '*/*',
      'accept-encoding': 'gzip, deflate, br',
      ...Object.fromEntries([...headers].filter(([name]) => !CONNECTION.has(name))),
      host: url.host,
      ...(body ? { 'content-length': String(body.byteLength) } : {}),
    },
  }
  // The certificate must match the name although we connect to an address.
  if (secure && name !== address && !name.startsWith('[')) options.servername = name
  return await new Promise((done, fail) => {
    const outgoing = request(options, done)
    outgoing.on('error', fail)
    outgoing.end(body)
  })
}

async function toResponse(incoming: IncomingMessage, { url, method, signal, maxBytes }: Exchange): Promise<Response> {
  const headers = new Headers()
  for (let i = 0; i + 1 < incoming.rawHeaders.length; i += 2) {
    try {
      headers.append(incoming.rawHeaders[i]!, incoming.rawHeaders[i + 1]!)
    } catch {
      // A header that the standard refuses (bytes outside Latin-1) is left out, as browsers do.
    }
  }
  const status = incoming.statusCode ?? 502
  const init = { status, statusText: incoming.statusMessage ?? '', headers }
  if (method === 'HEAD' || EMPTY.has(status)) {
    incoming.resume()
    return new Response(null, init)
  }
  if (Number(headers.get('content-length') ?? 0) > maxBytes) {
    incoming.destroy()
    throw tooLarge(url, maxBytes)
  }
  const decoder = await decoderFor(headers.get('content-encoding'))
  if (decoder) {
    headers.delete('content-encoding')
    headers.delete('content-length')
  }
  return new Response(limited(decoder ? pipeline(incoming, decoder, () => {}) : incoming), init)

  /** Pull by pull, so that a slow reader slows the other server down instead of filling memory. */
  function limited(source: Readable): ReadableStream<Uint8Array> {
    const chunks = source[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>
    let size = 0
    const stop = () => {
      incoming.destroy()
      source.destroy()
    }
    return new ReadableStream({
      async pull(controller) {
        try {
          const next = await chunks.next()
          if (next.done) return controller.close()
          size += next.value.byteLength
          if (size > maxBytes) throw tooLarge(url, maxBytes)
          controller.enqueue(new Uint8Array(next.value))
        } catch (error) {
          stop()
          if (signal.aborted) controller.error(abortError(signal))
          else controller.error(error instanceof AppError ? error : unreachable(url, error))
        }
      },
      cancel: stop,
    })
  }
}

async function decoderFor(encoding: string | null): Promise<Transform | undefined> {
  const name = encoding?.trim().toLowerCase()
  if (!name || name === 'identity') return undefined
  const { createBrotliDecompress, createGunzip, createInflate } = await import('node:zlib')
  if (name === 'gzip' || name === 'x-gzip') return createGunzip()
  if (name === 'deflate') return createInflate()
  if (name === 'br') return createBrotliDecompress()
  return undefined
}

const tooLarge = (url: URL, maxBytes: number): AppError =>
  new AppError('too_large', `The answer of ${url.host} is larger than ${maxBytes} bytes`)

const unreachable = (url: URL, cause: unknown): AppError =>
  new AppError('bad_gateway', `${url.host} could not be reached: ${(cause as Error)?.message ?? String(cause)}`, {
    cause,
  })
