import process from 'node:process'
import { setTimeout as pause } from 'node:timers/promises'
import type { Command } from './command.ts'
import { CliError, EXIT } from './exit-codes.ts'
import { isAlive, readRunFile } from './run-file.ts'

/** A server finishes what is under way in ten seconds at most. */
const PATIENCE_MS = 15_000

export const stop: Command = {
  name: 'stop',
  summary: 'Stop the server of this home; what is under way is finished or kept',
  run: async ({ home, out }) => {
    const running = await readRunFile(home)
    if (!running) throw new CliError(EXIT.noServer, `No server runs on ${home}`)
    process.kill(running.pid, 'SIGTERM')
    for (const end = Date.now() + PATIENCE_MS; Date.now() < end;) {
      await pause(50)
      if (isAlive(running.pid)) continue
      return out.show({ stopped: true, pid: running.pid }, () => out.print(`Stopped the server at ${running.url}`))
    }
    throw new CliError(EXIT.failed, `The process ${running.pid} has not stopped after ${PATIENCE_MS / 1000} s`)
  },
}
