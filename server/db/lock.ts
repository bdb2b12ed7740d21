import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import Database from 'libsql'
import { DatabaseRefused } from './migrate.ts'

/** Held until `release`, or until the process ends in whatever way. */
export type HomeLock = { release(): void }

/** Locks that this process holds: what is not referenced would be closed, and so unlocked, with garbage. */
const held = new Set<HomeLock>()

type Owner = { pid: number; started: string }

/**
 * Makes this process the only one on a home folder; throws `DatabaseRefused` that names the other one.
 *
 * The lock is the operating system's, taken by SQLite on the file `.lock`: of two starts at once exactly one wins, it
 * holds across runtimes and pid namespaces, and the kernel drops it with its process, so a lock is never stale.
 * Don't open `.lock` in this process (backups skip it): closing any handle of a file drops POSIX locks. As a second
 * line against that, the pid that `.lock.pid` names must not be alive.
 */
export async function lockHome(home: string): Promise<HomeLock> {
  const pidFile = join(home, '.lock.pid')
  const db = new Database(join(home, '.lock'), { timeout: 0 })
  try {
    db.exec('begin exclusive')
  } catch (error) {
    db.close()
    if ((error as { code?: string }).code !== 'SQLITE_BUSY') throw error
    throw refusal(home, await ownerOf(pidFile))
  }
  const other = await ownerOf(pidFile)
  if (other && other.pid !== process.pid && isSameProcess(other)) {
    db.close()
    throw refusal(home, other)
  }
  writeFileSync(pidFile, JSON.stringify({ pid: process.pid, started: startOf(process.pid) ?? '' }), { mode: 0o600 })
  const lock = {
    release: () => {
      if (!held.delete(lock)) return
      rmSync(pidFile, { force: true })
      db.close()
    },
  }
  held.add(lock)
  return lock
}

function refusal(home: string, owner: Owner | undefined): DatabaseRefused {
  const who = owner ? `the process ${owner.pid}` : 'another process'
  return new DatabaseRefused(`${home} is in use by ${who}. Stop it first, or start with another home folder.`)
}

async function ownerOf(pidFile: string): Promise<Owner | undefined> {
  try {
    const { pid, started } = JSON.parse(await readFile(pidFile, 'utf8')) as Partial<Owner>
    return Number.isInteger(pid) ? { pid: pid!, started: String(started ?? '') } : undefined
  } catch {
    return undefined
  }
}

/** Only where /proc tells a process from a later one with the same number; elsewhere the file lock alone decides. */
const isSameProcess = ({ pid, started }: Owner): boolean => started !== '' && startOf(pid) === started

/** When a process started, in clock ticks since boot; undefined for zombies, dead ones, and without /proc. */
function startOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The name in brackets may hold spaces and brackets; after it come state (field 3) … start time (field 22).
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19]
  } catch {
    return undefined
  }
}
