import type { Peer } from './peer.ts'

/** Headers that carry a token; a page of another site can't make a browser send them by itself. */
export const TOKEN_HEADERS = ['authorization', 'x-api-key', 'api-key', 'x-openagent-token'] as const

/** Whether the request could only be let in by something that a browser adds by itself, such as a cookie. */
export const isAmbient = (request: Request): boolean => !TOKEN_HEADERS.some((name) => request.headers.has(name))

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

const withoutDefaultPort = ({ scheme, host }: Peer): string => host.replace(scheme === 'https' ? /:443$/ : /:80$/, '')
