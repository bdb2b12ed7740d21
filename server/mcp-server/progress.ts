import type { ToolProgress } from '../../shared/turn-events.ts'
import type { CallContext } from './features.ts'

/** Between two notifications; a client draws no more than a few a second. */
const GAP_MS = 200
const LONGEST = 500

/** Tells the client how far a call is; undefined where it did not ask to be told. */
export function createProgress({ extra }: Pick<CallContext, 'extra'>): ((update: ToolProgress) => void) | undefined {
  const token = extra._meta?.progressToken
  if (token === undefined) return undefined
  let told = -1
  let last = 0
  return ({ progress, total, message }) => {
    const now = Date.now()
    // The protocol wants a number that only grows.
    if (progress <= told || now - last < GAP_MS) return
    told = progress
    last = now
    const shown = message === undefined ? {} : { message: message.slice(0, LONGEST) }
    const params = { progressToken: token, progress, ...(total === undefined ? {} : { total }), ...shown }
    // A client that is gone misses nothing.
    extra.sendNotification({ method: 'notifications/progress', params }).catch(() => {})
  }
}
