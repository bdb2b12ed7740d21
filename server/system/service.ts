import { readFileSync } from 'node:fs'
import { arch, hostname, loadavg, platform, release, type as osType, uptime, version as osVersion } from 'node:os'
import process from 'node:process'
import type { DiskUse, GatehouseCounts, GatehouseUse, SystemSnapshot } from '../../shared/system.ts'
import { busyPercent, readCpuFacts, readCpuTimes, readFrequency, readTemperature } from './cpu.ts'
import { readDisks } from './disks.ts'
import { readMemory } from './memory.ts'
import { readNetwork } from './network.ts'
import { busiest, readProcesses } from './processes.ts'

export type System = {
  snapshot(): Promise<SystemSnapshot>
  /** A snapshot every two seconds, taken only while somebody listens. Returns the function that unsubscribes. */
  subscribe(listener: (snapshot: SystemSnapshot) => void): () => void
  stop(): void
}

export type SystemDeps = {
  home: string
  version: string
  runtime: { name: string; version: string }
  /** What only the other features can count. */
  counts: () => GatehouseCounts | Promise<GatehouseCounts>
  now?: () => Date
  /** Milliseconds between the snapshots of subscribers. */
  every?: number
}

/** Shortest time over which rates are taken. */
const SPAN_MS = 150
/** A reading older than this would average over too long a time. */
const STALE_MS = 10_000
const DISKS_MS = 30_000
const DELAY_PROBE_MS = 100

export function createSystem(
  { home, version, runtime, counts, now = () => new Date(), every = 2000 }: SystemDeps,
): System {
  const listeners = new Set<(snapshot: SystemSnapshot) => void>()
  let timer: ReturnType<typeof setTimeout> | undefined
  let before: Readings | undefined
  let facts: ReturnType<typeof readCpuFacts> | undefined
  let disks: { at: number; use: Promise<DiskUse[]> } | undefined
  let taking: Promise<SystemSnapshot> | undefined
  const delay = createDelayProbe()

  /** Readers at the same moment share one snapshot. */
  const snapshot = (): Promise<SystemSnapshot> => {
    taking ??= take().finally(() => {
      taking = undefined
    })
    return taking
  }

  async function take(): Promise<SystemSnapshot> {
    if (!before || performance.now() - before.at > STALE_MS) before = await readAll()
    const age = performance.now() - before.at
    if (age < SPAN_MS) await delay.wait(SPAN_MS - age)
    const after = await readAll()
    const first = before
    before = after
    if (!disks || performance.now() - disks.at > DISKS_MS) disks = { at: performance.now(), use: readDisks(home) }
    facts ??= readCpuFacts()
    const [memory, fixed, frequency, temperature, use, processes, own] = await Promise.all([
      readMemory(),
      facts,
      readFrequency(),
      readTemperature(),
      disks.use,
      busiest(first.processes, after.processes),
      readOwn(),
    ])
    const [usage = 0, ...cores] = busyPercent(first.cpu, after.cpu)
    const seconds = (after.at - first.at) / 1000
    const rate = (key: 'rx_bytes_total' | 'tx_bytes_total') =>
      Math.max(0, Math.round((after.network[key] - first.network[key]) / seconds))
    return {
      timestamp: now().getTime() / 1000,
      host: host(version, now()),
      cpu: { ...fixed, freq_mhz: frequency, usage_pct: usage, per_core_pct: cores, temp_c: temperature },
      ...memory,
      disks: use,
      network: { ...after.network, rx_bps: rate('rx_bytes_total'), tx_bps: rate('tx_bytes_total') },
      processes,
      gatehouse: own,
    }
  }

  async function readOwn(): Promise<GatehouseUse> {
    const memory = process.memoryUsage()
    return {
      pid: process.pid,
      runtime: runtime.name,
      runtime_version: runtime.version,
      uptime_seconds: Math.round(process.uptime()),
      rss_bytes: memory.rss,
      heap_used_bytes: memory.heapUsed,
      event_loop_delay_ms: delay.take(),
      ...await counts(),
    }
  }

  async function tick(): Promise<void> {
    const current = await snapshot().catch(() => undefined)
    if (current) { for (const listener of [...listeners]) listener(current) }
    if (listeners.size > 0) schedule()
  }

  function schedule(): void {
    clearTimeout(timer)
    timer = setTimeout(() => void tick(), every)
    timer.unref()
  }

  function stop(): void {
    clearTimeout(timer)
    listeners.clear()
    delay.stop()
  }

  return {
    snapshot,
    subscribe: (listener) => {
      listeners.add(listener)
      if (listeners.size === 1) {
        delay.start()
        void tick()
      }
      return () => {
        listeners.delete(listener)
        if (listeners.size === 0) stop()
      }
    },
    stop,
  }
}

type Readings = Awaited<ReturnType<typeof readAll>>

/** Everything that is only useful as a difference between two moments. */
async function readAll() {
  const [cpu, network, processes] = await Promise.all([readCpuTimes(), readNetwork(), readProcesses()])
  return { at: performance.now(), cpu, network, processes }
}

/** What the system calls itself, which does not change while we run. */
const osName = readOsName()

function readOsName(): string {
  try {
    const found = /^PRETTY_NAME="?([^"\n]+)"?$/m.exec(readFileSync('/etc/os-release', 'utf8'))
    if (found) return found[1]!
  } catch { /* not a Linux, or a very small one */ }
  return osVersion()
}

const PLATFORMS: Record<string, string> = { linux: 'Linux', darwin: 'Darwin', win32: 'Windows' }

const host = (version: string, now: Date): SystemSnapshot['host'] => {
  const [one = 0, five = 0, fifteen = 0] = loadavg()
  return {
    hostname: hostname(),
    platform: PLATFORMS[platform()] ?? osType(),
    os: osName,
    release: release(),
    arch: arch(),
    uptime_seconds: Math.round(uptime()),
    boot_time: Math.round(now.getTime() / 1000 - uptime()),
    loadavg: [one, five, fifteen],
    users: 0,
    python_version: null,
    openagent_version: version,
  }
}

/** How late timers come: what everybody who waits for this process feels. */
function createDelayProbe() {
  let worst = 0
  let timer: ReturnType<typeof setInterval> | undefined
  let due = 0
  const note = (late: number) => {
    worst = Math.max(worst, late)
  }
  return {
    start: () => {
      due = performance.now() + DELAY_PROBE_MS
      timer = setInterval(() => {
        note(performance.now() - due)
        due = performance.now() + DELAY_PROBE_MS
      }, DELAY_PROBE_MS)
      timer.unref()
    },
    stop: () => clearInterval(timer),
    wait: async (ms: number) => {
      const start = performance.now()
      await new Promise((resolve) => setTimeout(resolve, ms))
      note(performance.now() - start - ms)
    },
    take: () => {
      const value = Math.round(worst * 10) / 10
      worst = 0
      return value
    },
  }
}
