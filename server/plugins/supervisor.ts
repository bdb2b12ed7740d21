import type { PluginSettings } from '../../shared/plugin-settings.ts'
import type { PluginState } from './gateway.ts'
import type { Ending, PluginProcess } from './process.ts'

export type RestartPolicy = 'always' | 'on_failure' | 'never'

const LONGEST_DELAY_MS = 60_000

export type Supervisor = ReturnType<typeof createSupervisor>

/**
 * Keeps one plugin running: deadline until it is ready, restarts with a growing delay, quarantine after crashes in a
 * row, or at once when its platform refused it. A `ready` forgives nothing; only time spent running does.
 */
export function createSupervisor(deps: {
  settings: () => PluginSettings
  policy: () => RestartPolicy
  /** Starts the program. */
  open: () => Promise<PluginProcess>
  /** Asks whether it still answers; resolves with false when it did not. */
  ping: (timeoutMs: number) => Promise<boolean>
  onState: () => void
  /** A crash, in words. */
  onCrash: (message: string) => void
  onQuarantine: (message: string) => void
  now: () => number
}) {
  const { settings, now } = deps
  let state: PluginState = 'stopped'
  let process: PluginProcess | undefined
  let opening: Promise<void> | undefined
  let stopping: Promise<void> | undefined
  /** Whether somebody wants it to run. */
  let wanted = false
  let crashes = 0
  let restarts = 0
  let missed = 0
  let startedAt = 0
  let retryAt = 0
  let problem: string | undefined
  /** It said that it ends. */
  let farewell: { fatal: boolean; message: string; refused: boolean } | undefined
  const timers = new Set<ReturnType<typeof setTimeout>>()

  function later(ms: number, work: () => void): void {
    const timer = setTimeout(() => {
      timers.delete(timer)
      work()
    }, ms)
    ;(timer as { unref?: () => void }).unref?.()
    timers.add(timer)
  }

  function clearTimers(): void {
    timers.forEach(clearTimeout)
    timers.clear()
  }

  function become(next: PluginState): void {
    if (state === next) return
    state = next
    deps.onState()
  }

  function launch(): Promise<void> {
    clearTimers()
    farewell = undefined
    missed = 0
    retryAt = 0
    become('starting')
    return opening = deps.open().then((opened) => {
      process = opened
      startedAt = now()
      void opened.ended.then((ending) => ended(opened, ending))
      opened.listen()
      if (!wanted || stopping) return
      const seconds = settings().ready_timeout_seconds
      later(seconds * 1000, () => opened.cut(`was not ready within ${seconds} s`))
    }, (error: unknown) => {
      if (wanted && !stopping) crashed((error as Error).message, true)
    }).finally(() => (opening = undefined))
  }

  function ended(which: PluginProcess, ending: Ending): void {
    if (process !== which) return
    process = undefined
    const wasReady = state === 'ready'
    const stayed = startedAt > 0 && wasReady && now() - startedAt >= settings().stable_seconds * 1000
    clearTimers()
    startedAt = 0
    if (stopping || !wanted) return
    if (stayed) crashes = 0
    const orderly = !ending.cut && wasReady && !farewell?.fatal && (ending.code === 0 || farewell !== undefined)
    crashed(explain(ending, farewell, wasReady), !orderly, farewell?.refused)
  }

  function crashed(message: string, failure: boolean, refused = false): void {
    const policy = deps.policy()
    if (!failure && policy !== 'always') {
      problem = undefined
      wanted = false
      return become('stopped')
    }
    problem = message
    deps.onCrash(message)
    if (policy === 'never') {
      wanted = false
      return become('failed')
    }
    crashes++
    if (refused || crashes >= settings().max_crashes) {
      wanted = false
      if (!refused) problem = `crashed ${crashes} times in a row; the last time it ${message}`
      deps.onQuarantine(problem)
      return become('quarantined')
    }
    const delay = Math.min(settings().restart_delay_ms * 2 ** (crashes - 1), LONGEST_DELAY_MS) *
      (0.75 + Math.random() / 2)
    retryAt = now() + delay
    become('backoff')
    later(delay, () => {
      restarts++
      void launch()
    })
  }

  async function ask(which: PluginProcess): Promise<void> {
    if (process !== which || state !== 'ready') return
    if (!which.isHeld()) {
      const answered = await deps.ping(settings().pong_timeout_seconds * 1000)
      if (process !== which || state !== 'ready') return
      // What it said may wait because of us.
      missed = answered || which.isHeld() ? 0 : missed + 1
      if (missed >= settings().missed_pongs) return which.cut(`did not answer ${missed} pings`)
    }
    later(settings().ping_seconds * 1000, () => void ask(which))
  }

  return {
    get state() {
      return state
    },
    get process() {
      return process
    },
    get problem() {
      return problem
    },
    get restarts() {
      return restarts
    },
    get startedAt() {
      return startedAt
    },
    get retryAt() {
      return state === 'backoff' ? retryAt : 0
    },

    /** Runs it from now on; does nothing when it does, or is in quarantine. */
    start(): void {
      if (wanted || state === 'quarantined') return
      wanted = true
      problem = undefined
      // What is stopping starts again when it has stopped.
      if (!stopping) void launch()
    },

    /** As found in the database: it stays so until somebody forgives it. */
    quarantine(message: string): void {
      problem = message
      become('quarantined')
    },

    forgive(): void {
      crashes = 0
      problem = undefined
      if (state === 'quarantined' || state === 'failed') become('stopped')
    },

    /** The plugin said `ready`. False when it is no news. */
    ready(): boolean {
      if (state !== 'starting' || !process) return false
      clearTimers()
      problem = undefined
      const which = process
      become('ready')
      later(settings().stable_seconds * 1000, () => (crashes = 0))
      later(settings().ping_seconds * 1000, () => void ask(which))
      return true
    },

    /**
     * The plugin said that it ends, or that something fatal happened; it gets the usual time to go. One that its
     * platform `refused` is not started again by itself: some platforms lock out who comes with a wrong password often.
     */
    leaving(message: string, { fatal = false, refused = false } = {}): void {
      const which = process
      if (!which || farewell) return
      farewell = { fatal, message, refused }
      const { stop_grace_ms, kill_grace_ms } = settings()
      later(stop_grace_ms, () => void which.stop(0, kill_grace_ms))
    },

    /** Asks it to stop, then makes it; resolves when nothing of it is left. */
    stop(): Promise<void> {
      wanted = false
      clearTimers()
      if (state !== 'quarantined' && state !== 'failed') become('stopped')
      return stopping ??= end().finally(() => {
        stopping = undefined
        if (wanted) void launch()
      })
    },
  }

  async function end(): Promise<void> {
    await opening
    const which = process
    if (!which) return
    const { stop_grace_ms, kill_grace_ms } = settings()
    await which.stop(stop_grace_ms, kill_grace_ms)
    await which.ended
  }
}

function explain(ending: Ending, farewell: { fatal: boolean; message: string } | undefined, wasReady: boolean): string {
  if (ending.cut) return ending.cut
  if (farewell) return farewell.fatal ? `failed: ${farewell.message}` : `ended: ${farewell.message}`
  const how = ending.signal ? `was ended by ${ending.signal}` : `ended with exit code ${ending.code}`
  return wasReady ? how : `${how} before it was ready`
}
