import { randomUUID } from 'node:crypto'
import type { MiddlewareHandler } from 'hono'
import type { AppEnv } from './env.ts'
import { setHeaders } from './headers.ts'

/** Short and without characters that could break a log line. */
const SANE = /^[\w.:-]{1,128}$/

/** Takes the caller's `X-Request-Id` when it is sane, makes one otherwise, and echoes it on every answer. */
export const requestId = (): MiddlewareHandler<AppEnv> => async (c, next) => {
  const given = c.req.header('x-request-id')
  const id = given !== undefined && SANE.test(given) ? given : randomUUID()
  c.set('requestId', id)
  await next()
  setHeaders(c, [['x-request-id', id]])
}
