/** How much of something each key may have, within its rate. */
export type Buckets = {
  /** Takes one; answers 0, or in how many seconds there is one again. What is refused costs nothing. */
  take(key: string): number
}

/**
 * Token buckets that refill at a rate, whatever is done to the clock of the day; the oldest of more than `maxKeys` are
 * forgotten.
 */
export function createBuckets({ perSecond, burstSeconds, maxKeys = 10_000 }: {
  perSecond: () => number
  /** How much may come at once, in seconds of the rate. */
  burstSeconds: number
  maxKeys?: number
}): Buckets {
  const buckets = new Map<string, { left: number; at: number }>()
  return {
    take(key) {
      const rate = perSecond()
      const burst = Math.max(1, rate * burstSeconds)
      const now = performance.now()
      const before = buckets.get(key) ?? { left: burst, at: now }
      const left = Math.min(burst, before.left + (now - before.at) / 1000 * rate)
      buckets.delete(key)
      buckets.set(key, { left: left < 1 ? left : left - 1, at: now })
      if (buckets.size > maxKeys) buckets.delete(buckets.keys().next().value!)
      return left < 1 ? (1 - left) / rate : 0
    },
  }
}
