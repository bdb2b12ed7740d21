import type { Context } from 'hono'
import type { Bus } from '../bus/bus.ts'
import type { AppEnv } from './env.ts'

/**
 * Aborts when the client goes, when its key or browser is revoked and when the server stops, so that no stream
 * outlives its right or holds up a stop.
 */
export function streamSignal(c: Context<AppEnv>, bus: Bus): AbortSignal {
  const controller = new AbortController()
  const client = c.req.raw.signal
  const { id } = c.var.caller
  const unsubscribe = bus.subscribe((event) => {
    if (event.type === 'stopping' || (event.type === 'principal_revoked' && event.id === id)) controller.abort()
  })
  controller.signal.addEventListener('abort', unsubscribe, { once: true })
  if (client.aborted) controller.abort()
  else client.addEventListener('abort', () => controller.abort(), { once: true, signal: controller.signal })
  return controller.signal
}
