import ipaddr from 'ipaddr.js'

/** How a request reached us, as far as a trusted proxy may say so. */
export type Peer = {
  /** Address of the client; empty when the runtime can't tell. */
  address: string
  scheme: 'http' | 'https'
  /** Host and port that the client asked for, lower case. */
  host: string
}

/**
 * Reads `X-Forwarded-For`, `-Proto` and `-Host` only when the connection comes from a trusted proxy.
 * `trusted` holds addresses, CIDR ranges or the word `loopback`.
 */
export function peerOf(request: Request, remoteAddress: string, trusted: readonly string[]): Peer {
  const headers = request.headers
  const peer: Peer = { address: plain(remoteAddress), scheme: schemeOf(request), host: hostOf(request) }
  if (trusted.length === 0 || !isTrusted(peer.address, trusted)) return peer
  const hops = (headers.get('x-forwarded-for') ?? '').split(',').map((hop) => plain(hop.trim())).filter(ipaddr.isValid)
  // From the right: each trusted proxy appended whom it saw; the first stranger is the client.
  for (let hop = hops.pop(); hop !== undefined; hop = hops.pop()) {
    peer.address = hop
    if (!isTrusted(hop, trusted)) break
  }
  const proto = lastOf(headers.get('x-forwarded-proto'))
  if (proto === 'https' || proto === 'http') peer.scheme = proto
  const host = lastOf(headers.get('x-forwarded-host'))
  if (host) peer.host = host
  return peer
}

/** Whether an address is one of this machine's own loopback addresses. */
export const isLoopback = (address: string): boolean => address === '::1' || /^127\.\d+\.\d+\.\d+$/.test(address)

const hostOf = (request: Request): string => (request.headers.get('host') ?? new URL(request.url).host).toLowerCase()

const schemeOf = (request: Request): 'http' | 'https' => (request.url.startsWith('https:') ? 'https' : 'http')

const lastOf = (list: string | null): string | undefined => list?.split(',').at(-1)?.trim().toLowerCase() || undefined

/** Without the brackets, port or `::ffff:` that a runtime or a proxy may put around an address. */
const plain = (address: string): string =>
  !address.includes(':') ? address : address
    .replace(/^\[(.*)\](:\d+)?$/, '$1')
    .replace(/^::ffff:(?=\d+\.)/i, '')
    .replace(/^(\d+\.\d+\.\d+\.\d+):\d+$/, '$1')

function isTrusted(address: string, trusted: readonly string[]): boolean {
  if (!ipaddr.isValid(address)) return false
  const parsed = ipaddr.parse(address)
  return trusted.some((entry) => {
    if (entry === 'loopback') return parsed.range() === 'loopback'
    if (ipaddr.isValidCIDR(entry)) {
      const [base, bits] = ipaddr.parseCIDR(entry)
      return base.kind() === parsed.kind() && parsed.match(base, bits)
    }
    return entry === address
  })
}
