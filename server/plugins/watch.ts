import type { PluginSettings } from '../../shared/plugin-settings.ts'
import { measure } from './measure.ts'
import type { PluginProcess } from './process.ts'

/** Points of the memory graph; at two seconds each about ten minutes. */
const POINTS = 300

/** What was measured once. `at` is epoch seconds. */
export type Sample = { at: number; bytes: number; processes: number }

/** A plugin that runs, as the watch sees it. */
export type Watched = {
  process: PluginProcess
  memoryMb: number
  readDenials: () => Promise<void>
  samples: { at: number; bytes: number }[]
  latest: { bytes: number; processes: number } | undefined
}

/** Looks at all running plugins at once, now and then, and ends those that take too much. Costs nothing without any. */
export function createWatch({ settings, now }: { settings: () => PluginSettings; now: () => number }) {
  const watched = new Map<string, Watched>()
  /** Also of processes before this one, for the graph. */
  const history = new Map<string, Watched['samples']>()
  const listeners = new Set<(name: string, sample: Sample) => void>()
  let timer: ReturnType<typeof setTimeout> | undefined

  function schedule(): void {
    if (timer || watched.size === 0) return
    timer = setTimeout(async () => {
      await look()
      timer = undefined
      schedule()
    }, settings().sample_seconds * 1000)
    ;(timer as { unref?: () => void }).unref?.()
  }

  async function look(): Promise<void> {
    const measured = await measure([...watched.values()].map(({ process }) => process.pid))
    for (const [name, plugin] of [...watched]) {
      await plugin.readDenials().catch(() => {}) // It ended meanwhile.
      const latest = measured.get(plugin.process.pid)
      if (!latest || watched.get(name) !== plugin) continue
      plugin.latest = latest
      const at = now() / 1000
      plugin.samples.push({ at, bytes: latest.bytes })
      if (plugin.samples.length > POINTS) plugin.samples.shift()
      for (const listener of [...listeners]) listener(name, { at, ...latest })
      const megabytes = Math.ceil(latest.bytes / 1024 ** 2)
      if (megabytes > plugin.memoryMb) {
        plugin.process.cut(`took ${megabytes} MB of memory, and may take ${plugin.memoryMb}`)
      } else if (latest.processes > settings().max_processes) {
        plugin.process.cut(`started ${latest.processes} processes, and may have ${settings().max_processes}`)
      }
    }
  }

  return {
    add(name: string, plugin: Omit<Watched, 'samples' | 'latest'>): void {
      const samples = history.get(name) ?? []
      history.set(name, samples)
      const entry: Watched = { ...plugin, samples, latest: undefined }
      watched.set(name, entry)
      void plugin.process.ended.then(() => {
        if (watched.get(name) === entry) watched.delete(name)
      })
      schedule()
    },
    latest: (name: string): Watched['latest'] => watched.get(name)?.latest,
    /** The oldest first. */
    samples: (name: string): Watched['samples'] => history.get(name) ?? [],
    /** Returns the function that unsubscribes. */
    subscribe(listener: (name: string, sample: Sample) => void): () => void {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
    stop: (): void => clearTimeout(timer),
  }
}
