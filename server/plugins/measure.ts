import { Buffer } from 'node:buffer'
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import process from 'node:process'
import { promisify } from 'node:util'

/** What a process and everything that it started take. */
export type Measured = { bytes: number; processes: number }

type Row = { pid: number; parent: number; group: number; bytes: number }

/**
 * Memory and number of processes by the leader's pid: its process group, and what left the group and still is its
 * child. Nothing where neither `/proc` nor `ps` is.
 */
export async function measure(leaders: readonly number[]): Promise<Map<number, Measured>> {
  const found = new Map<number, Measured>()
  if (leaders.length === 0) return found
  const rows = process.platform === 'linux' ? await fromProc() : await fromPs()
  const byPid = new Map(rows.map((row) => [row.pid, row]))
  const wanted = new Set(leaders)
  const leaderOf = ({ pid, parent, group }: Row): number | undefined => {
    if (wanted.has(group)) return group
    for (let depth = 0, at = pid, up = parent; depth < 50 && at > 1; depth++) {
      if (wanted.has(at)) return at
      at = up
      up = byPid.get(at)?.parent ?? 0
    }
    return undefined
  }
  for (const row of rows) {
    const leader = leaderOf(row)
    if (leader === undefined) continue
    const sum = found.get(leader) ?? { bytes: 0, processes: 0 }
    found.set(leader, { bytes: sum.bytes + row.bytes, processes: sum.processes + 1 })
  }
  return found
}

/** 4096 on most machines; some with ARM have larger ones. */
let pageBytes: number | undefined

/** Files that are read before somebody else has a turn; each takes a hundredth of a millisecond. */
const SLICE = 50

/** Read at once and not awaited: `/proc` is no disk, and waiting costs ten times as much as reading. */
async function fromProc(): Promise<Row[]> {
  const rows: Row[] = []
  pageBytes ??= pageBytesOf('/proc/self/auxv')
  const names = (await readdir('/proc').catch(() => [])).filter((name) => /^\d+$/.test(name))
  for (const [index, name] of names.entries()) {
    if (index % SLICE === SLICE - 1) await new Promise((resolve) => setImmediate(resolve))
    const text = textOf(`/proc/${name}/stat`)
    // The name of the program stands in parentheses and may hold anything.
    const [state, parent, group, ...rest] = text.slice(text.lastIndexOf(')') + 2).split(' ')
    if (!group || state === 'Z') continue
    const pages = Number(rest[18])
    rows.push({ pid: Number(name), parent: Number(parent), group: Number(group), bytes: pages * pageBytes })
  }
  return rows
}

/** What the kernel told a process at its start, in pairs of a key and a value; 6 is the size of a page. */
function pageBytesOf(file: string): number {
  const told = Buffer.from(textOf(file), 'latin1')
  for (let at = 0; at + 16 <= told.length; at += 16) {
    if (told.readBigUInt64LE(at) === 6n) return Number(told.readBigUInt64LE(at + 8))
  }
  return 4096
}

/** Empty when the process ended meanwhile. */
function textOf(path: string): string {
  try {
    return readFileSync(path, 'latin1')
  } catch {
    return ''
  }
}

async function fromPs(): Promise<Row[]> {
  const run = promisify(execFile)
  const { stdout } = await run('ps', ['-A', '-o', 'pid=,ppid=,pgid=,rss=']).catch(() => ({ stdout: '' }))
  return stdout.trim().split('\n').filter(Boolean).map((line) => {
    const [pid = 0, parent = 0, group = 0, kilobytes = 0] = line.trim().split(/\s+/).map(Number)
    return { pid, parent, group, bytes: kilobytes * 1024 }
  })
}
