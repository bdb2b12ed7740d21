import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { get } from 'node:http'
import { createServer } from 'node:net'
import { join } from 'node:path'
import process from 'node:process'

export type RuntimeName = 'node' | 'deno' | 'bun'

export const ROOT = join(import.meta.dirname, '..', '..')
const BINARIES = join(ROOT, 'node_modules', '.bin')
const ARGUMENTS: Record<RuntimeName, string[]> = { node: [], deno: ['run', '-A', '--no-check'], bun: [] }

/** A program under measurement. */
export type Program = {
  pid: number
  /** Milliseconds from its start to its first healthy answer. */
  startMs: number
  url: string
  /** Milliseconds of processor time so far, of all its threads; NaN without /proc. */
  cpuMs(): number
  /** Resident memory in MiB; NaN without /proc. */
  memoryMiB(): number
  stop(): Promise<void>
}

const running = new Set<ChildProcess>()
process.on('exit', () => running.forEach((child) => child.kill('SIGKILL')))

export function launch(
  runtime: RuntimeName,
  file: string,
  args: string[],
  env: Record<string, string>,
  stdout: 'pipe' | 'ignore',
): ChildProcess {
  const child = spawn(join(BINARIES, runtime), [...ARGUMENTS[runtime], join(ROOT, file), ...args], {
    stdio: ['ignore', stdout, 'inherit'],
    env: { PATH: `${BINARIES}:${process.env.PATH ?? ''}`, HOME: process.env.HOME ?? '', ...env },
  })
  running.add(child)
  child.once('exit', () => running.delete(child))
  return child
}

/** Starts a program that listens on `PORT` and waits until `health` answers 200. */
export async function startProgram(
  { runtime, file, args = [], env = {}, health }: {
    runtime: RuntimeName
    file: string
    args?: string[]
    env?: Record<string, string>
    health: string
  },
): Promise<Program> {
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const begin = performance.now()
  const child = launch(runtime, file, args, { ...env, HOST: '127.0.0.1', PORT: String(port) }, 'ignore')
  const exited = once(child, 'exit')
  while (await statusOf(url + health) !== 200) {
    if (child.exitCode !== null) throw new Error(`${runtime} ${file} ended with ${child.exitCode}`)
    if (performance.now() - begin > 30_000) throw new Error(`${runtime} ${file} was not healthy within 30 s`)
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
  const startMs = performance.now() - begin
  const pid = child.pid!
  return {
    pid,
    startMs,
    url,
    cpuMs: () => cpuOf(pid),
    memoryMiB: () => memoryOf(pid),
    async stop() {
      child.kill('SIGTERM')
      const late = setTimeout(() => child.kill('SIGKILL'), 8000)
      await exited
      clearTimeout(late)
    },
  }
}

function statusOf(url: string): Promise<number> {
  return new Promise((resolve) => {
    const request = get(url, { agent: false }, (response) => {
      response.resume()
      resolve(response.statusCode ?? 0)
    })
    request.on('error', () => resolve(0))
  })
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  return port
}

/** Clock ticks of Linux are 10 ms. */
const TICK_MS = 10

function cpuOf(pid: number): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The name in brackets may hold spaces; user and system time are fields 14 and 15.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return (Number(fields[11]) + Number(fields[12])) * TICK_MS
  } catch {
    return NaN
  }
}

function memoryOf(pid: number): number {
  try {
    return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024
  } catch {
    return NaN
  }
}
