import { mkdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import process from 'node:process'
import { writeAtomic } from '../config/file.ts'

/** What a running server leaves in its home, so that the terminal of the same account needs no set-up. */
export type RunFile = {
  /** How programs on this machine reach it. */
  url: string
  pid: number
  version: string
  /** Epoch seconds. */
  started_at: number
  /** The owner's credential for this run; the server keeps it in memory only. */
  token: string
}

const runFilePath = (home: string): string => join(home, 'run', 'server.json')

/** Readable by the owner of the home only, whatever was there before. */
export async function writeRunFile(home: string, content: RunFile): Promise<void> {
  const path = runFilePath(home)
  await mkdir(join(home, 'run'), { recursive: true, mode: 0o700 })
  await rm(path, { force: true })
  await writeAtomic(path, JSON.stringify(content))
}

export const removeRunFile = (home: string): Promise<void> => rm(runFilePath(home), { force: true })

/** What the server of this home wrote; undefined when none runs, also when one was killed and left its file. */
export async function readRunFile(home: string): Promise<RunFile | undefined> {
  try {
    const content = JSON.parse(await readFile(runFilePath(home), 'utf8')) as Partial<RunFile>
    const { url, pid, token, version = '', started_at = 0 } = content
    if (typeof url !== 'string' || typeof token !== 'string' || !Number.isInteger(pid)) return undefined
    return isAlive(pid!) ? { url, pid: pid!, token, version, started_at } : undefined
  } catch {
    return undefined
  }
}

/** Whether a process with this number runs, also one of another account. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
