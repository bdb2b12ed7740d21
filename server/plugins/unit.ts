import { ulid } from 'ulid'
import type { Manifest } from '../../shared/plugin-manifest.ts'
import type { CapabilityCommand, FromPlugin, ToPlugin } from '../../shared/plugin-protocol.ts'
import type { PluginSettings } from '../../shared/plugin-settings.ts'
import { createCalls } from './calls.ts'
import { createCapabilities, type Registration } from './capabilities.ts'
import { createDemand } from './demand.ts'
import { type Gateway, GatewayError, type GatewayNews } from './gateway.ts'
import type { Journal } from './journal.ts'
import type { PluginProcess, Received } from './process.ts'
import { createReceiver } from './receiver.ts'
import { createRequests } from './requests.ts'
import { createRun, type Run } from './run.ts'
import type { StateEvent } from './state.ts'
import { createSupervisor, type RestartPolicy } from './supervisor.ts'

/** How long a command may wait for room in the queue of a plugin that is behind. */
const ROOM_MS = 2000

/** After the last registration, until all are kept. */
const KEEP_MS = 500

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
  /** The folder through which it passes files; undefined where there is none. */
  dataDir: () => string | undefined
  journal: Journal
  now: () => number
}) {
  const { name, settings, journal } = deps
  const counters = { events: 0, commands: 0, dropped: 0, calls: 0 }
  /** Those whose words are not all handled yet. */
  const runs = new Set<Run>()
  const requests = createRequests()
  const pings = createRequests()
  let keeping: ReturnType<typeof setTimeout> | undefined

  const gone = () => new GatewayError('gone', `The plugin ${name} is not running`, { sent: false })
  const changed = () => deps.onState(unit)

  const supervisor = createSupervisor({
    settings,
    policy: deps.policy,
    now: deps.now,
    async open() {
      const run = createRun({
        onNews: (event) => deps.onEvent(gateway, event),
        state: deps.state,
        reply: post,
        onProblem: (message) => journal.incident('error', message),
      })
      const { process, configure } = await deps.open((event) => receiver.receive(event, run))
      run.process = process
      runs.add(run)
      if (configure) process.post(configure, { must: true })
      void process.ended.then(async () => {
        lost()
        await run.idle()
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
    keeping = undefined
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
    dataDir: deps.dataDir,
    onChange() {
      changed()
      keepSoon()
    },
    onProblem: (message) => journal.incident('refused', message),
  })

  const receiver = createReceiver({
    journal,
    requests,
    pings,
    calls,
    capabilities,
    supervisor,
    counters,
    onStatus: changed,
  })

  /** The process ended; what it said before is in its queue. */
  function lost(): void {
    const error = new GatewayError('gone', `The plugin ${name} ended`)
    requests.failAll(error)
    pings.failAll(error)
    calls.failAll(error)
    receiver.forget()
    clearTimeout(keeping)
    if (keeping !== undefined) keepNow()
    capabilities.ended(deps.isOnDemand())
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
      return receiver.about.ready
    },
    get status() {
      return receiver.about.status
    },
    get problem() {
      return supervisor.problem
    },
    get data_dir() {
      return deps.dataDir()
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
      return receiver.about.connected
    },
    /** When all that it said so far has been handled. */
    async idle(): Promise<void> {
      await Promise.all([...runs].map((run) => run.idle()))
    },
  }
  return unit
}
