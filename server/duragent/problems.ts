import type { MiddlewareHandler } from 'hono'
import type { Problem } from '../../shared/problem.ts'
import type { AppEnv } from '../http/env.ts'

/** Titles and types as Duragent's clients know them; other codes keep our own word in the same name space. */
const KNOWN: Record<number, { type: string; title: string }> = {
  400: { type: 'bad-request', title: 'Bad Request' },
  404: { type: 'not-found', title: 'Not Found' },
  500: { type: 'internal-error', title: 'Internal Error' },
}

/**
 * Gives every error below it the type that Duragent's clients look for, and keeps our further fields.
 * It stands before authentication and the router, so that their refusals look the same.
 */
export const duragentProblems: MiddlewareHandler<AppEnv> = async (c, next) => {
  await next()
  if (!(c.res.headers.get('content-type') ?? '').startsWith('application/problem+json')) return
  const problem = (await c.res.json()) as Problem
  const known = KNOWN[problem.status]
  const type = known?.type ?? problem.code.replaceAll('_', '-')
  const body = { ...problem, type: `urn:duragent:problem:${type}`, title: known?.title ?? problem.title }
  const { status, headers } = c.res
  c.res = undefined
  c.res = new Response(JSON.stringify(body), { status, headers })
}
