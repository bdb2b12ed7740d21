import { PluginError } from '../sdk/errors.ts'
import { sign } from './signature.ts'

const TIMEOUT_MS = 20_000

/** Posts a record to the other side; its answer may name the message. The id is the same when it is sent again. */
export function createOutgoing({ url, secret, signal, reached }: {
  url: string
  secret: string
  signal: AbortSignal
  reached: (now: boolean) => void
}) {
  return async (id: string, record: Record<string, unknown>): Promise<string | undefined> => {
    const body = JSON.stringify(record)
    const timestamp = String(Math.floor(Date.now() / 1000))
    let response: Response
    try {
      response = await fetch(url, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          'webhook-id': id,
          'webhook-timestamp': timestamp,
          'webhook-signature': sign(secret, id, timestamp, body),
        },
        body,
        // A signed record goes to the address that was set, and nowhere else.
        redirect: 'error',
        signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]),
      })
    } catch (cause) {
      reached(false)
      throw new PluginError('not_connected', `${new URL(url).host} can not be reached`, { cause })
    }
    reached(true)
    if (response.ok) {
      const answer = await response.json().catch(() => ({})) as { message_id?: unknown } | null
      return typeof answer?.message_id === 'string' ? answer.message_id : id
    }
    await response.body?.cancel()
    const { status } = response
    const seconds = Number(response.headers.get('retry-after'))
    const code = status === 429
      ? 'rate_limited'
      : status === 401
      ? 'unauthorized'
      : status === 404
      ? 'chat_not_found'
      : status >= 500
      ? 'platform_error'
      : 'invalid_request'
    throw new PluginError(code, `${new URL(url).host} answered ${status}`, {
      ...(seconds > 0 ? { retryAfterMs: seconds * 1000 } : {}),
    })
  }
}
