import type { TurnEvent } from '../../shared/turn-events.ts'
import type { Caller } from '../auth/principal.ts'
import type { Bus } from '../bus/bus.ts'
import { AppError } from '../errors.ts'
import type { Sessions } from '../sessions/service.ts'

/** One turn of a session, and the offset from which its events are news to the caller. */
export type Following = { caller: Caller; session: string; turn: string; after: number }

/** The part of a question that its answer must repeat. */
export type Question = { call_id: string; command: string }

/** A call as the one line that a person is shown and sends back: shell tools have such a line already. */
export function commandOf(tool: string, input: Record<string, unknown>): string {
  const keys = Object.keys(input)
  if (keys.length === 1 && typeof input.command === 'string') return input.command
  return keys.length === 0 ? tool : `${tool} ${JSON.stringify(input)}`
}

/** Says something in a session that exists; the offset is taken before, so that no event is missed. */
export async function say(sessions: Sessions, caller: Caller, session: string, content: string): Promise<Following> {
  await sessions.get(caller, session)
  const after = sessions.head()
  const { turn } = await sessions.send(caller, session, { text: content })
  return { caller, session, turn: turn.turn_id, after }
}

/** Events of one turn up to its last; ends early when the signal aborts or the turn is taken out of its queue. */
export async function* eventsOf(
  { sessions, bus }: { sessions: Sessions; bus: Bus },
  { caller, session, turn, after }: Following,
  signal: AbortSignal,
): AsyncGenerator<TurnEvent> {
  const gone = new AbortController()
  // A turn that only waited leaves no event when it is removed, which may have happened before the reader came.
  const look = () => void sessions.turn(caller, turn).catch(() => gone.abort())
  const unsubscribe = bus.subscribe((event) => {
    if (event.type === 'resource' && event.resource === 'session' && event.id === session) look()
  })
  look()
  try {
    const either = AbortSignal.any([signal, gone.signal])
    for await (const batch of await sessions.follow(caller, session, after, either)) {
      for (const { event } of batch) {
        if (event.turn_id !== turn) continue
        yield event
        if (event.type === 'turn_finished') return
      }
    }
  } finally {
    unsubscribe()
  }
}

/** Waits for the answer, or for the question that stands before it. Throws what became of the turn otherwise. */
export async function answerOf(
  deps: { sessions: Sessions; bus: Bus },
  following: Following,
  signal: AbortSignal,
  timeoutSeconds: number,
): Promise<{ content: string } | { question: Question }> {
  const late = AbortSignal.timeout(timeoutSeconds * 1000)
  for await (const event of eventsOf(deps, following, AbortSignal.any([signal, late]))) {
    if (event.type === 'approval') {
      return { question: { call_id: event.call_id, command: commandOf(event.name, event.arguments) } }
    }
    if (event.type !== 'turn_finished') continue
    if (event.state === 'completed') return { content: event.text }
    if (event.state === 'failed') throw new AppError('internal', event.error?.message ?? 'The turn failed')
    throw new AppError('conflict', 'The turn was stopped before its answer was complete; its session keeps the part')
  }
  if (late.aborted) {
    throw new AppError(
      'timeout',
      `There is no answer after ${timeoutSeconds} seconds; it goes on, and GET …/messages will have it`,
    )
  }
  if (signal.aborted) {
    throw new AppError('unavailable', 'The server is stopping; the message is kept and gets its answer')
  }
  throw new AppError('conflict', 'The message was taken out of the queue before it was answered')
}

/** Stops a turn whose reader went away, or takes it out of the queue when it still waits. */
export async function abandon(sessions: Sessions, { caller, session, turn }: Following): Promise<void> {
  const { items } = await sessions.queue(caller, session)
  const mine = items.find((item) => item.turn_id === turn)
  if (!mine) return
  if (mine.state !== 'queued') return void await sessions.interrupt(caller, session)
  await sessions.removeQueued(caller, session, turn)
}
