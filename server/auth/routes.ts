import { type Context, Hono } from 'hono'
import {
  AuditQuery,
  CreateKeyInput,
  LoginInput,
  type Me,
  PairBrowserInput,
  RedeemInput,
  type Scope,
} from '../../shared/auth.ts'
import { isSameOrigin } from '../http/browser.ts'
import type { AppEnv } from '../http/env.ts'
import { foreignOrigin } from '../http/guard.ts'
import { operation } from '../http/operation.ts'
import { sessionCookie } from './browser-sessions.ts'
import { credentialOf } from './credentials.ts'
import { infoOf } from './middleware.ts'
import type { Auth, Opened } from './service.ts'

/** What the routes tell that auth itself does not know. */
export type AuthRoutesOptions = {
  /** The address that others reach this server by, if it is configured. */
  publicUrl: () => string | undefined
  about: () => { agent_name: string; version: string }
}

/** Everything about logging in, keys, browsers and the audit log; mounted at `/api`. */
export const authRoutes = (auth: Auth, { publicUrl, about }: AuthRoutesOptions) => {
  const addressOf = (c: Context<AppEnv>) => auth.peer(c.req.raw, infoOf(c)).address

  const setCookie = (c: Context<AppEnv>, token: string) =>
    c.header('set-cookie', sessionCookie(token, auth.peer(c.req.raw, infoOf(c)).scheme === 'https'))

  /** Sets the cookie; not for pages of other sites, which could log a browser in as someone else. */
  async function enter(c: Context<AppEnv>, open: () => Promise<Opened>): Promise<Response> {
    if (!isSameOrigin(c.req.raw, auth.peer(c.req.raw, infoOf(c)))) throw foreignOrigin()
    const { token, handle, scopes } = await open()
    setCookie(c, token)
    c.header('cache-control', 'no-store')
    return c.json({ handle, scopes })
  }

  return new Hono<AppEnv>()
    .post(
      '/auth/redeem',
      operation({
        id: 'redeemCode',
        summary: 'Open a browser session by a one-time code',
        scope: 'public',
        body: RedeemInput,
        returns: 'The handle and scopes; the session is in a cookie',
        errors: ['unauthorized', 'rate_limited'],
        limit: 4096,
      }),
      (c) => enter(c, () => auth.redeem(c.req.valid('json').code, c.req.raw, infoOf(c))),
    )
    .post(
      '/auth/login',
      operation({
        id: 'login',
        summary: 'Open a browser session by an API key',
        scope: 'public',
        body: LoginInput,
        returns: 'The handle and scopes; the session is in a cookie',
        errors: ['unauthorized', 'rate_limited'],
        limit: 4096,
      }),
      (c) => enter(c, () => auth.login(c.req.valid('json').token, c.req.raw, infoOf(c))),
    )
    .get(
      '/auth/me',
      operation({
        id: 'getMe',
        summary: 'Who is asking',
        scope: 'any',
        returns: 'The caller: id, kind, name, handle, scopes; and the name and version of this server',
      }),
      (c) => {
        const { id, kind, name, handle, scopes } = c.var.caller
        // The stored session slides with use; this makes the browser keep its cookie as long.
        const credential = credentialOf(c.req.raw.headers)
        if (credential?.kind === 'cookie') setCookie(c, credential.value)
        const me: Me = { id, kind, name, handle, scopes: [...scopes] as Scope[], ...about() }
        return c.json(me)
      },
    )
    .post(
      '/auth/logout',
      operation({
        id: 'logout',
        summary: 'End this browser session',
        scope: 'any',
        returns: '`ok`; the cookie is taken away',
      }),
      async (c) => {
        if (c.var.caller.kind === 'user') await auth.browsers.remove(c.var.caller, c.var.caller.id, addressOf(c))
        setCookie(c, '')
        return c.json({ ok: true })
      },
    )
    .get(
      '/keys',
      operation({
        id: 'listKeys',
        summary: 'List API keys, without their secrets',
        scope: 'admin',
        returns: '`keys`: id, name, prefix, handle, scopes, created_at, expires_at, last_used_at',
      }),
      async (c) => c.json({ keys: await auth.keys.list(c.var.caller) }),
    )
    .post(
      '/keys',
      operation({
        id: 'createKey',
        summary: 'Create an API key',
        description: 'The secret is in this answer and can never be read again.',
        scope: 'admin',
        body: CreateKeyInput,
        status: 201,
        returns: 'The `key` and its `secret`',
      }),
      async (c) => {
        const created = await auth.keys.create(c.var.caller, c.req.valid('json'), addressOf(c))
        c.header('cache-control', 'no-store')
        return c.json(created, 201)
      },
    )
    .delete(
      '/keys/:id',
      operation({
        id: 'removeKey',
        summary: 'Revoke an API key',
        scope: 'admin',
        errors: ['not_found'],
        returns: '`ok`',
      }),
      async (c) => {
        await auth.keys.remove(c.var.caller, c.req.param('id'), addressOf(c))
        return c.json({ ok: true })
      },
    )
    .get(
      '/browsers',
      operation({
        id: 'listBrowsers',
        summary: 'List logged-in browsers',
        scope: 'read',
        returns: '`browsers`: id, name, handle, scopes, address, created_at, last_seen_at, expires_at, current',
      }),
      async (c) => c.json({ browsers: await auth.browsers.list(c.var.caller) }),
    )
    .delete(
      '/browsers/:id',
      operation({
        id: 'removeBrowser',
        summary: 'Log a browser out',
        description: 'The id `others` logs out all other browsers of the caller.',
        scope: 'read',
        errors: ['not_found'],
        returns: '`ok`, and how many were `removed`',
      }),
      async (c) => {
        const id = c.req.param('id')
        if (id === 'others') {
          return c.json({ ok: true, removed: await auth.browsers.removeOthers(c.var.caller, addressOf(c)) })
        }
        await auth.browsers.remove(c.var.caller, id, addressOf(c))
        return c.json({ ok: true, removed: 1 })
      },
    )
    .post(
      '/pairings/browser',
      operation({
        id: 'pairBrowser',
        summary: 'Make a link and a code for another browser',
        scope: 'admin',
        body: PairBrowserInput,
        status: 201,
        returns: 'The `code` to type, the `url`, its `qr` picture as SVG, and `expires_at`',
      }),
      async (c) => {
        const { address, scheme, host } = auth.peer(c.req.raw, infoOf(c))
        const base = publicUrl() ?? `${scheme}://${host}`
        c.header('cache-control', 'no-store')
        return c.json(await auth.links.pair(c.var.caller, base, c.req.valid('json'), address), 201)
      },
    )
    .get(
      '/audit/verify',
      operation({
        id: 'verifyAudit',
        summary: 'Whether the audit log is as it was written',
        description: 'Recomputes the hash of every row. `broken` names the first that was changed or removed.',
        scope: 'admin',
        returns: '{ok, rows, chained, head, broken}',
      }),
      async (c) => c.json(await auth.audit.verify()),
    )
    .get(
      '/audit',
      operation({
        id: 'listAudit',
        summary: 'Who did what, newest first',
        scope: 'admin',
        query: AuditQuery,
        returns: '`items` and `nextCursor`',
      }),
      async (c) => {
        const query = c.req.valid('query')
        const page = await auth.audit.list(query)
        if (page.nextCursor !== null) {
          const next = new URLSearchParams({ limit: '50', ...c.req.query(), cursor: page.nextCursor })
          c.header('link', `</api/audit?${next}>; rel="next"`)
        }
        return c.json(page)
      },
    )
}
