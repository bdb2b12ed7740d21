import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import process from 'node:process'

const MAIN = join(import.meta.dirname, '..', '..', 'server', 'main.ts')
const RUN = process.versions.deno ? ['run', '-A', '--no-check', MAIN] : [MAIN]

/** How a command ended, and what it said. */
export type CliResult = { code: number | null; stdout: string; stderr: string }

/** A command of the terminal client that runs. */
export type CliProcess = {
  /** Types a line. */
  type(line: string): void
  endInput(): void
  interrupt(): void
  /** Resolves when stdout, or stderr, has this text. */
  says(text: string): Promise<void>
  stdout(): string
  ended: Promise<CliResult>
}

const PATIENCE_MS = 30_000

const running = new Set<ChildProcess>()
process.on('exit', () => running.forEach((child) => child.kill('SIGKILL')))

/** Starts `gatehouse …` on the runtime that runs the tests, with nothing of this machine's own environment. */
export function startCli(
  args: string[],
  { home, env = {} }: { home: string; env?: Record<string, string> },
): CliProcess {
  const child = spawn(process.execPath, [...RUN, ...args], {
    stdio: 'pipe',
    env: { PATH: process.env.PATH ?? '', HOME: home, GATEHOUSE_HOME: home, OLLAMA_HOST: 'http://127.0.0.1:9', ...env },
  })
  running.add(child)
  const said = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (text: string) => (said[name] += text))
  }
  // The command may end before it has read everything.
  child.stdin.on('error', () => undefined)
  const ended = once(child, 'close').then(([code]): CliResult => {
    running.delete(child)
    return { code: code as number | null, ...said }
  })
  return {
    ended,
    type: (line) => void child.stdin.write(`${line}\n`),
    endInput: () => void child.stdin.end(),
    // `child.kill` of Deno closes the pipes as well.
    interrupt: () => void process.kill(child.pid!, 'SIGINT'),
    stdout: () => said.stdout,
    async says(text) {
      const end = Date.now() + PATIENCE_MS
      while (!said.stdout.includes(text) && !said.stderr.includes(text)) {
        if (Date.now() > end || child.exitCode !== null) throw new Error(`"${text}" is not in ${JSON.stringify(said)}`)
        await new Promise((resolve) => setTimeout(resolve, 20))
      }
    },
  }
}

/** Runs a command to its end; `input` is what stands on stdin. */
export function runCli(
  args: string[],
  { input = '', ...options }: { home: string; env?: Record<string, string>; input?: string },
): Promise<CliResult> {
  const command = startCli(args, options)
  if (input !== '') command.type(input)
  command.endInput()
  return command.ended
}
