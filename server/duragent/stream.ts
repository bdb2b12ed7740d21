import { ulid } from 'ulid'
import type { TokenUsage, TurnEvent } from '../../shared/turn-events.ts'
import type { SseFrame } from '../http/sse.ts'
import { commandOf } from './turns.ts'

/**
 * The events of a turn in the words of Duragent's stream: `start`, `token`, `approval_required`, and last one of `done`,
 * `cancelled`, `error`. Its client fails at any other name and at an end without a last one, so an early end gets one.
 */
export async function* framesOf(events: AsyncIterable<TurnEvent>): AsyncGenerator<SseFrame> {
  yield frame('start', {})
  let usage: Usage | null = null
  let said = false
  let newStep = false
  for await (const event of events) {
    if (event.type === 'step') newStep = said
    if (event.type === 'usage') usage = add(usage, event.usage)
    if (event.type === 'text' && event.delta !== '') {
      // What is said before and after a tool call are paragraphs of one answer.
      if (newStep) yield frame('token', { content: '\n\n' })
      newStep = false
      said = true
      yield frame('token', { content: event.delta })
    }
    if (event.type === 'approval') {
      const { call_id, name } = event
      yield frame('approval_required', { call_id, command: commandOf(name, event.arguments) })
    }
    if (event.type !== 'turn_finished') continue
    if (event.state === 'failed') return yield frame('error', { message: event.error?.message ?? 'The turn failed' })
    if (event.state === 'interrupted') return yield frame('cancelled', {})
    if (!said && event.text !== '') yield frame('token', { content: event.text })
    return yield frame('done', { message_id: `msg_${ulid()}`, usage })
  }
  yield frame('error', { message: 'The stream was ended before its answer; the session keeps what becomes of it' })
}

/** `events` as an iterable that calls `left` when its reader goes before the last event. */
export function watchLeaving(frames: AsyncGenerator<SseFrame>, left: () => void): AsyncIterable<SseFrame> {
  let ended = false
  return {
    [Symbol.asyncIterator]: () => ({
      async next() {
        const result = await frames.next()
        ended ||= result.done === true || LAST.has((result.value as { event?: string }).event ?? '')
        return result
      },
      return() {
        if (!ended) left()
        return frames.return(undefined)
      },
    }),
  }
}

const LAST = new Set(['done', 'cancelled', 'error'])

type Usage = { prompt_tokens: number; completion_tokens: number; total_tokens: number }

const add = (sum: Usage | null, { input_tokens, output_tokens }: TokenUsage): Usage => ({
  prompt_tokens: (sum?.prompt_tokens ?? 0) + input_tokens,
  completion_tokens: (sum?.completion_tokens ?? 0) + output_tokens,
  total_tokens: (sum?.total_tokens ?? 0) + input_tokens + output_tokens,
})

const frame = (event: string, data: object): SseFrame => ({ event, data: JSON.stringify(data) })
