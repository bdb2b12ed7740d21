import { GatewayError } from './gateway.ts'

/** Ids of commands that nobody waits for any more, for answers that come late. */
const REMEMBERED = 1000

type Answer = { message_id?: string }
type Pending = {
  promise: Promise<Answer>
  resolve: (answer: Answer) => void
  reject: (error: GatewayError) => void
  ms: number
  /** When it is given up; on the clock of `performance`. */
  due: number
}

export type Requests = ReturnType<typeof createRequests>

/** Commands that wait for their answer, by request id. */
export function createRequests() {
  const pending = new Map<string, Pending>()
  const late = new Set<string>()
  /** One timer for all of them: a timer for each is what takes most of a round trip. */
  let timer: ReturnType<typeof setTimeout> | undefined
  let rings = Infinity

  function ringAt(due: number): void {
    if (due >= rings) return
    clearTimeout(timer)
    rings = due
    timer = setTimeout(expire, Math.max(1, Math.ceil(due - performance.now())))
    ;(timer as { unref?: () => void }).unref?.()
  }

  function expire(): void {
    const now = performance.now()
    rings = Infinity
    let next = Infinity
    for (const [id, request] of [...pending]) {
      if (request.due > now) next = Math.min(next, request.due)
      else {
        remember(id)
        settle(id, new GatewayError('timeout', `The plugin did not answer within ${request.ms / 1000} s`))
      }
    }
    if (next < Infinity) ringAt(next)
  }

  /** `late` when its deadline was over, `unknown` when nobody asked. */
  function settle(id: string, answer: Answer | GatewayError): 'settled' | 'late' | 'unknown' {
    const request = pending.get(id)
    if (!request) return late.delete(id) ? 'late' : 'unknown'
    pending.delete(id)
    if (answer instanceof GatewayError) request.reject(answer)
    else request.resolve(answer)
    return 'settled'
  }

  function remember(id: string): void {
    late.add(id)
    if (late.size > REMEMBERED) late.delete(late.values().next().value!)
  }

  return {
    find: (id: string): Promise<Answer> | undefined => pending.get(id)?.promise,

    open(id: string, ms: number): Promise<Answer> {
      late.delete(id)
      let resolve: (answer: Answer) => void = () => {}
      let reject: (error: GatewayError) => void = () => {}
      const promise = new Promise<Answer>((yes, no) => {
        resolve = yes
        reject = no
      })
      const due = performance.now() + ms
      pending.set(id, { promise, resolve, reject, ms, due })
      ringAt(due)
      return promise
    },

    settle,

    failAll(error: GatewayError): void {
      for (const id of [...pending.keys()]) settle(id, error)
    },
  }
}
