import type { Approvals } from '../approvals/service.ts'
import type { Bus } from '../bus/bus.ts'
import type { ResolvedModel } from '../models/service.ts'
import type { Log } from '../system/log.ts'
import { closeTurn } from './close-turn.ts'
import { refOf, type TurnRef } from './entries.ts'
import type { EventLog } from './event-log.ts'
import { isAnswered, isUntouched, type Progress, progressOf } from './progress.ts'
import { createRunTurn, type RunTurnDeps, type StopReason } from './run-turn.ts'
import type { SessionRow, SessionStore } from './store.ts'
import type { TurnRow, TurnStore } from './turn-store.ts'

export type Runner = ReturnType<typeof createRunner>

type Active = { turn: TurnRow; abort: AbortController; done: Promise<void> }

const RETRY_MS = 1000
/** How long a stopping server waits for turns to write down what they have. */
const STOP_MS = 5000

/**
 * Takes the turns of one session strictly first in, first out, and sessions side by side up to a limit.
 * The queue is in the database; in memory are only the turns that run.
 */
export function createRunner(
  deps: RunTurnDeps & {
    store: SessionStore
    turns: TurnStore
    events: EventLog
    approvals: Approvals
    bus: Bus
    log: Log
    maxParallel: () => number
    turnTimeoutSeconds: () => number
  },
) {
  const { store, turns, events, log, now } = deps
  const runTurn = createRunTurn(deps)
  const active = new Map<number, Active>()
  /** Sessions that have something to run and wait for a free place, in order of arrival. */
  const waiting = new Set<number>()
  /** Sessions that are being looked at, so that two wakes don't start two turns. */
  const claiming = new Map<number, boolean>()
  /** Sessions that keep a place for a turn which is being written as one that runs. */
  const reserved = new Set<number>()
  const timers = new Map<number, ReturnType<typeof setTimeout>>()
  let stopping = false

  deps.bus.subscribe((event) => {
    if (event.type === 'turn_ready') wake(event.sid)
  })

  /** Looks whether the session has a turn to run, now or when its time comes. Cheap when it has none. */
  function wake(sid: number): void {
    if (stopping) return
    if (claiming.has(sid)) {
      claiming.set(sid, true)
      return
    }
    // What is active or reserved looks again itself when it is over.
    if (active.has(sid) || reserved.has(sid)) return
    claiming.set(sid, false)
    claim(sid).catch((error) => {
      log.error('runner.claim_failed', 'A queued turn could not be started; trying again', { error: String(error) })
      later(sid, RETRY_MS)
    }).finally(() => {
      const again = claiming.get(sid)
      claiming.delete(sid)
      if (again) wake(sid)
      fill()
    })
  }

  /** Gives a free place to whoever waits longest; one that has nothing to run any more leaves it to the next. */
  function fill(): void {
    const next = waiting.values().next()
    if (!next.done && !isFull()) wake(next.value)
  }

  const isFull = (): boolean => active.size + reserved.size >= deps.maxParallel()

  async function claim(sid: number): Promise<void> {
    if (isFull()) {
      waiting.add(sid)
      return
    }
    waiting.delete(sid)
    const turn = await turns.next(sid)
    if (!turn || active.has(sid) || stopping) return
    const wait = turn.not_before - now()
    if (wait > 0) return later(sid, wait)
    const session = await store.bySid(sid)
    if (!session || active.has(sid)) return
    // Others that were looked at in the same moment may have taken the last place.
    if (isFull()) return void waiting.add(sid)
    start(turn, session)
  }

  function later(sid: number, ms: number): void {
    if (stopping) return
    clearTimeout(timers.get(sid))
    timers.set(
      sid,
      setTimeout(() => {
        timers.delete(sid)
        wake(sid)
      }, ms),
    )
  }

  function start(turn: TurnRow, session: SessionRow, model?: ResolvedModel): void {
    const abort = new AbortController()
    const stop = (reason: StopReason) => abort.abort(reason)
    const deadline = setTimeout(() => stop('timeout'), deps.turnTimeoutSeconds() * 1000)
    const done = run().finally(() => {
      clearTimeout(deadline)
      active.delete(session.sid)
      wake(session.sid)
      fill()
    })
    active.set(session.sid, { turn, abort, done })

    async function run(): Promise<void> {
      // A turn that could not be written (a full disk) is tried again: it must not stay busy for ever.
      for (let attempt = 0;; attempt++) {
        try {
          if (attempt === 0) await runTurn(turn, session, abort.signal, model)
          else if (await canGoOn(turn, session)) await runTurn(turn, session, abort.signal)
          else await closeLeft(turn, 'interrupted')
          return
        } catch (error) {
          log.error('turn.not_written', 'A turn could not be written; trying again', {
            turn_id: turn.id,
            error: String(error),
          })
          if (stopping) return
          if (!await store.bySid(session.sid).catch(() => session)) return
          await new Promise((resolve) => setTimeout(resolve, RETRY_MS))
        }
      }
    }
  }

  const progressIn = async (ref: TurnRef): Promise<Progress> =>
    progressOf((await events.turnEvents(ref)).map((stored) => stored.e))

  /** Whether a turn whose writing failed stands between two model calls, or has only its end left to write. */
  async function canGoOn(turn: TurnRow, session: SessionRow): Promise<boolean> {
    const progress = await progressIn(refOf(session, turn.id))
    return isUntouched(progress) || progress.steps.at(-1)!.complete
  }

  /** Closes, or puts back in the queue, a turn that a stopped process left running. */
  async function closeLeft(turn: TurnRow, how: 'recover' | 'interrupted'): Promise<void> {
    const session = await store.bySid(turn.sid)
    if (!session) return
    const ref = refOf(session, turn.id)
    const progress = await progressIn(ref)
    if (progress.finished) return
    if (isAnswered(progress)) return closeTurn(deps, turn, ref, progress, { state: 'completed' }, turn.used_model)
    if (how === 'recover' && isUntouched(progress)) {
      await events.commit(async (tx) => {
        await turns.transition(tx, turn.id, 'running', { state: 'queued' })
        return { result: undefined }
      })
      return
    }
    const error = {
      class: 'internal' as const,
      message: 'The server stopped while answering; what was written until then is kept. Retry to ask again.',
    }
    await closeTurn(deps, turn, ref, progress, { state: 'interrupted', error }, turn.used_model)
  }

  return {
    wake,

    /**
     * Keeps a place for a session whose next turn is about to be written as one that runs, so that its beginning needs
     * no commit of its own; false when it has to wait in the queue. To be followed by `begin` or `giveBack`.
     */
    reserve(sid: number): boolean {
      if (stopping || active.has(sid) || reserved.has(sid) || claiming.has(sid) || waiting.size > 0) return false
      if (isFull()) return false
      reserved.add(sid)
      return true
    },

    /** Runs the turn that a place was kept for, now that it is written. A stopping server leaves it to its next start. */
    begin(turn: TurnRow, session: SessionRow, model: ResolvedModel): void {
      reserved.delete(session.sid)
      if (!stopping) start(turn, session, model)
    },

    /** The turn that a place was kept for was not written. */
    giveBack(sid: number): void {
      reserved.delete(sid)
      wake(sid)
      fill()
    },

    /** After a start: nothing stays busy for ever, and what was queued runs. */
    async recover(): Promise<void> {
      for (const turn of await turns.left('running')) await closeLeft(turn, 'recover')
      for (const sid of await turns.sessionsWithQueue()) wake(sid)
    },

    /** The turn that runs in a session, if one does. */
    running: (sid: number): TurnRow | undefined => active.get(sid)?.turn,

    /**
     * Stops what runs or waits for an answer in a session and keeps its partial text; the queue goes on.
     * Resolves with the turn that was stopped once that is written.
     */
    async interrupt(sid: number): Promise<TurnRow | undefined> {
      const current = active.get(sid)
      if (current) {
        current.abort.abort('interrupted' satisfies StopReason)
        await current.done
        return current.turn
      }
      const suspended = (await turns.open(sid)).find((turn) => turn.state === 'awaiting_approval')
      if (!suspended) return undefined
      const session = await store.bySid(sid)
      if (!session) return undefined
      const ref = refOf(session, suspended.id)
      const progress = await progressIn(ref)
      const questions = await deps.approvals.withdraw(suspended.id)
      const end = { state: 'interrupted' as const }
      await closeTurn(deps, suspended, ref, progress, end, suspended.used_model, questions)
      wake(sid)
      return suspended
    },

    /** `interrupt` for those who do not wait for it; a failure, such as a full disk, is logged. */
    interruptSoon(sid: number): void {
      this.interrupt(sid).catch((error) =>
        log.error('turn.not_interrupted', 'A turn could not be stopped', { error: String(error) })
      )
    },

    activeCount: (): number => active.size,

    /** Interrupts every turn, waits until they are written, starts none. */
    async stop(): Promise<void> {
      stopping = true
      for (const timer of timers.values()) clearTimeout(timer)
      for (const { abort } of active.values()) abort.abort('stopping' satisfies StopReason)
      const all = Promise.allSettled([...active.values()].map(({ done }) => done))
      let timer: ReturnType<typeof setTimeout> | undefined
      await Promise.race([all, new Promise((resolve) => timer = setTimeout(resolve, STOP_MS))])
      clearTimeout(timer)
    },
  }
}
