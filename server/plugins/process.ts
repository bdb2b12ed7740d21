import { MAX_LINE_BYTES } from '../../shared/gateway-protocol.ts'
import { type FromPlugin, parseEvent, type ToPlugin } from '../../shared/plugin-protocol.ts'
import type { Child } from '../runtime/port.ts'
import { createLineSplitter } from './lines.ts'
import type { Pace } from './pace.ts'
import { createWriter } from './writer.ts'

const MAX_LOG_LINE = 16_384
/** How long what a plugin printed before its end may take to be read. */
const DRAIN_MS = 2000
/** Nobody else waits longer than this for one plugin's lines to be read. */
const SLICE_MS = 3

/** What the reader has to know of a line that it gave away. */
export type Received = {
  /** Counted against the limit; answers to what we asked are not. */
  paced: boolean
  /** Reading goes on when it resolves. */
  wait?: Promise<void> | undefined
}

export type Ending = {
  code: number | null
  signal: string | null
  /** Why we ended it. */
  cut: string | undefined
}

export type PluginProcess = {
  readonly pid: number
  /** Begins to read; whoever is told what it says must know it by then. */
  listen(): void
  /** Queues a line; false when the plugin is behind or gone. */
  post(message: ToPlugin, options?: { must?: true }): boolean
  /** Resolves with whether there is room for a line, at the latest after `ms`. */
  room(ms: number): Promise<boolean>
  /** Whether its output waits because of us or of its own flood, so that nothing can be expected of it. */
  isHeld(): boolean
  /** Ends it at once; the reason is in `ended`. */
  cut(reason: string): void
  /** Asks it to stop, then makes it. Resolves when nothing of it is left. */
  stop(graceMs: number, killMs: number): Promise<void>
  /** When it is gone with all that it started, and what it printed before has been read. Never rejects. */
  readonly ended: Promise<Ending>
}

/** One child that speaks the protocol: stdout is read line by line, stdin written beside it, stderr is its log. */
export function createProcess(child: Child, options: {
  pace: Pace
  holdMs: () => number
  receive: (event: FromPlugin) => Received
  onLog: (text: string) => void
  /** A line that was dropped, and why. */
  onDropped: (problem: string) => void
  /** Ends what left the process group. */
  sweep: () => Promise<void>
}): PluginProcess {
  const { pace, receive, onDropped } = options
  let reason: string | undefined
  let held = false
  let gone = false

  const writer = createWriter({ child, onBroken: () => {} }) // Its end is told by `exited`.
  const watch = setInterval(() => {
    if (writer.stuckFor() > options.holdMs()) cut(`took no input for ${Math.round(options.holdMs() / 1000)} s`)
  }, 1000)
  unref(watch)

  function cut(why: string): void {
    if (gone) return
    reason ??= why
    writer.close()
    child.killGroup('SIGKILL')
  }

  /** Gives one line away; resolves when the next may be read. */
  async function take(line: string | undefined): Promise<void> {
    let paced = true
    let wait: Promise<void> | undefined
    if (line === undefined) onDropped(`a line was longer than ${MAX_LINE_BYTES} bytes`)
    else {
      const parsed = parseEvent(line)
      if (parsed.kind === 'event') ({ paced, wait } = receive(parsed.event))
      else if (parsed.kind === 'invalid') onDropped(parsed.problem)
    }
    if (wait) await holding(wait)
    if (paced) await spend(line?.length ?? 0)
  }

  async function spend(bytes: number): Promise<void> {
    const delay = pace.spend(bytes)
    if (delay === 'flood') cut('sent more messages than it may')
    else if (delay > 0) await holding(Promise.race([sleep(delay), exited]))
  }

  async function holding(wait: Promise<unknown>): Promise<void> {
    held = true
    await wait
    held = false
  }

  async function read(): Promise<void> {
    const splitter = createLineSplitter(MAX_LINE_BYTES)
    for await (const chunk of child.stdout) {
      let slice = performance.now()
      const { lines, discarded } = splitter.push(chunk)
      for (const line of lines) {
        await take(line)
        if (reason !== undefined) return
        if (performance.now() - slice > SLICE_MS) {
          await turn()
          slice = performance.now()
        }
      }
      if (discarded > 0) await spend(discarded)
    }
    const last = splitter.end()
    if (last !== undefined && reason === undefined) await take(last)
  }

  async function readLog(): Promise<void> {
    const splitter = createLineSplitter(MAX_LOG_LINE)
    for await (const chunk of child.stderr) {
      for (const line of splitter.push(chunk).lines) options.onLog(line ?? '(a line that is too long was left out)')
      await turn()
    }
    const last = splitter.end()
    if (last !== undefined) options.onLog(last)
  }

  let reading: Promise<unknown> = Promise.resolve()

  const exited = child.exited.then(async (exit) => {
    gone = true
    clearInterval(watch)
    writer.close()
    // What it started must not outlive it, nor keep its output open.
    child.killGroup('SIGKILL')
    await options.sweep()
    return exit
  })
  const ended = exited.then(async ({ code, signal }) => {
    await Promise.race([reading, sleep(DRAIN_MS)])
    return { code, signal, cut: reason }
  })

  return {
    pid: child.pid,
    listen() {
      reading = Promise.all([read(), readLog()]).catch((error: unknown) => {
        if (!gone) cut(`its output could not be read: ${(error as Error).message}`)
      })
    },
    post: (message, how) => !gone && writer.offer(JSON.stringify(message), how),
    room: (ms) => writer.room(ms),
    isHeld: () => held,
    cut,
    async stop(graceMs, killMs) {
      const wait = (ms: number) => Promise.race([exited.then(() => true), sleep(ms)])
      writer.offer(JSON.stringify({ type: 'shutdown' }), { must: true })
      if (await wait(graceMs)) return
      void child.closeStdin().catch(() => {})
      child.killGroup('SIGTERM')
      if (!await wait(killMs)) child.killGroup('SIGKILL')
      await exited
    },
    ended,
  }
}

/** Lets everybody else have a turn. */
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** False after a while; keeps no process alive. */
const sleep = (ms: number): Promise<false> => new Promise((resolve) => unref(setTimeout(resolve, ms, false)))

const unref = (timer: unknown): void => (timer as { unref?: () => void }).unref?.()
