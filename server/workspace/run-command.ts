import { randomUUID } from 'node:crypto'
import { mkdir, readdir, readFile } from 'node:fs/promises'
import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import { AppError } from '../errors.ts'
import type { Child, Runtime } from '../runtime/port.ts'
import { createOutput } from './output.ts'

/** Marks a command's processes, also those that left its process group. */
const MARK = 'GATEHOUSE_COMMAND'
/** How long a program may take to end after it was asked to. */
const GRACE_MS = 1000
/** How long its last words may take after it ended. */
const DRAIN_MS = 500

export type CommandLimits = { timeout_ms: number; max_output_bytes: number }

export type CommandResult = {
  exit_code: number | null
  signal?: string
  timed_out?: true
  output: string
  cut_bytes?: number
  duration_ms: number
}

/**
 * Runs one command in `cwd`, with nothing of our own environment but `path`. When it ends, is out of time or is called
 * off, everything that it started ends with it. `onOutput` gets what it says as it says it.
 */
export async function runCommand(
  of: { runtime: Pick<Runtime, 'spawn'>; cwd: string; path: string | undefined },
  command: string,
  limits: CommandLimits,
  signal: AbortSignal,
  onOutput: (bytes: Uint8Array) => void = () => {},
): Promise<CommandResult> {
  const started = Date.now()
  const mark = randomUUID()
  const env = {
    PATH: of.path ?? '/usr/local/bin:/usr/bin:/bin',
    HOME: of.cwd,
    LANG: 'C.UTF-8',
    TERM: 'dumb',
    [MARK]: mark,
  }
  await mkdir(of.cwd, { recursive: true })
  signal.throwIfAborted()
  const child = await shell(of.runtime, command, { cwd: of.cwd, env })
  void child.closeStdin().catch(() => {})
  const output = createOutput(limits.max_output_bytes)
  const add = (bytes: Uint8Array): void => {
    output.add(bytes)
    onOutput(bytes)
  }
  const read = Promise.all([collect(child.stdout, add), collect(child.stderr, add)])

  const timeout = AbortSignal.timeout(limits.timeout_ms)
  const ended = await Promise.race([child.exited, aborted(AbortSignal.any([signal, timeout]))])
  if (!ended) {
    child.killGroup('SIGTERM')
    await Promise.race([child.exited, sleep(GRACE_MS, undefined, { ref: false })])
  }
  await killAll(child, mark)
  await Promise.race([read, sleep(DRAIN_MS)])
  signal.throwIfAborted()

  const { text, cut_bytes } = output.text()
  return {
    exit_code: ended?.code ?? null,
    ...(ended?.signal ? { signal: ended.signal } : {}),
    ...(ended ? {} : { timed_out: true as const }),
    output: text,
    ...(cut_bytes > 0 ? { cut_bytes } : {}),
    duration_ms: Date.now() - started,
  }
}

/** By bash and nothing else: the gate judges its grammar, and another shell may read the same text differently. */
async function shell(
  runtime: Pick<Runtime, 'spawn'>,
  command: string,
  options: { cwd: string; env: Record<string, string> },
): Promise<Child> {
  try {
    return await runtime.spawn('bash', ['--noprofile', '--norc', '-c', command], options)
  } catch (error) {
    if ((error as { code?: string }).code !== 'ENOENT') throw error
    throw new AppError('unavailable', 'Commands need bash, which is not on this machine. Install it and try again.')
  }
}

async function collect(stream: AsyncIterable<Uint8Array>, add: (bytes: Uint8Array) => void): Promise<void> {
  try {
    for await (const bytes of stream) add(bytes)
  } catch { /* the pipe broke with the program: what was read counts */ }
}

const aborted = (signal: AbortSignal): Promise<undefined> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve(undefined)
    else signal.addEventListener('abort', () => resolve(undefined), { once: true })
  })

/** The group, then what made a group of its own; twice, for a process may have started another meanwhile. */
async function killAll(child: Child, mark: string): Promise<void> {
  child.killGroup('SIGKILL')
  for (let round = 0; round < 5; round++) {
    const left = await marked(mark)
    if (left.length === 0) return
    for (const pid of left) {
      try {
        process.kill(pid, 'SIGKILL')
      } catch { /* gone meanwhile */ }
    }
    await sleep(10)
  }
}

/** Processes whose environment carries the mark. Only Linux tells; elsewhere the group is all that is known. */
async function marked(mark: string): Promise<number[]> {
  const pids = (await readdir('/proc').catch(() => [])).filter((name) => /^\d+$/.test(name))
  const found = await Promise.all(pids.map(async (pid) => {
    const environment = await readFile(`/proc/${pid}/environ`, 'latin1').catch(() => '')
    return environment.includes(`${MARK}=${mark}`) ? [Number(pid)] : []
  }))
  return found.flat()
}
