import ipaddr from 'ipaddr.js'

/** Global unicast; everything else in IPv6 is local, embeds an IPv4 address, or is reserved. */
const GLOBAL_IPV6 = ipaddr.parseCIDR('2000::/3')

/**
 * Whether an address belongs to the public internet. Private, loopback, link-local, shared (CGNAT), multicast,
 * unspecified and reserved ranges do not, nor do IPv6 forms that carry an IPv4 address (mapped, 6to4, NAT64, Teredo).
 */
export function isPublic(address: string): boolean {
  if (!ipaddr.isValid(address)) return false
  const parsed = ipaddr.parse(address)
  if (parsed.range() !== 'unicast') return false
  return parsed.kind() === 'ipv4' || parsed.match(GLOBAL_IPV6)
}

/**
 * Whether an allow list names this host or address. Entries are host names (`nas.lan`), `*.lan`, either with `:port`,
 * addresses, and CIDR ranges.
 */
export function isAllowed(entries: readonly string[], host: string, port: string, address: string): boolean {
  return entries.some((raw) => {
    const entry = raw.trim().toLowerCase()
    if (ipaddr.isValidCIDR(entry)) return inRange(address, entry)
    if (ipaddr.isValid(entry)) return inRange(address, `${entry}/${entry.includes(':') ? 128 : 32}`)
    const [, name = entry, onlyPort] = /^(.*?)(?::(\d+))?$/.exec(entry) ?? []
    if (onlyPort !== undefined && onlyPort !== port) return false
    if (ipaddr.isValid(name)) return name === address
    return name.startsWith('*.') ? host.endsWith(name.slice(1)) : name.replace(/\.$/, '') === host
  })
}

function inRange(address: string, range: string): boolean {
  if (!ipaddr.isValid(address)) return false
  // `process` unwraps ::ffff:a.b.c.d, so that a range of IPv4 also covers its mapped spelling.
  const parsed = ipaddr.process(address)
  const [base, bits] = ipaddr.parseCIDR(range)
  return parsed.kind() === base.kind() && parsed.match(base, bits)
}
