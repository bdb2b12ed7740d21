import ipaddr from 'ipaddr.js'

/** Counts events of a key within a window that begins with the first one. */
export type RateLimit = {
  /** Seconds until the key is free again; 0 when it is. */
  blockedFor(key: string): number
  /** Counts one event and returns `blockedFor` as it is now: the event after the last permitted one is blocked. */
  hit(key: string): number
}

/** Forgets the oldest of more than `maxKeys`, so that a flood of addresses can't fill memory. */
export function createRateLimit(
  { max, windowMs, now, maxKeys = 10_000 }: { max: number; windowMs: number; now: () => number; maxKeys?: number },
): RateLimit {
  const windows = new Map<string, { until: number; count: number }>()

  const blockedFor = (key: string): number => {
    const window = windows.get(key)
    if (!window || window.until <= now() || window.count < max) return 0
    return Math.max(1, Math.ceil((window.until - now()) / 1000))
  }

  return {
    blockedFor,
    hit(key) {
      const blocked = blockedFor(key)
      const window = windows.get(key)
      if (window && window.until > now()) window.count++
      else {
        windows.delete(key)
        windows.set(key, { until: now() + windowMs, count: 1 })
        if (windows.size > maxKeys) windows.delete(windows.keys().next().value!)
      }
      return blocked
    },
  }
}

/** What counts as one address: an IPv6 customer has a whole /64. */
export function addressKey(address: string): string {
  if (!address.includes(':') || !ipaddr.isValid(address)) return address
  const parsed = ipaddr.process(address)
  if (parsed.kind() === 'ipv4') return parsed.toString()
  return (parsed as ipaddr.IPv6).parts.slice(0, 4).map((part) => part.toString(16)).join(':')
}
