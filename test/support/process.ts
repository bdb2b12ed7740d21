import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import process from 'node:process'
import { OWNER_TOKEN } from './app.ts'

const MAIN = join(import.meta.dirname, '..', '..', 'server', 'main.ts')
const RUN = process.versions.deno ? ['run', '-A', '--no-check', MAIN] : [MAIN]

export type ServerOptions = {
  home: string
  /** Beside the owner's token and a free port. */
  env?: Record<string, string>
}

/** How a process ended, and everything that it said. */
export type Ended = { code: number | null; signal: string | null; output: string }

export type ServerProcess = {
  /** `http://127.0.0.1:PORT` */
  url: string
  pid: number
  /** Everything said so far on stdout and stderr. */
  output(): string
  /** A request as the owner; `json` is sent as the body. */
  request(path: string, init?: RequestInit & { json?: unknown }): Promise<Response>
  exited: Promise<Ended>
  /** `kill -9`; resolves when the process is gone. */
  kill(): Promise<Ended>
  /** SIGTERM; resolves when the process is gone. */
  stop(): Promise<Ended>
  /** Resident memory in bytes; 0 where /proc does not exist. */
  memory(): Promise<number>
}

/** Starts the real server on a home; throws with what it said when it ends before it listens. */
export async function startServer({ home, env = {} }: ServerOptions): Promise<ServerProcess> {
  const { child, output, exited } = launch({ home, env })
  const url = await new Promise<string>((resolve, reject) => {
    const look = (): void => {
      const address = /Gatehouse is ready\s+address\s+(\S+)/.exec(output())?.[1]
      if (address) resolve(address)
    }
    child.stdout!.on('data', look)
    void exited.then((end) => reject(new Error(`The server ended with ${end.code ?? end.signal}: ${end.output}`)))
  })
  const end = async (signal: NodeJS.Signals): Promise<Ended> => {
    child.kill(signal)
    return await exited
  }
  return {
    url,
    pid: child.pid!,
    output,
    exited,
    kill: () => end('SIGKILL'),
    stop: () => end('SIGTERM'),
    request: (path, { json, ...init } = {}) =>
      fetch(url + path, {
        ...init,
        ...(json === undefined ? {} : { method: init.method ?? 'POST', body: JSON.stringify(json) }),
        headers: {
          authorization: `Bearer ${OWNER_TOKEN}`,
          ...(json === undefined ? {} : { 'content-type': 'application/json' }),
          ...init.headers as Record<string, string> | undefined,
        },
      }),
    async memory() {
      const status = await readFile(`/proc/${child.pid}/status`, 'utf8').catch(() => '')
      return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1] ?? 0) * 1024
    },
  }
}

/** Runs the server until it ends by itself, as one that can't start does, or until it is killed. */
export async function runServer(options: ServerOptions & { killAfterMs?: number }): Promise<Ended> {
  const { child, exited } = launch(options)
  const timer = options.killAfterMs === undefined
    ? undefined
    : setTimeout(() => child.kill('SIGKILL'), options.killAfterMs)
  const ended = await exited
  clearTimeout(timer)
  return ended
}

const running = new Set<ChildProcess>()
process.on('exit', () => running.forEach((child) => child.kill('SIGKILL')))

function launch({ home, env = {} }: ServerOptions) {
  const child = spawn(process.execPath, RUN, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      PATH: process.env.PATH ?? '',
      HOME: home,
      GATEHOUSE_HOME: home,
      GATEHOUSE_TOKEN: OWNER_TOKEN,
      HOST: '127.0.0.1',
      PORT: '0',
      // No provider may be found on the machine that runs the tests.
      OLLAMA_HOST: 'http://127.0.0.1:9',
      ...env,
    },
  })
  running.add(child)
  const chunks: string[] = []
  child.stdout.setEncoding('utf8').on('data', (text: string) => chunks.push(text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => chunks.push(text))
  const output = (): string => chunks.join('')
  const exited = once(child, 'close').then(([code, signal]): Ended => {
    running.delete(child)
    return { code: code as number | null, signal: signal as string | null, output: output() }
  })
  return { child, output, exited }
}
