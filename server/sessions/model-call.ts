import type { TokenUsage } from '../../shared/turn-events.ts'
import type { ModelEvent } from '../models/provider.ts'
import type { ResolvedModel } from '../models/service.ts'

/** US dollars of one model call; null when the price is not known. */
export function costOf(model: ResolvedModel, usage: TokenUsage): number | null {
  if (!model.price) return null
  const cached = usage.cache_read_tokens ?? 0
  const cachedPrice = model.price.cache_read_per_million ?? model.price.input_per_million
  return ((usage.input_tokens - cached) * model.price.input_per_million + cached * cachedPrice +
    usage.output_tokens * model.price.output_per_million) / 1e6
}

/** Ends when the signal aborts even if the provider does not, so that no turn hangs on a deaf upstream. */
export async function* untilAborted(
  stream: AsyncIterable<ModelEvent>,
  signal: AbortSignal,
): AsyncGenerator<ModelEvent> {
  const iterator = stream[Symbol.asyncIterator]()
  let stop: () => void = () => {}
  const aborted = new Promise<{ done: true; value: undefined }>((resolve) => {
    stop = () => resolve({ done: true, value: undefined })
    signal.addEventListener('abort', stop, { once: true })
  })
  try {
    while (!signal.aborted) {
      const next = await Promise.race([iterator.next(), aborted])
      if (next.done) return
      yield next.value
    }
  } finally {
    signal.removeEventListener('abort', stop)
    void iterator.return?.(undefined)
  }
}
