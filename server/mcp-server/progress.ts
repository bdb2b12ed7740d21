import type { CallContext } from './features.ts'

/** Between two notifications; a client draws no more than a few a second. */
const GAP_MS = 200

/** Tells the client how far a call is, if it asked to be told; the number only ever grows, as the protocol wants. */
export function createProgress({ extra }: Pick<CallContext, 'extra'>): (message: string) => void {
  const token = extra._meta?.progressToken
  if (token === undefined) return () => {}
  let progress = 0
  let last = 0
  return (message) => {
    const now = Date.now()
    if (now - last < GAP_MS) return
    last = now
    // A client that is gone misses nothing.
    extra.sendNotification({
      method: 'notifications/progress',
      params: { progressToken: token, progress: ++progress, message: message.slice(0, 500) },
    }).catch(() => {})
  }
}
