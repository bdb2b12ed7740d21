import type { FailureClass, TurnEventBody } from '../../shared/turn-events.ts'
import type { Withdrawal } from '../approvals/service.ts'
import type { TurnRef } from './entries.ts'
import { extractMarkers, type ResolveMarker } from './markers.ts'
import { answerOf, messagesOf, type Progress } from './progress.ts'
import type { RunTurnDeps } from './run-turn.ts'
import type { TurnRow } from './turn-store.ts'

/** How a turn ends. */
export type End = { state: 'completed' | 'failed' | 'interrupted'; error?: { class: FailureClass; message: string } }

/** Ends a turn: its transcript, its state and its last event become durable together, then readers hear of it. */
export async function closeTurn(
  deps: Pick<RunTurnDeps, 'store' | 'turns' | 'events' | 'resolveMarker' | 'bus' | 'log' | 'now'>,
  turn: TurnRow,
  ref: TurnRef,
  progress: Progress,
  end: End,
  model: string | null,
  /** What it still asked: withdrawn with its end, and told before its last event. */
  questions?: Withdrawal,
): Promise<void> {
  const at = deps.now()
  const resolve: ResolveMarker = (path) => deps.resolveMarker(ref.handle, path)
  const answer = await extractMarkers(answerOf(progress), resolve)
  const messages = messagesOf(progress, turn.id, at, { ...end, model })
  const spoken = messages.findLast((message) => message.role === 'assistant')!
  if (answer.attachments.length > 0) {
    spoken.text = (await extractMarkers(spoken.text, resolve)).text
    spoken.data.attachments = answer.attachments
  }
  const finished: TurnEventBody = {
    type: 'turn_finished',
    state: end.state,
    text: answer.text,
    ...(answer.attachments.length > 0 ? { attachments: answer.attachments } : {}),
    model,
    ...(end.error ? { error: end.error } : {}),
  }
  const closed = await deps.events.commit(async (tx) => {
    const change = { state: end.state, used_model: model, text: answer.text, error: end.error ?? null, finished_at: at }
    // Somebody else may have closed it a moment ago; a turn ends once.
    if (!await deps.turns.close(tx, turn.id, change)) return { result: false }
    await deps.store.addMessages(tx, ref.sid, messages, at)
    for (const call of progress.calls) await deps.store.recordCall(tx, { ...call, sid: ref.sid, turn_id: turn.id, at })
    return { result: true, turn: ref, events: [...await questions?.in(tx) ?? [], finished] }
  })
  if (closed) {
    questions?.told()
    const { handle, session_id, turn_id } = ref
    const data = { turn_id, state: end.state, text: answer.text, model, error: end.error ?? null }
    deps.bus.publish({ type: 'happened', event: 'turn.finished', handle, session_id, data })
  }
  if (end.state === 'failed') {
    deps.log.warn('turn.failed', end.error?.message ?? 'failed', {
      turn_id: turn.id,
      session_id: ref.session_id,
      class: end.error?.class,
    })
  }
}
