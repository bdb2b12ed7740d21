import process from 'node:process'

/** A run that failed is repeated with `SEED=…`. */
export function random(seed = Number(process.env.SEED) || Math.floor(Math.random() * 1e9)) {
  let state = seed
  /** Mulberry32. */
  const next = (): number => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
  return { seed, between: (low: number, high: number): number => low + next() * (high - low) }
}
