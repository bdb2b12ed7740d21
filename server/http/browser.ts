import type { Peer } from './peer.ts'

/** The token in a request's headers, wherever a client puts it. */
export const tokenOf = (headers: Headers): string | undefined =>
  bearerOf(headers.get('authorization')) || headers.get('x-api-key') || headers.get('api-key') ||
  headers.get('x-openagent-token') || undefined

/**
 * Whether the request could only be let in by something that a browser adds by itself, such as a cookie.
 * `Authorization: Basic` counts as such: a browser that once learned a password adds it to other sites' requests too.
 */
export const isAmbient = (request: Request): boolean => tokenOf(request.headers) === undefined

/**
 * Whether a request comes from our own pages, or from no browser at all.
 * Browsers name the sender in `Origin` on every write and WebSocket and, since 2023, in `Sec-Fetch-Site`; a request
 * with neither comes from a program, and no page can make a browser leave both out.
 */
export function isSameOrigin(request: Request, peer: Peer): boolean {
  const site = request.headers.get('sec-fetch-site')
  if (site !== null && site !== 'same-origin' && site !== 'none') return false
  const origin = request.headers.get('origin')
  return origin === null || origin.toLowerCase() === `${peer.scheme}://${withoutDefaultPort(peer)}`
}

const bearerOf = (header: string | null): string | undefined =>
  header !== null && /^bearer /i.test(header) ? header.slice(7).trim() : undefined

const withoutDefaultPort = ({ scheme, host }: Peer): string => host.replace(scheme === 'https' ? /:443$/ : /:80$/, '')
