import process from 'node:process'
import { setTimeout as pause } from 'node:timers/promises'
import type { Command } from './command.ts'
import { CliError, EXIT } from './exit-codes.ts'
import { isAlive, readRunFile, type RunFile } from './run-file.ts'

/** A server finishes what is under way in ten seconds at most. */
const PATIENCE_MS = 15_000
/** A server that is busy still answers within this. */
const ANSWER_MS = 5000

export const stop: Command = {
  name: 'stop',
  summary: 'Stop the server of this home; what is under way is finished or kept',
  run: async ({ home, out }) => {
    const running = await readRunFile(home)
    if (!running) throw new CliError(EXIT.noServer, `No server runs on ${home}`)
    if (!await isOurs(running)) {
      const why = `The process ${running.pid} does not answer at ${running.url} as the server of ${home}`
      throw new CliError(EXIT.noServer, `${why}. If it is that server and hangs, end it with: kill ${running.pid}`)
    }
    process.kill(running.pid, 'SIGTERM')
    for (const end = Date.now() + PATIENCE_MS; Date.now() < end;) {
      await pause(50)
      if (isAlive(running.pid)) continue
      return out.show({ stopped: true, pid: running.pid }, () => out.print(`Stopped the server at ${running.url}`))
    }
    throw new CliError(EXIT.failed, `The process ${running.pid} has not stopped after ${PATIENCE_MS / 1000} s`)
  },
}

/** After a crash the number may belong to any other program; only the server itself takes the key of its run. */
const isOurs = ({ url, token }: RunFile): Promise<boolean> =>
  fetch(`${url}/api/auth/me`, {
    headers: { authorization: `Bearer ${token}` },
    signal: AbortSignal.timeout(ANSWER_MS),
  }).then((response) => response.ok, () => false)
