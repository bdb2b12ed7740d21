import process from 'node:process'
import type { Environment } from '../config/environment.ts'

/** Runs one command of the terminal client; resolves with the exit code. */
export function run(args: string[], _env: Environment): Promise<number> {
  process.stderr.write(`gatehouse: there is no command "${args[0]}"\n`)
  return Promise.resolve(2)
}
