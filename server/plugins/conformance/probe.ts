import { type ParsedLine, parseEvent } from '../../../shared/plugin-protocol.ts'
import type { Child, Runtime } from '../../runtime/port.ts'
import { createLineSplitter } from '../lines.ts'
import { MAX_KEYS } from '../state.ts'

/** Anything that is written to a plugin: what it makes of nonsense is tested too. */
export type Sent = Record<string, unknown>

type Event = Extract<ParsedLine, { kind: 'event' }>['event']
type EventOf<T extends Event['type']> = Extract<Event, { type: T }>
type Answer = EventOf<'command_ok' | 'command_error' | 'pong'>

/** How a process ended, and how long it took since `since`. */
export type Ended = { code: number | null; signal: string | null }

export type ProbeOptions = {
  runtime: Runtime
  command: string
  args: string[]
  cwd?: string | undefined
  env: Record<string, string>
  /** The first record, for plugins that speak our extension. */
  configure?: Sent | undefined
  /** What it kept before, and where it keeps; a later probe of the same plugin takes it up. */
  state?: Map<string, unknown> | undefined
}

/** A plugin under test, with a core at the other end that keeps its state and notes everything that it says. */
export type Probe = Awaited<ReturnType<typeof startProbe>>

const PATIENCE_MS = 30_000
/** Kept of stderr. */
const MAX_STDERR = 100_000

/** Starts the plugin. Throws when its program does not exist. */
export async function startProbe(options: ProbeOptions) {
  const { runtime, command, args, cwd, env, configure } = options
  const child = await runtime.spawn(command, args, { env, ...(cwd ? { cwd } : {}) })
  const encoder = new TextEncoder()
  const events: Event[] = []
  const problems: string[] = []
  const unknown: string[] = []
  const waiters = new Set<() => void>()
  const state = options.state ?? new Map<string, unknown>()
  let stderr = ''
  let ended: Ended | undefined
  const news = (): void => waiters.forEach((look) => look())
  const exited = child.exited.then((end) => {
    ended = end
    news()
    return end
  })

  let midLine = false
  const held: Sent[] = []
  /** What can't be written any more is missed by whoever waits for the answer, who can say why. */
  const put = (text: string): Promise<void> => child.write(encoder.encode(text)).catch(() => {})

  /** Text that may stop within a line; answers of ours wait for its end. */
  function write(text: string): Promise<void> {
    midLine = !text.endsWith('\n')
    const written = put(text)
    if (!midLine) { for (const record of held.splice(0)) answer(record) }
    return written
  }

  const send = (record: Sent): Promise<void> => write(`${JSON.stringify(record)}\n`)

  function answer(record: Sent): void {
    if (midLine) held.push(record)
    else void put(`${JSON.stringify(record)}\n`)
  }

  const reading = (async () => {
    for await (const line of linesOf(child.stdout)) {
      const parsed = parseEvent(line)
      if (parsed.kind === 'invalid') problems.push(`${parsed.problem}: ${line.slice(0, 200)}`)
      else if (parsed.kind === 'unknown') unknown.push(parsed.type)
      else {
        events.push(parsed.event)
        const stored = stateAnswer(state, parsed.event)
        if (stored) answer(stored)
      }
      news()
    }
  })()
  const listening = (async () => {
    const decoder = new TextDecoder()
    for await (const chunk of child.stderr) {
      if (stderr.length < MAX_STDERR) stderr += decoder.decode(chunk, { stream: true })
    }
  })()
  // Both end with the process; on some runtimes by an error.
  reading.catch(() => {})
  listening.catch(() => {})

  if (configure) await send(configure)

  /** Resolves with what `find` finds, as soon as it does; undefined when time is up or the plugin ended. */
  async function until<T>(find: () => T | undefined, ms = PATIENCE_MS): Promise<T | undefined> {
    const found = find()
    if (found !== undefined) return found
    return await new Promise((resolve) => {
      const end = (value: T | undefined): void => {
        clearTimeout(timer)
        waiters.delete(look)
        resolve(value)
      }
      const look = (): void => {
        const value = find()
        if (value !== undefined) end(value)
        // What it wrote before its end may still be on the way.
        else if (ended) void reading.catch(() => {}).then(() => end(find()))
      }
      const timer = setTimeout(() => end(undefined), ms)
      waiters.add(look)
      look()
    })
  }

  return {
    pid: child.pid,
    events,
    /** Lines of stdout that are no valid record, and why. */
    problems,
    /** Types of records that the protocol does not know. */
    unknown,
    stderr: () => stderr,
    ended: () => ended,
    exited,
    send,
    write,
    until,

    /** The first event of a type, from the `from`th event on, that fulfils `is`. */
    event<T extends Event['type']>(type: T, is: (event: EventOf<T>) => boolean = () => true, ms?: number, from = 0) {
      return until(
        () => events.slice(from).find((event): event is EventOf<T> => event.type === type && is(event as EventOf<T>)),
        ms,
      )
    },

    /** Sends a command and waits for its answer. */
    async ask(record: Sent & { request_id: string }, ms?: number) {
      await send(record)
      return await until(
        () => events.find((event): event is Answer => isAnswer(event) && event.request_id === record.request_id),
        ms,
      )
    },

    endInput: () => child.closeStdin(),
    terminate: () => child.kill('SIGTERM'),

    /** Ends it with everything that it started. */
    async kill(): Promise<void> {
      child.killGroup('SIGKILL')
      await exited
      child.killGroup('SIGKILL')
      await Promise.all([reading, listening].map((stream) => stream.catch(() => {})))
    },
  }
}

const ANSWERS = new Set(['command_ok', 'command_error', 'pong'])

const isAnswer = (event: Event): event is Answer => ANSWERS.has(event.type)

/** What a core that keeps a plugin's state answers. */
function stateAnswer(state: Map<string, unknown>, event: Event): Sent | undefined {
  switch (event.type) {
    case 'state_get':
      return { type: 'state_ok', request_id: event.request_id, value: state.get(event.key) ?? null }
    case 'state_set':
      if (state.size >= MAX_KEYS && !state.has(event.key)) {
        return { type: 'state_failed', request_id: event.request_id, code: 'too_many', message: 'There are too many' }
      }
      state.set(event.key, event.value)
      return { type: 'state_ok', request_id: event.request_id }
    case 'state_delete':
      state.delete(event.key)
      return { type: 'state_ok', request_id: event.request_id }
    case 'state_list': {
      const keys = [...state.keys()].filter((key) => key.startsWith(event.prefix ?? '')).sort()
      return { type: 'state_ok', request_id: event.request_id, keys }
    }
    default:
      return undefined
  }
}

/** Lines of any length; a plugin that never ends one is ended by the patience of the test. */
async function* linesOf(stream: Child['stdout']): AsyncGenerator<string> {
  const splitter = createLineSplitter(Infinity)
  for await (const chunk of stream) yield* splitter.push(chunk).lines as string[]
  const last = splitter.end()
  if (last !== undefined) yield last
}
