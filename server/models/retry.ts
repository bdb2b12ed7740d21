import type { FailureClass } from '../../shared/turn-events.ts'
import type { ModelEvent, ModelProvider, ModelRequest } from './provider.ts'

export type Retry = {
  /** The try that comes next: 2, 3, 4. */
  attempt: number
  after_ms: number
  reason: string
  class: FailureClass
}

export type RetryLimits = {
  tries: number
  /** First pause; it doubles with each try, with jitter. */
  base_ms: number
  /** All pauses together; an upstream that asks for more time than is left is not asked again. */
  total_ms: number
}

const LIMITS: RetryLimits = { tries: 4, base_ms: 500, total_ms: 60_000 }

const WORTH_IT = new Set<FailureClass>(['rate_limited', 'overloaded', 'network'])

/**
 * `stream` that tries again after failures that pass by themselves, as long as nothing was yielded yet: afterwards
 * the reader has seen a part that another try would repeat. Never throws, ends like `ModelProvider.stream`.
 */
export async function* streamWithRetries(
  { provider }: { provider: ModelProvider },
  request: ModelRequest,
  signal: AbortSignal,
  onRetry: (retry: Retry) => void = () => {},
  limits: RetryLimits = LIMITS,
): AsyncGenerator<ModelEvent> {
  let waited = 0
  for (let attempt = 1;; attempt++) {
    let failed: Extract<ModelEvent, { type: 'failed' }> | undefined
    let yielded = false
    for await (const event of provider.stream(request, signal)) {
      if (event.type === 'failed' && !yielded) {
        failed = event
        break
      }
      yielded = true
      yield event
    }
    if (!failed) return
    const backoff = limits.base_ms * 2 ** (attempt - 1)
    const after_ms = Math.round(failed.retry_after_ms ?? backoff / 2 + Math.random() * backoff)
    const again = WORTH_IT.has(failed.class) && attempt < limits.tries && waited + after_ms <= limits.total_ms
    if (!again || signal.aborted) return yield failed
    onRetry({ attempt: attempt + 1, after_ms, reason: failed.message, class: failed.class })
    waited += after_ms
    await pause(after_ms, signal)
  }
}

/** Ends early when the signal is aborted; the next try then fails at once as aborted. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', end)
      resolve()
    }
    const timer = setTimeout(end, ms)
    signal.addEventListener('abort', end)
    if (signal.aborted) end()
  })
}
