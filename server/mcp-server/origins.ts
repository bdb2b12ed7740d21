import { isSameOrigin } from '../http/browser.ts'
import type { Peer } from '../http/peer.ts'

/**
 * The protocol wants `Origin` looked at on every request, key or not: our own pages may come, those of this machine
 * (as the protocol's Inspector), those that `server.cors_origins` names, and programs, which send none.
 */
export function mayCome(
  request: Request,
  peer: Peer,
  { base, corsOrigins }: { base: string; corsOrigins: readonly string[] },
): boolean {
  const origin = request.headers.get('origin')
  if (origin === null || corsOrigins.includes('*') || corsOrigins.includes(origin)) return true
  if (origin === URL.parse(base)?.origin) return true
  const host = URL.parse(origin)?.hostname ?? ''
  return /^(localhost|127\.0\.0\.1|\[::1\])$/.test(host) || isSameOrigin(request, peer)
}
