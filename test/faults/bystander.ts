/** How long something took that went on beside something else; milliseconds. */
export type Delays = { count: number; p50: number; p99: number }

/** Does the same again and again until it is told to stop, and measures each time. */
export function measureBeside(work: () => Promise<unknown>): { stop(): Promise<Delays> } {
  let stopped = false
  const times: number[] = []
  const running = (async () => {
    while (!stopped) {
      const at = performance.now()
      await work()
      times.push(performance.now() - at)
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
  })()
  // Whoever stops it hears of it.
  running.catch(() => {})
  return {
    async stop() {
      stopped = true
      await running
      times.sort((a, b) => a - b)
      const at = (share: number) => times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? 0
      return { count: times.length, p50: at(0.5), p99: at(0.99) }
    },
  }
}

/** One line for a person: figures, and their ratio to those of the same when nothing else went on. */
export function describeDelays(name: string, { count, p50, p99 }: Delays, quiet: Delays): string {
  const ratio = (value: number, to: number) => `${(value / to).toFixed(1)} ×`
  const ms = (value: number) => `${value.toFixed(1)} ms`
  return `${name.padEnd(36)} ${String(count).padStart(5)} times, p50 ${ms(p50)} (${ratio(p50, quiet.p50)}), ` +
    `p99 ${ms(p99)} (${ratio(p99, quiet.p99)})`
}
