import type { End } from './close-turn.ts'
import type { Call } from './progress.ts'

/** Why a running turn is stopped from outside; the reason of its abort signal. */
export type StopReason = 'interrupted' | 'timeout' | 'stopping'

/** The end of a turn that one of the owner's limits stopped. */
export const limit = (message: string): End => ({ state: 'failed', error: { class: 'limit', message } })

/** The end of a turn whose signal aborted. */
export function stopped(signal: AbortSignal): End {
  const reason = signal.reason as StopReason
  if (reason === 'timeout') {
    return limit('The turn took longer than agent.turn_timeout_seconds allows; what was said so far is kept.')
  }
  if (reason === 'stopping') {
    return {
      state: 'interrupted',
      error: { class: 'internal', message: 'The server stopped while answering. Retry to ask again.' },
    }
  }
  return { state: 'interrupted' }
}

/** What the model is told of a call that nobody allowed. */
export function refusal({ decision, decision_reason: why }: Call): string {
  if (decision === 'deny') {
    return `The owner declined this call${why ? ` and said: ${why}` : '.'} Do not try it again unless asked.`
  }
  if (decision === 'expired') return 'Nobody answered the question in time, so this was not done.'
  return 'This was called off.'
}
