import { readdir, readFile } from 'node:fs/promises'
import type { ProcessUse } from '../../shared/system.ts'
import { round } from './cpu.ts'

/** One reading of a process; `key` tells it from a later one with the same id. */
type Reading = { key: string; pid: number; name: string; state: string; ticks: number; threads: number }

/** Readings of all processes at a moment, in milliseconds of `performance.now()`. */
export type ProcessTimes = { at: number; readings: Reading[] }

const SHOWN = 25
/** Linux counts in hundredths of a second on every machine that matters. */
const TICKS_PER_SECOND = 100
const AT_ONCE = 32

/** Empty where there is no /proc. */
export async function readProcesses(): Promise<ProcessTimes> {
  const pids = (await readdir('/proc').catch(() => [])).filter((name) => /^\d+$/.test(name))
  const readings: Reading[] = []
  for (let i = 0; i < pids.length; i += AT_ONCE) {
    const some = await Promise.all(pids.slice(i, i + AT_ONCE).map(readOne))
    for (const reading of some) if (reading) readings.push(reading)
  }
  return { at: performance.now(), readings }
}

/** The processes that used most of the processor between two readings. */
export async function busiest(before: ProcessTimes, after: ProcessTimes): Promise<ProcessUse[]> {
  const was = new Map(before.readings.map((reading) => [reading.key, reading.ticks]))
  const seconds = Math.max(0.001, (after.at - before.at) / 1000)
  const used = after.readings.map((reading) => {
    const ticks = reading.ticks - (was.get(reading.key) ?? reading.ticks)
    return { ...reading, cpu: round((ticks / TICKS_PER_SECOND / seconds) * 100) }
  })
  used.sort((a, b) => b.cpu - a.cpu || b.ticks - a.ticks)
  const names = await userNames()
  return Promise.all(
    used.slice(0, SHOWN).map(async ({ pid, name, cpu, threads, state }) => {
      const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '')
      const uid = /^Uid:\s+(\d+)/m.exec(status)?.[1] ?? ''
      return {
        pid,
        name,
        user: names.get(uid) ?? uid,
        cpu_pct: cpu,
        rss_bytes: Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) * 1024,
        threads,
        status: STATES[state] ?? state,
      }
    }),
  )
}

const STATES: Record<string, string> = {
  R: 'running',
  S: 'sleeping',
  D: 'disk-sleep',
  Z: 'zombie',
  T: 'stopped',
  t: 'tracing-stop',
  I: 'idle',
  X: 'dead',
}

async function readOne(pid: string): Promise<Reading | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
  // The name stands in parentheses and may itself hold spaces and parentheses.
  const end = text.lastIndexOf(')')
  if (end < 0) return undefined
  const name = text.slice(text.indexOf('(') + 1, end)
  const rest = text.slice(end + 2).split(' ')
  const ticks = Number(rest[11]) + Number(rest[12])
  return { key: `${pid}@${rest[19]}`, pid: Number(pid), name, state: rest[0] ?? '', ticks, threads: Number(rest[17]) }
}

let names: Promise<Map<string, string>> | undefined

const userNames = (): Promise<Map<string, string>> =>
  names ??= readFile('/etc/passwd', 'utf8').then(
    (text) => new Map(text.split('\n').map((line) => line.split(':')).map(([name = '', , uid = '']) => [uid, name])),
    () => new Map(),
  )
