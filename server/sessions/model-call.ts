import type { TokenUsage } from '../../shared/turn-events.ts'
import type { ModelEvent } from '../models/provider.ts'
import type { ResolvedModel } from '../models/service.ts'

/** US dollars of one model call; null when the price is not known. */
export function costOf(model: Pick<ResolvedModel, 'price'>, usage: TokenUsage): number | null {
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
  const onAbort = (): void => stop()
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    while (!signal.aborted) {
      // Not a race with one promise for the whole stream: that would hold what each of its tokens left behind.
      const next = await new Promise<IteratorResult<ModelEvent> | undefined>((resolve, reject) => {
        stop = () => resolve(undefined)
        iterator.next().then(resolve, reject)
      })
      if (!next || next.done) return
      yield next.value
    }
  } finally {
    signal.removeEventListener('abort', onAbort)
    void iterator.return?.(undefined)
  }
}
