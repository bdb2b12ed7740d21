import { createHash } from 'node:crypto'
import { AppError } from '../errors.ts'

/** A strong entity tag (RFC 9110 §8.8.3) of a text. */
export const etagOf = (text: string): string => `"${createHash('sha256').update(text).digest('hex').slice(0, 32)}"`

/** Whether a list of tags, as in `If-Match` and `If-None-Match`, has this one; `*` is any. */
export const matches = (header: string, etag: string): boolean =>
  header.split(',').map((tag) => tag.trim().replace(/^W\//, '')).some((tag) => tag === '*' || tag === etag)

/** Throws `precondition_failed`, with the tag as it is now, when the client's `If-Match` is of an earlier state. */
export function demandMatch(ifMatch: string | undefined, etag: string, what: string): void {
  if (ifMatch === undefined || matches(ifMatch, etag)) return
  throw new AppError(
    'precondition_failed',
    `${what} has changed since you read it. Read it again, and repeat your change on what is there now.`,
    { headers: { etag } },
  )
}
