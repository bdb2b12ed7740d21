import { Buffer } from 'node:buffer'
import { createHmac, timingSafeEqual } from 'node:crypto'

/** A message that is older, or newer, is refused: it may be one that somebody recorded. */
const TOLERANCE_SECONDS = 300

export type Signed = { id: string; timestamp: string; signature: string }

/** The signature of https://www.standardwebhooks.com; a secret may be written as `whsec_` and base64. */
export function sign(secret: string, id: string, timestamp: string, body: string): string {
  const key = secret.startsWith('whsec_') ? Buffer.from(secret.slice(6), 'base64') : Buffer.from(secret)
  return `v1,${createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64')}`
}

/** Why a message is not believed; undefined when it is. `now` in seconds. */
export function problemOf(secret: string, { id, timestamp, signature }: Signed, body: string, now: number) {
  if (!id || !timestamp || !signature) return 'webhook-id, webhook-timestamp and webhook-signature are needed'
  if (!(Math.abs(now - Number(timestamp)) <= TOLERANCE_SECONDS)) return 'webhook-timestamp is not within five minutes'
  const wanted = Buffer.from(sign(secret, id, timestamp, body))
  // While a secret is changed there may be several.
  const matches = signature.split(' ').map((given) => Buffer.from(given)).some((given) =>
    given.length === wanted.length && timingSafeEqual(given, wanted)
  )
  return matches ? undefined : 'webhook-signature does not fit'
}
