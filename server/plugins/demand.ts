import { GatewayError } from './gateway.ts'
import type { Supervisor } from './supervisor.ts'

/** Lets a plugin that is started on demand sleep when nobody calls it, and wakes it for a call. */
export function createDemand({ name, supervisor, isOnDemand, idleMs }: {
  name: string
  supervisor: Pick<Supervisor, 'state' | 'problem' | 'start' | 'stop'>
  isOnDemand: () => boolean
  idleMs: () => number
}) {
  const waiting = new Set<() => void>()
  let running = 0
  let timer: ReturnType<typeof setTimeout> | undefined

  function settle(): void {
    clearTimeout(timer)
    if (running > 0 || supervisor.state !== 'ready' || !isOnDemand()) return
    timer = setTimeout(() => {
      if (running === 0 && supervisor.state === 'ready' && isOnDemand()) void supervisor.stop()
    }, idleMs())
    ;(timer as { unref?: () => void }).unref?.()
  }

  return {
    /** To be called whenever the state changes. */
    stateChanged(): void {
      settle()
      for (const look of [...waiting]) look()
    },

    /** Resolves when it runs, which it is made to; rejects with `GatewayError` when it does not in time, or at all. */
    async awake(ms: number, signal: AbortSignal | undefined): Promise<void> {
      if (supervisor.state === 'ready') return
      const refusal = (why: string) => new GatewayError('gone', `The plugin ${name} ${why}`, { sent: false })
      if (!isOnDemand()) throw refusal('is not running')
      signal?.throwIfAborted()
      supervisor.start()
      await new Promise<void>((resolve, reject) => {
        const done = (then: () => void) => {
          clearTimeout(late)
          waiting.delete(look)
          signal?.removeEventListener('abort', abort)
          then()
        }
        const abort = () => done(() => reject(signal!.reason as Error))
        const late = setTimeout(() => done(() => reject(refusal('was not ready in time'))), ms)
        const look = () => {
          if (supervisor.state === 'ready') done(resolve)
          else if (supervisor.state === 'quarantined' || supervisor.state === 'failed') {
            done(() => reject(refusal(`does not run: ${supervisor.problem}`)))
          }
        }
        waiting.add(look)
        signal?.addEventListener('abort', abort, { once: true })
        look()
      })
    },

    /** It does not go to sleep meanwhile. */
    async during<T>(work: () => Promise<T>): Promise<T> {
      running++
      clearTimeout(timer)
      try {
        return await work()
      } finally {
        running--
        settle()
      }
    },
  }
}
