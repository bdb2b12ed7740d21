import { mkdir, readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import type { Environment } from '../config/environment.ts'
import { writeAtomic } from '../config/file.ts'

/** Lines that are kept. */
export const HISTORY_LENGTH = 1000

const pathOf = (env: Environment): string =>
  join(env.XDG_STATE_HOME || join(homedir(), '.local', 'state'), 'gatehouse', 'history')

/** What was typed before, newest first. */
export async function readHistory(env: Environment): Promise<string[]> {
  const text = await readFile(pathOf(env), 'utf8').catch(() => '')
  return text.split('\n').filter(Boolean).reverse().slice(0, HISTORY_LENGTH)
}

/** Keeps the newest lines, readable by their owner only; a folder that can't be written costs only the history. */
export async function writeHistory(env: Environment, newestFirst: readonly string[]): Promise<void> {
  const path = pathOf(env)
  const text = newestFirst.slice(0, HISTORY_LENGTH).reverse().map((line) => `${line}\n`).join('')
  await mkdir(dirname(path), { recursive: true, mode: 0o700 }).then(() => writeAtomic(path, text)).catch(() =>
    undefined
  )
}
