import { ulid } from 'ulid'
import type { CapabilityEvent, ToPlugin } from '../../shared/plugin-protocol.ts'
import { GatewayError } from './gateway.ts'
import type { CallPlugin } from './kinds/kind.ts'

/** Chunks that a plugin may send ahead of us. */
const CREDIT = 64

type Answer = Extract<CapabilityEvent, { type: 'result' | 'chunk' | 'failed' }>
type Pending = {
  chunks: number
  onChunk: (data: unknown) => void
  settle: (outcome: { output: unknown } | GatewayError) => void
}

export type Calls = ReturnType<typeof createCalls>

/** Calls of registered capabilities that are under way in one plugin: deadline, cancel, chunks within their credit. */
export function createCalls({ post }: { post: (message: ToPlugin) => boolean }) {
  const pending = new Map<string, Pending>()

  const call: CallPlugin = ({ handle, method, input, timeoutMs, signal, context = {}, onChunk = () => {} }) => {
    if (signal?.aborted) return Promise.reject(signal.reason as Error)
    const call_id = ulid()
    const message: ToPlugin = {
      type: 'call',
      call_id,
      handle,
      method,
      input,
      deadline_ms: timeoutMs,
      credit: CREDIT,
      context,
    }
    return new Promise((resolve, reject) => {
      const giveUp = (reason: string, error: Error) => {
        post({ type: 'cancel', call_id, reason })
        done(() => reject(error))
      }
      const timer = setTimeout(() => {
        giveUp('timeout', new GatewayError('timeout', `it did not answer within ${timeoutMs / 1000} s`))
      }, timeoutMs)
      const abort = () => giveUp('cancelled', signal!.reason as Error)
      const done = (then: () => void) => {
        clearTimeout(timer)
        signal?.removeEventListener('abort', abort)
        pending.delete(call_id)
        then()
      }
      signal?.addEventListener('abort', abort, { once: true })
      pending.set(call_id, {
        chunks: 0,
        onChunk,
        settle: (outcome) => done(() => outcome instanceof GatewayError ? reject(outcome) : resolve(outcome.output)),
      })
      if (post(message)) return
      done(() => reject(new GatewayError('back_pressure', 'it takes no more calls at the moment', { sent: false })))
    })
  }

  /** In a later turn, so that who sends without waiting for it is found out. */
  function more(call_id: string): void {
    const waiting = pending.get(call_id)
    if (!waiting) return
    waiting.chunks -= CREDIT / 2
    post({ type: 'credit', call_id, chunks: CREDIT / 2 })
    if (waiting.chunks >= CREDIT / 2) setImmediate(more, call_id)
  }

  return {
    call,

    /** False when nobody waits for it. */
    answer(answer: Answer): boolean {
      const { call_id } = answer
      const waiting = pending.get(call_id)
      if (!waiting) return false
      if (answer.type === 'result') waiting.settle({ output: answer.output })
      else if (answer.type === 'failed') {
        const { code, message, retry_after_ms } = answer
        waiting.settle(new GatewayError(code, message, { retry_after_ms }))
      } else if (++waiting.chunks > CREDIT) {
        post({ type: 'cancel', call_id, reason: 'too many chunks' })
        waiting.settle(new GatewayError('flood', 'it sent more chunks than it had credit for'))
      } else {
        waiting.onChunk(answer.data)
        if (waiting.chunks === CREDIT / 2) setImmediate(more, call_id)
      }
      return true
    },

    failAll(error: GatewayError): void {
      for (const { settle } of [...pending.values()]) settle(error)
    },
  }
}
