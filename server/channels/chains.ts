/** Work of one key strictly one after the other; of different keys side by side. Work must not throw. */
export function createChains() {
  const tails = new Map<string, Promise<void>>()

  return {
    run(key: string, work: () => Promise<void>): Promise<void> {
      const next = (tails.get(key) ?? Promise.resolve()).then(work)
      tails.set(key, next)
      void next.finally(() => {
        if (tails.get(key) === next) tails.delete(key)
      })
      return next
    },
    /** Resolves when nothing is under way. */
    async idle(): Promise<void> {
      while (tails.size > 0) await Promise.allSettled([...tails.values()])
    },
  }
}

/** Waits, or until the signal aborts. */
export const pause = (ms: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) return resolve()
    const end = (): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', end)
      resolve()
    }
    const timer = setTimeout(end, ms)
    signal.addEventListener('abort', end, { once: true })
  })
