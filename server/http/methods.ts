import type { Hono } from 'hono'
import type { AppEnv } from './env.ts'
import { docOf } from './operation.ts'

const METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'] as const

/** Methods that a path answers, `HEAD` and `OPTIONS` included; empty for a path that nobody knows. */
export type MethodsOf = (path: string) => string[]

/** Asks the router itself, so that a path's pattern is read in one way only. */
export const methodsOf = (app: Hono<AppEnv>): MethodsOf => (path) => {
  const known = METHODS.filter((method) => app.router.match(method, path)[0].some(([[handler]]) => docOf(handler)))
  if (known.length === 0) return []
  return [...known, ...(known[0] === 'GET' ? ['HEAD'] : []), 'OPTIONS']
}
