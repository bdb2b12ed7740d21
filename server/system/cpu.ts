import { readFile } from 'node:fs/promises'
import { availableParallelism, cpus, platform } from 'node:os'
import type { SystemSnapshot } from '../../shared/system.ts'

/** Ticks since boot of the whole processor and of each core. */
export type CpuTimes = { busy: number; total: number }[]

/** The first entry is the whole processor, the others its cores. */
export async function readCpuTimes(): Promise<CpuTimes> {
  if (platform() === 'linux') {
    const lines = (await readFile('/proc/stat', 'utf8')).split('\n').filter((line) => /^cpu\d* /.test(line))
    return lines.map((line) => {
      // user nice system idle iowait irq softirq steal; guest times are part of user already.
      const ticks = line.split(/\s+/).slice(1, 9).map(Number)
      const total = ticks.reduce((sum, value) => sum + value, 0)
      return { busy: total - (ticks[3] ?? 0) - (ticks[4] ?? 0), total }
    })
  }
  const cores = cpus().map(({ times }) => {
    const total = times.user + times.nice + times.sys + times.idle + times.irq
    return { busy: total - times.idle, total }
  })
  const sum = (key: 'busy' | 'total') => cores.reduce((all, core) => all + core[key], 0)
  return [{ busy: sum('busy'), total: sum('total') }, ...cores]
}

/** Percent of the time between two readings that each was busy. */
export const busyPercent = (before: CpuTimes, after: CpuTimes): number[] =>
  after.map(({ busy, total }, i) => {
    const was = before[i]
    if (!was || total <= was.total) return 0
    return round(Math.min(100, Math.max(0, ((busy - was.busy) / (total - was.total)) * 100)))
  })

/** One digit after the point. */
export const round = (value: number): number => Math.round(value * 10) / 10

type CpuFacts = Omit<SystemSnapshot['cpu'], 'usage_pct' | 'per_core_pct' | 'temp_c' | 'freq_mhz'>

/** What does not change while the process runs. */
export async function readCpuFacts(): Promise<CpuFacts> {
  const cores = cpus()
  const logical = cores.length || availableParallelism()
  const info = platform() === 'linux' ? await readFile('/proc/cpuinfo', 'utf8').catch(() => '') : ''
  const packages = [...info.matchAll(/^physical id\s*: (\d+)[\s\S]*?^core id\s*: (\d+)/gm)]
  const physical = new Set(packages.map((match) => `${match[1]}/${match[2]}`)).size
  return {
    model: cores[0]?.model.trim() || 'unknown',
    cores_physical: physical || logical,
    cores_logical: logical,
    freq_min_mhz: await kilohertz('cpuinfo_min_freq'),
    freq_max_mhz: await kilohertz('cpuinfo_max_freq'),
  }
}

/** Current clock in MHz, 0 where the system does not say. */
export const readFrequency = async (): Promise<number> =>
  (await kilohertz('scaling_cur_freq')) || Math.round(cpus()[0]?.speed ?? 0)

const kilohertz = async (name: string): Promise<number> => {
  const text = await readFile(`/sys/devices/system/cpu/cpu0/cpufreq/${name}`, 'utf8').catch(() => '0')
  return Math.round(Number(text) / 1000)
}

/** Degrees Celsius of the first sensor, or null. */
export async function readTemperature(): Promise<number | null> {
  const text = await readFile('/sys/class/thermal/thermal_zone0/temp', 'utf8').catch(() => '')
  const milli = Number(text)
  return text.trim() !== '' && Number.isFinite(milli) && milli > 0 ? round(milli / 1000) : null
}
