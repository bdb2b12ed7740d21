import { ulid } from 'ulid'
import type { Manifest } from '../../shared/plugin-manifest.ts'
import {
  type CapabilityCommand,
  type FromPlugin,
  PLUGIN_PROTOCOL,
  type ToPlugin,
} from '../../shared/plugin-protocol.ts'
import type { PluginSettings } from '../../shared/plugin-settings.ts'
import { createCalls } from './calls.ts'
import { createCapabilities, type Registration } from './capabilities.ts'
import { createDemand } from './demand.ts'
import { createEventQueue, type EventQueue } from './event-queue.ts'
import { type Gateway, GatewayError, type GatewayNews, type Ready, type Status } from './gateway.ts'
import type { Journal } from './journal.ts'
import { presentable } from './presentable.ts'
import type { PluginProcess, Received } from './process.ts'
import { createRequests } from './requests.ts'
import type { StateEvent } from './state.ts'
import { createSupervisor, type RestartPolicy } from './supervisor.ts'

/** How long a command may wait for room in the queue of a plugin that is behind. */
const ROOM_MS = 2000

/** After the last registration, until all are kept. */
const KEEP_MS = 500

/** Milliseconds between tries to keep what a plugin said. */
const RETRY_MS = [100, 1000, 3000]

/** One process of the plugin, and what it said that waits to be handled. */
type Run = { process: PluginProcess | undefined; queue: EventQueue<GatewayNews | StateEvent>; failed: boolean }

export type Unit = ReturnType<typeof createUnit>

