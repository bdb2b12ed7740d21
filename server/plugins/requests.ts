import { GatewayError } from './gateway.ts'

/** Ids of commands that nobody waits for any more, for answers that come late. */
const REMEMBERED = 1000

type Answer = { message_id?: string }
type Pending = { promise: Promise<Answer>; settle: (answer: Answer | GatewayError) => void }

export type Requests = ReturnType<typeof createRequests>

/** Commands that wait for their answer, by request id. */
export function createRequests() {
  const pending = new Map<string, Pending>()
  const late = new Set<string>()

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
      const settle = (answer: Answer | GatewayError) => {
        clearTimeout(timer)
        pending.delete(id)
        if (answer instanceof GatewayError) reject(answer)
        else resolve(answer)
      }
      const timer = setTimeout(() => {
        remember(id)
        settle(new GatewayError('timeout', `The plugin did not answer within ${ms / 1000} s`))
      }, ms)
      pending.set(id, { promise, settle })
      return promise
    },

    /** `late` when its deadline was over, `unknown` when nobody asked. */
    settle(id: string, answer: Answer | GatewayError): 'settled' | 'late' | 'unknown' {
      const request = pending.get(id)
      if (!request) return late.delete(id) ? 'late' : 'unknown'
      request.settle(answer)
      return 'settled'
    },

    failAll(error: GatewayError): void {
      for (const { settle } of [...pending.values()]) settle(error)
    },
  }

  function remember(id: string): void {
    late.add(id)
    if (late.size > REMEMBERED) late.delete(late.values().next().value!)
  }
}
