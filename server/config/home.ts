import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import type { Environment } from './environment.ts'

/** The home folder: `--home`, `GATEHOUSE_HOME`, or the XDG data folder. */
export function homeOf(env: Environment, flag: unknown): string {
  if (typeof flag === 'string' && flag !== '') return resolve(flag)
  if (env.GATEHOUSE_HOME) return resolve(env.GATEHOUSE_HOME)
  return join(env.XDG_DATA_HOME || join(homedir(), '.local', 'share'), 'gatehouse')
}
