import type { TurnEventBody, TurnInput } from '../../shared/turn-events.ts'
import type { Bus } from '../bus/bus.ts'
import type { ResolvedModel } from '../models/service.ts'
import type { TurnRef } from './entries.ts'
import type { Progress } from './progress.ts'
import type { RunTurnDeps } from './run-turn.ts'
import type { NewMessage } from './store.ts'
import type { TurnRow } from './turn-store.ts'

/** What a turn's start puts into the transcript. */
export function askedMessage(turnId: string, { text, attachments, author }: TurnInput, at: number): NewMessage {
  const data = { ...(attachments?.length ? { attachments } : {}), ...(author ? { author } : {}) }
  return { turn_id: turnId, role: 'user', step: 0, text, data, at }
}

/** The event of a turn's start. */
export const startedEvent = (input: TurnInput, model: ResolvedModel | undefined): TurnEventBody => ({
  type: 'turn_started',
  input,
  model: model?.runtime_id ?? null,
})

/** Tells other features, once it is durable. */
export function tellStarted(bus: Bus, ref: TurnRef, { text }: TurnInput, model: ResolvedModel | undefined): void {
  const { handle, session_id, turn_id } = ref
  const data = { turn_id, text, model: model?.runtime_id ?? null }
  bus.publish({ type: 'happened', event: 'turn.started', handle, session_id, data })
}

/** Begins turns that come from the queue, or go on after a question or a restart. */
export function createBegin(
  { store, turns, events, bus, now }: Pick<RunTurnDeps, 'store' | 'turns' | 'events' | 'bus' | 'now'>,
) {
  /**
   * Writes the user's message and the start of the turn, or notes that it goes on.
   * False, and nothing is written, when it was taken out of the queue or given another model: the runner looks again.
   */
  return async function begin(
    turn: TurnRow,
    ref: TurnRef,
    progress: Progress,
    model: ResolvedModel | undefined,
  ): Promise<boolean> {
    const at = now()
    const fresh = !progress.started
    const begun = await events.commit<boolean>(async (tx) => {
      const used_model = model?.runtime_id ?? null
      if (!fresh) {
        await turns.update(tx, turn.id, { state: 'running', used_model })
        return { result: true }
      }
      // As it is now: since the runner saw the turn, its text may have been rewritten, or another have joined it.
      const input = await turns.start(tx, turn.id, turn.model, { used_model, started_at: at })
      if (!input) return { result: false }
      turn.input = input
      await store.addMessages(tx, ref.sid, [askedMessage(turn.id, input, at)], at)
      return { result: true, turn: ref, events: [startedEvent(input, model)] }
    })
    if (!begun) return false
    progress.started = true
    if (fresh) tellStarted(bus, ref, turn.input, model)
    return true
  }
}
