import type { Context } from 'hono'
import type { Bus } from '../bus/bus.ts'
import type { AppEnv } from './env.ts'
import { afterStream } from './sse.ts'

/** By request, so that what listens for its end does not outlive its answer. */
const open = new WeakMap<Request, AbortController[]>()

/**
 * Aborts when the client goes, when its key or browser is revoked and when the server stops, so that no stream
 * outlives its right or holds up a stop; and when the answer is complete.
 */
export function streamSignal(c: Context<AppEnv>, bus: Bus): AbortSignal {
  const controller = new AbortController()
  const others = open.get(c.req.raw)
  if (others) others.push(controller)
  else open.set(c.req.raw, [controller])
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

/** Called with each answer: ends its signals now or, when it is a stream, once that has ended by itself. */
export function endSignals(c: Context): void {
  const controllers = open.get(c.req.raw)
  if (!controllers) return
  const end = (): void => controllers.forEach((controller) => controller.abort())
  if (c.error) return end()
  const isStream = c.res.headers.get('content-type')?.startsWith('text/event-stream')
  if (!afterStream(c.res, end) && !isStream) end()
}
