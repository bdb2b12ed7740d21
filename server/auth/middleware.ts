import type { Context, MiddlewareHandler } from 'hono'
import { AppError } from '../errors.ts'
import { isAmbient, isSameOrigin } from '../http/browser.ts'
import type { AppEnv } from '../http/env.ts'
import { foreignOrigin } from '../http/guard.ts'
import type { Auth, RequestInfo } from './service.ts'

const SAFE = new Set(['GET', 'HEAD', 'OPTIONS'])

/** What the middleware lets through without asking. */
export type AuthenticateOptions = {
  /** Routes that answer a stranger. */
  isPublic: (request: { method: string; path: string }) => boolean
  /** Where credentials are none of ours to judge, for whoever answers checks its own. */
  isOpen?: (request: { method: string; path: string }) => boolean
}

/**
 * Sets `c.var.caller` or throws `unauthorized`. A write that a browser's own credentials let in must come from our
 * pages (`forbidden` otherwise); with a token in a header no other site can have caused it. On a public route it is
 * a stranger's then.
 */
export const authenticate =
  (auth: Auth, { isPublic, isOpen }: AuthenticateOptions): MiddlewareHandler<AppEnv> => async (c, next) => {
    const { method, path } = c.req
    const request = c.req.raw
    const info = infoOf(c)
    if (isOpen?.({ method, path })) return await next()
    const isForeign = () => !SAFE.has(method) && isAmbient(request) && !isSameOrigin(request, auth.peer(request, info))
    if (isPublic({ method, path })) {
      // A health check tells somebody that we know more; a wrong credential is no reason to refuse one.
      const caller = await auth.authenticate(request, info).catch(expectAppError)
      if (caller && !isForeign()) c.set('caller', caller)
    } else {
      c.set('caller', await auth.requireCaller(request, info))
      if (isForeign()) throw foreignOrigin()
    }
    await next()
  }

function expectAppError(error: unknown): undefined {
  if (!(error instanceof AppError)) throw error
}

/** What the runtime told about the connection. */
export const infoOf = (c: Context): RequestInfo => ({
  remoteAddress: (c.env as { remoteAddress?: string } | undefined)?.remoteAddress ?? '',
})
