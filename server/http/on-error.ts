import type { ErrorHandler, NotFoundHandler } from 'hono'
import type { Problem } from '../../shared/problem.ts'
import { unwritable } from '../db/sql-error.ts'
import { AppError } from '../errors.ts'
import type { Log } from '../system/log.ts'
import type { AppEnv } from './env.ts'
import type { MethodsOf } from './methods.ts'

const RETRYABLE = new Set([408, 429, 502, 503, 504])

/** The one place where a thrown error becomes an answer (RFC 9457, spec conventions §4.3). */
export const onError = (log: Log): ErrorHandler<AppEnv> => (error, c) => {
  const requestId = c.var.requestId ?? ''
  if (error instanceof AppError) return problem(error, c.req.path, requestId)
  const refused = unwritable(error)
  log.error(refused ? 'http.not_stored' : 'http.failed', 'A request failed', {
    requestId,
    method: c.req.method,
    path: c.req.path,
    error: error.stack ?? String(error),
  })
  if (refused) return problem(refused, c.req.path, requestId)
  return problem(
    new AppError('internal', 'Something went wrong in the server; its log has the details under this request id'),
    c.req.path,
    requestId,
  )
}

/** A path that nobody knows answers 404; one that is known by other methods answers 405 and names them. */
export const onNotFound = (methodsOf: MethodsOf): NotFoundHandler<AppEnv> => (c) => {
  const { method, path } = c.req
  const allowed = methodsOf(path)
  const error = allowed.length === 0
    ? new AppError('not_found', `There is no ${method} ${path}`)
    : new AppError('method_not_allowed', `${path} does not take ${method}; it takes ${allowed.join(', ')}`, {
      headers: { allow: allowed.join(', ') },
    })
  return problem(error, path, c.var.requestId ?? '')
}

/** `error` as an `application/problem+json` response. */
export function problem(error: AppError, instance: string, requestId: string): Response {
  const body: Problem & { instance: string } = {
    type: `urn:gatehouse:problem:${error.code.replaceAll('_', '-')}`,
    title: error.code.replaceAll('_', ' '),
    status: error.status,
    detail: error.message,
    instance,
    code: error.code,
    error: error.message,
    requestId,
    retryable: RETRYABLE.has(error.status),
    ...(error.errors.length > 0 ? { errors: error.errors } : {}),
  }
  return new Response(JSON.stringify(body), {
    status: error.status,
    headers: { 'content-type': 'application/problem+json; charset=utf-8', ...error.headers },
  })
}
