import { AppError } from '../errors.ts'
import { isLoopback, type Peer } from '../http/peer.ts'
import type { Audit } from './audit.ts'
import { addressKey, createRateLimit } from './rate-limit.ts'

/** Where a try came from. */
export type Origin = { address: string; isLocal: boolean }

/**
 * Slows down guessing, by address and apart for tokens and codes. A wrong credential beyond the limit gets 429.
 * The right one is let in all the same when it can't be guessed (20 characters or more) or comes from this machine:
 * else anybody behind the same address could lock the owner out.
 */
export type WrongTries = {
  /** Throws `rate_limited` when this address must wait before a guessable secret is even looked at. */
  check(what: 'token' | 'code', secret: string, from: () => Origin): void
  /** Counts a wrong try and throws `rate_limited` when there were too many. */
  count(what: 'token' | 'code', from: Origin, route: string): Promise<void>
}

/** A secret with fewer characters might be found by trying. */
export const GUESSABLE_BELOW = 20
const PER_MINUTE = 10
/** All programs of this machine share one address. */
const LOCAL_PER_MINUTE = 100
/** Of all addresses together, so that a flood doesn't fill the audit log. */
const RECORDED_PER_MINUTE = 100

/** Counts in memory; a restart forgives. */
export function createWrongTries({ audit, now }: { audit: Audit; now: () => number }): WrongTries {
  const remote = createRateLimit({ max: PER_MINUTE, windowMs: 60_000, now })
  const local = createRateLimit({ max: LOCAL_PER_MINUTE, windowMs: 60_000, now })
  const recorded = createRateLimit({ max: RECORDED_PER_MINUTE, windowMs: 60_000, now })
  return {
    check(what, secret, from) {
      if (secret.length >= GUESSABLE_BELOW) return
      const { address, isLocal } = from()
      if (isLocal) return
      const seconds = remote.blockedFor(`${what} ${addressKey(address)}`)
      if (seconds > 0) throw tooMany(seconds)
    },
    async count(what, { address, isLocal }, route) {
      const seconds = (isLocal ? local : remote).hit(`${what} ${addressKey(address)}`)
      if (seconds > 0) throw tooMany(seconds)
      if (recorded.hit('all') > 0) return
      await audit.record({ action: 'login.failed', detail: { what, route }, address })
    },
  }
}

/** A proxy on this machine adds `X-Forwarded-For`; what it forwards doesn't come from this machine. */
export const originOf = (request: Request, { address }: Peer): Origin => ({
  address,
  isLocal: isLoopback(address) && !request.headers.has('x-forwarded-for') && !request.headers.has('forwarded'),
})

const tooMany = (seconds: number): AppError =>
  new AppError('rate_limited', `Too many wrong credentials from this address. Try again in ${seconds} s.`, {
    headers: { 'retry-after': String(seconds) },
  })