/** One plugin under one name: its process, what waits for its answers, what it registered. */
export function createUnit(deps: {
  name: string
  /** Undefined for a bare command. */
  manifest: () => Manifest | undefined
  policy: () => RestartPolicy
  settings: () => PluginSettings
  /** Starts its program and gives away what it says. */
  open: (receive: (event: FromPlugin) => Received) => Promise<{ process: PluginProcess; configure?: CapabilityCommand }>
  onEvent: (gateway: Gateway, event: GatewayNews) => Promise<void>
  onState: (unit: Unit) => void
  onQuarantine: (name: string, message: string) => void
  /** Whether it sleeps until it is called. */
  isOnDemand: () => boolean
  /** What it registered, to be known when it does not run. */
  keep: (registrations: Registration[]) => void
  /** Answers what the plugin asks of its store. */
  state: (event: StateEvent) => Promise<CapabilityCommand>
  /** The folder through which it passes files; left out where there is none. */
  dataDir?: () => string | undefined
  journal: Journal
  now: () => number
}) {
  const { name, settings, journal } = deps
  const counters = { events: 0, commands: 0, dropped: 0, calls: 0 }
  /** Those whose words are not all handled yet. */
  const runs = new Set<Run>()
  const requests = createRequests()
  const pings = createRequests()
  let ready: Ready | undefined
  let status: Status | undefined
  let connected: boolean | undefined
  let keeping: ReturnType<typeof setTimeout> | undefined

  const gone = () => new GatewayError('gone', `The plugin ${name} is not running`, { sent: false })
  const changed = () => deps.onState(unit)

  const supervisor = createSupervisor({
    settings,
    policy: deps.policy,
    now: deps.now,
    async open() {
      const run = createRun()
      const { process, configure } = await deps.open((event) => receive(event, run))
      run.process = process
      if (configure) process.post(configure, { must: true })
      void process.ended.then(async () => {
        lost()
        await run.queue.idle()
        runs.delete(run)
      })
      return process
    },
    async ping(timeoutMs) {
      const request_id = ulid()
      const answer = pings.open(request_id, timeoutMs).then(() => true, () => false)
      supervisor.process?.post({ type: 'ping', request_id }, { must: true })
      return await answer
    },
    onState() {
      changed()
      demand.stateChanged()
    },
    onCrash: (message) => journal.incident('crash', message),
    onQuarantine: (message) => deps.onQuarantine(name, message),
  })

  const post = (message: ToPlugin, process = supervisor.process): void => {
    if (process && !process.post(message, { must: true })) process.cut('does not read what it is answered')
  }

  const demand = createDemand({
    name,
    supervisor,
    isOnDemand: deps.isOnDemand,
    idleMs: () => settings().idle_seconds * 1000,
  })

  function keepNow(): void {
    keeping = undefined
    const registrations = capabilities.registrations()
    if (registrations.length > 0) deps.keep(registrations)
  }

  /** Once it has registered everything, and not at each of many. */
  function keepSoon(): void {
    clearTimeout(keeping)
    if (!deps.isOnDemand()) return
    keeping = setTimeout(keepNow, KEEP_MS)
    ;(keeping as { unref?: () => void }).unref?.()
  }

  const calls = createCalls({ post: (message) => supervisor.process?.post(message) ?? false })
  const capabilities = createCapabilities({
    name,
    manifest: deps.manifest,
    post,
    call: (request) =>
      demand.during(async () => {
        if (supervisor.state !== 'ready') throw gone()
        counters.calls++
        return await calls.call(request)
      }),
    isReady: () => supervisor.state === 'ready',
    awake: demand.awake,
    callTimeoutMs: () => settings().call_timeout_seconds * 1000,
    dataDir: () => deps.dataDir?.(),
    onChange() {
      changed()
      keepSoon()
    },
    onProblem: (message) => journal.incident('refused', message),
  })

  /**
   * What one process says that has to be kept, strictly one after the other: its store also changes only after the
   * messages before it are safe. When one can't be kept, nothing after it is, and the process ends, so that it can
   * say all of it again.
   */
  function createRun(): Run {
    const run: Run = {
      process: undefined,
      queue: createEventQueue(async (event) => {
        if (run.failed) return
        try {
          if (isState(event)) post(await deps.state(event), run.process)
          else await insisting(() => deps.onEvent(gateway, event))
        } catch (error) {
          run.failed = true
          journal.incident('error', `${event.type} could not be kept: ${(error as Error).message}`)
          run.process?.cut(`said something that could not be kept (${event.type})`)
        }
      }),
      failed: false,
    }
    runs.add(run)
    return run
  }

  /** The process ended; what it said before is in its queue. */
  function lost(): void {
    const error = new GatewayError('gone', `The plugin ${name} ended`)
    requests.failAll(error)
    pings.failAll(error)
    calls.failAll(error)
    ready = undefined
    status = undefined
    connected = undefined
    clearTimeout(keeping)
    if (keeping !== undefined) keepNow()
    capabilities.ended(deps.isOnDemand())
  }

  function dropped(problem: string): Received {
    counters.dropped++
    journal.incident('dropped', problem)
    return { paced: true }
  }

  const later = (event: GatewayNews | StateEvent, { queue }: Run): Received => ({
    paced: true,
    wait: queue.push(event),
  })

  function receive(said: FromPlugin, run: Run): Received {
    counters.events++
    const event = presentable(said, journal.redact)
    switch (event.type) {
      case 'command_ok':
      case 'command_error': {
        const outcome = event.type === 'command_ok'
          ? event.message_id === undefined ? {} : { message_id: event.message_id }
          : new GatewayError(event.code, event.message, { retry_after_ms: event.retry_after_ms })
        const how = requests.settle(event.request_id, outcome)
        if (how === 'settled') return { paced: false }
        return how === 'late' ? later(event, run) : dropped(`${event.type} for a request_id that was not asked`)
      }
      case 'pong':
        connected = event.connected
        if (pings.settle(event.request_id, {}) === 'unknown') return dropped('pong for a request_id that was not asked')
        return { paced: false }
      case 'ready':
        return greeted(event)
      case 'error':
        journal.incident('error', `${event.code}: ${event.message}`)
        if (event.fatal) supervisor.leaving(`${event.code}: ${event.message}`, true)
        return later(event, run)
      case 'shutdown':
        journal.line('info', `ends: ${event.reason}`)
        supervisor.leaving(event.reason, false)
        return later(event, run)
      case 'status': {
        const { type: _, ...rest } = event
        const isNews = JSON.stringify(rest) !== JSON.stringify(status)
        status = rest
        connected = event.connected
        if (isNews) changed()
        return { paced: true }
      }
      case 'register':
        capabilities.register(event)
        return { paced: true }
      case 'unregister':
        capabilities.unregister(event.handle)
        return { paced: true }
      case 'result':
      case 'failed':
      case 'chunk':
        return calls.answer(event) ? { paced: false } : { paced: true } // A cancelled call may still be answered.
      case 'log':
        journal.line(event.level, event.fields ? `${event.message} ${JSON.stringify(event.fields)}` : event.message)
        return { paced: true }
      default:
        return later(event, run)
    }
  }

  function greeted({ type: _, ...about }: Extract<FromPlugin, { type: 'ready' }>): Received {
    ready = about
    if (!/^v?1(?!\d)/.test(about.version)) {
      journal.incident('error', `it speaks version ${about.version} of the protocol, and this server v1alpha1`)
    }
    if (supervisor.ready()) journal.line('info', `ready: ${about.gateway} (${about.version})`)
    return { paced: true }
  }

  const gateway: Gateway = {
    name,
    get plugin() {
      return deps.manifest()?.id ?? name
    },
    get state() {
      return supervisor.state
    },
    get ready() {
      return ready
    },
    get status() {
      return status
    },
    get problem() {
      return supervisor.problem
    },
    get data_dir() {
      return deps.dataDir?.()
    },
    async command(body, { request_id, timeout_ms = settings().command_timeout_seconds * 1000 }) {
      const { process, state } = supervisor
      if (!process || state !== 'ready') throw gone()
      const asked = requests.find(request_id)
      if (asked) return await asked
      const answer = requests.open(request_id, timeout_ms)
      answer.catch(() => {}) // Rejected before it is awaited when there is no room.
      const message = { ...body, request_id }
      if (!process.post(message) && !(await process.room(ROOM_MS) && process.post(message))) {
        const error = new GatewayError('back_pressure', `The plugin ${name} takes no more at the moment`, {
          sent: false,
        })
        requests.settle(request_id, error)
      } else counters.commands++
      return await answer
    },
    typing(chat_id, seconds, thread_id) {
      if (supervisor.state !== 'ready') return
      const place = deps.manifest()?.protocol === 'gatehouse.v1' && thread_id ? { chat_id, thread_id } : { chat_id }
      supervisor.process?.post({ type: 'send_typing', ...place, duration: seconds })
    },
  }

  const unit = {
    name,
    gateway,
    supervisor,
    journal,
    counters,
    capabilities,
    get connected() {
      return connected
    },
    /** When all that it said so far has been handled. */
    async idle(): Promise<void> {
      await Promise.all([...runs].map(({ queue }) => queue.idle()))
    },
  }
  return unit
}

/** A disk that is full for a moment is no reason to lose a message. */
async function insisting(work: () => Promise<void>): Promise<void> {
  for (const wait of RETRY_MS) {
    try {
      return await work()
    } catch {
      await new Promise((resolve) => setTimeout(resolve, wait))
    }
  }
  await work()
}

/** The first message to a plugin that speaks our extension. */
export const configureMessage = (manifest: Manifest, given: {
  config: Record<string, unknown>
  secrets: Record<string, string>
  data_dir: string | null
  public_url: string | null
  max_file_bytes: number
}): CapabilityCommand => ({
  type: 'configure',
  protocol: PLUGIN_PROTOCOL,
  plugin: { id: manifest.id, name: manifest.name, version: manifest.version },
  ...given,
})

const isState = (event: { type: string }): event is StateEvent => event.type.startsWith('state_')
