import type { Context } from 'hono'
import * as v from 'valibot'
import { SessionId } from '../../shared/sessions.ts'
import { invalid } from '../errors.ts'

/** A count in a query: `fallback` when left out, never above `max`. */
export const wholeNumber = (fallback: number, max: number) =>
  v.optional(
    v.pipe(
      v.string(),
      v.regex(/^\d{1,15}$/, 'must be a whole number'),
      v.transform(Number),
      v.minValue(1),
      v.transform((n) => Math.min(n, max)),
    ),
    String(fallback),
  )

/** An offset of the event log in a query. */
export const Offset = v.optional(
  v.pipe(v.string(), v.regex(/^\d{1,15}$/, 'must be an offset of the event log'), v.transform(Number)),
)

/** A message id in a query; `nextCursor` of a transcript is one. */
export const MessageId = v.optional(
  v.pipe(v.string(), v.regex(/^(run-msg-)?\d{1,15}$/, 'must look like run-msg-123, as in nextCursor')),
)

/** The session id of the path, which clients choose and strangers may probe. */
export function sessionIdOf(c: Context): string {
  const id = v.safeParse(SessionId, c.req.param('id'))
  if (!id.success) throw invalid('session_id', id.issues[0].message)
  return id.output
}

/** Where a reader resumes; the header that a browser sends by itself wins over the address it first asked. */
export function resumeFrom(c: Context, query: number | undefined): number | undefined {
  const header = c.req.header('last-event-id')
  return header !== undefined && /^\d{1,15}$/.test(header) ? Number(header) : query
}
