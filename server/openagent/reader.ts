import type { TurnFrame } from '../../shared/openagent.ts'
import type { TurnEvent } from '../../shared/turn-events.ts'
import type { Caller } from '../auth/principal.ts'
import { AppError } from '../errors.ts'
import type { Sessions } from '../sessions/service.ts'
import type { Log } from '../system/log.ts'
import type { Outbox } from './outbox.ts'
import { joinDeltas, translate, type View } from './translate.ts'

/** One socket's reading of one session's log. */
export type Reader = {
  /** Goes on after the turn that is open now; false when it has ended already. */
  keep(): boolean
  /** Resolves when what has been published so far was handed to the socket. */
  caughtUp(): Promise<void>
  /** No frame follows. */
  stop(): void
}

export type ReaderDeps = {
  sessions: Sessions
  log: Log
  caller: Caller
  session_id: string
  out: Outbox
  /** Read after this offset, for a client that was shown `view`. */
  from: number
  view: View
  /** Ends with the turn that is open, unless `keep` is called. */
  temporary: boolean
  /** Waits for the text that the client is sending right now, so that `own` knows of it. Must not wait for this reader. */
  settled(): Promise<void>
  /** What this very client contributed to a turn; it is not echoed. */
  own: Map<string, string>
  ended(): void
}

/** Deltas are joined only for a reader that is this far behind; one that keeps up gets them as they come. */
const BEHIND = 32

/** Follows a session and sends what happens in it, as fast as the client takes it and no faster. */
export function createReader(deps: ReaderDeps): Reader {
  const { sessions, caller, session_id, out, own } = deps
  const abort = new AbortController()
  let { view, from: position, temporary } = deps
  let over = false
  let delivering: Promise<void> = Promise.resolve()

  run().catch((error: unknown) => {
    if (error instanceof AppError) return
    deps.log.error('socket.reader_failed', 'A socket could not follow its session', {
      session_id,
      error: String(error),
    })
    out.send({ type: 'error', session_id, text: 'Following this session failed; open it again.' })
  }).finally(deps.ended)

  async function run(): Promise<void> {
    for await (const batch of await sessions.follow(caller, session_id, position, abort.signal)) {
      let finished = false
      delivering = deliver(batch.map((entry) => entry.event)).then((value) => void (finished = value))
      await delivering
      over = abort.signal.aborted || (finished && temporary)
      if (over) return
    }
  }

  /** Sends a batch; true when a turn ended in it. */
  async function deliver(events: TurnEvent[]): Promise<boolean> {
    if (events.some((event) => event.type === 'turn_started')) await deps.settled()
    const frames: TurnFrame[] = []
    for (const event of events) {
      const next = translate(view, event)
      view = next.view
      frames.push(...next.frames)
    }
    let ended = false
    for (const frame of events.length > BEHIND ? joinDeltas(frames) : frames) {
      if (!await out.room(position) || abort.signal.aborted) return ended
      if (!isOwn(frame)) out.send(frame)
      position = frame.offset ?? position
      if (frame.type === 'turn_complete') {
        own.delete(frame.turn_id)
        ended = true
      }
      if (frame.type === 'turn_complete' || (frame.type === 'session_compacted' && frame.phase !== 'running')) {
        await report()
      }
    }
    return ended
  }

  const isOwn = (frame: TurnFrame): boolean => frame.type === 'text_final' && own.get(frame.turn_id) === frame.text

  async function report(): Promise<void> {
    const context = await sessions.context(caller, session_id).catch(() => undefined)
    if (context && !abort.signal.aborted) out.send({ type: 'context_report', session_id, report: context })
  }

  return {
    keep() {
      temporary = false
      return !over
    },
    async caughtUp() {
      // Readers are woken by microtasks, so after this one they have what was published.
      await new Promise((resolve) => setTimeout(resolve, 0))
      await delivering.catch(() => {})
    },
    stop: () => abort.abort(),
  }
}
