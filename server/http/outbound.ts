import { lookup } from 'node:dns/promises'
import { AppError } from '../errors.ts'
import type { Log } from '../system/log.ts'
import { isAllowed, isPublic } from './addresses.ts'
import { abortError, exchange } from './exchange.ts'

/** As for `fetch`, with limits. */
export type OutboundInit = RequestInit & {
  /** Largest accepted body after decompression, in bytes; 10 MiB when left out. */
  maxBytes?: number
  /** Time for the whole exchange, body included, in milliseconds; 30 s when left out, 0 for a stream without end. */
  timeoutMs?: number
}

/** `fetch` for addresses that a user, a model or a note can choose. */
export type Outbound = { fetch(input: string | URL | Request, init?: OutboundInit): Promise<Response> }

/** What `createOutbound` is built from. */
export type OutboundOptions = {
  /** Hosts, addresses and CIDR ranges that are open although they are not public (`outbound.allow`). */
  allow: () => readonly string[]
  log: Log
  /** Addresses of a host name; tests bring their own. */
  resolve?: (host: string) => Promise<string[]>
}

const MAX_REDIRECTS = 5
const REDIRECTS = new Set([301, 302, 303, 307, 308])
/** Headers that follow a redirect to another origin; any other may hold a credential. */
const HARMLESS = new Set(['accept', 'accept-language', 'content-type', 'user-agent'])

const systemResolve = async (host: string): Promise<string[]> =>
  (await lookup(host, { all: true })).map(({ address }) => address)

/**
 * The guard against server-side request forgery (design §5). Each hop's host is resolved once, judged, and the
 * connection goes to exactly that address: a name that changes its answer in between gains nothing.
 * Throws `AppError`: `invalid_input` for a bad URL, `forbidden` for a refused address, `bad_gateway` when the host can't
 * be reached, `upstream_timeout`, `too_large`. The body's stream fails with the same errors.
 */
export function createOutbound({ allow, log, resolve = systemResolve }: OutboundOptions): Outbound {
  async function addressesOf(url: URL): Promise<string[]> {
    const host = url.hostname.replace(/^\[(.*)\]$/, '$1').replace(/\.$/, '').toLowerCase()
    const port = url.port || (url.protocol === 'https:' ? '443' : '80')
    const found = isLiteral(host) ? [host] : await resolve(host).catch((cause: Error) => {
      throw new AppError('bad_gateway', `The host ${host} was not found`, { cause })
    })
    const open = found.filter((address) => isPublic(address) || isAllowed(allow(), host, port, address))
    if (open.length > 0) return open
    log.warn('outbound.refused', 'A request to a private address was refused', { host, port })
    throw new AppError(
      'forbidden',
      `${host} is a private or local address. To allow it, add "${host}" to outbound.allow in the configuration.`,
    )
  }

  return {
    async fetch(input, init = {}) {
      const { maxBytes = 10 * 1024 * 1024, timeoutMs = 30_000, ...standard } = init
      // Parsed by ourselves first, for Request would take a relative or credentialed URL with a vaguer complaint.
      let url = parseUrl(input instanceof Request ? input.url : String(input))
      const request = new Request(input instanceof Request ? input : url, standard)
      const signals = timeoutMs > 0 ? [request.signal, AbortSignal.timeout(timeoutMs)] : [request.signal]
      const signal = AbortSignal.any(signals)
      const headers = new Headers(request.headers)
      let method = request.method
      let body = request.body ? new Uint8Array(await request.arrayBuffer()) : undefined

      for (let hop = 0;; hop++) {
        const addresses = await withSignal(addressesOf(url), signal)
        const response = await exchange({ url, addresses, method, headers, body, signal, maxBytes })
        const location = response.headers.get('location')
        if (!REDIRECTS.has(response.status) || location === null || request.redirect === 'manual') {
          return Object.defineProperties(response, { url: { value: url.href }, redirected: { value: hop > 0 } })
        }
        await response.body?.cancel()
        if (request.redirect === 'error') throw new AppError('bad_gateway', `${url.host} answered with a redirect`)
        if (hop === MAX_REDIRECTS) throw new AppError('bad_gateway', `${url.host} redirected more than 5 times`)
        const next = parseUrl(location, url)
        if (next.origin !== url.origin) {
          for (const name of [...headers.keys()]) if (!HARMLESS.has(name)) headers.delete(name)
        }
        if (response.status === 303 || (method === 'POST' && response.status < 303)) {
          if (method !== 'HEAD') method = 'GET'
          body = undefined
          for (const name of ['content-type', 'content-length', 'content-encoding']) headers.delete(name)
        }
        url = next
      }
    },
  }
}

function parseUrl(text: string, base?: URL): URL {
  const url = URL.parse(text, base)
  const refuse = (why: string) =>
    new AppError('invalid_input', `url: ${why}`, { errors: [{ pointer: '/url', message: why }] })
  if (!url) throw refuse('is not a complete URL; it must look like https://host/path')
  if (url.protocol !== 'https:' && url.protocol !== 'http:') throw refuse('must begin with http:// or https://')
  if (url.username || url.password) throw refuse('must not contain a user name or password; send them as a header')
  url.hash = ''
  return url
}

/** The URL parser has already turned decimal, hex and octal spellings of IPv4 into dotted ones. */
const isLiteral = (host: string): boolean => host.includes(':') || /^\d+\.\d+\.\d+\.\d+$/.test(host)

function withSignal<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((done, fail) => {
    const abort = () => fail(abortError(signal))
    if (signal.aborted) return abort()
    signal.addEventListener('abort', abort, { once: true })
    promise.then(done, fail).finally(() => signal.removeEventListener('abort', abort))
  })
}
