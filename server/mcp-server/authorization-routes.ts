import { type Context, Hono, type MiddlewareHandler } from 'hono'
import * as v from 'valibot'
import { Scope } from '../../shared/auth.ts'
import { AppError } from '../errors.ts'
import type { AppEnv } from '../http/env.ts'
import { setHeaders } from '../http/headers.ts'
import { operation } from '../http/operation.ts'
import {
  type Authorization,
  type AuthorizationRequest,
  AuthorizeQuery,
  OAuthRefusal,
  RegisterInput,
} from './authorization.ts'
import { consentPage, messagePage, type Page, returnPage } from './consent-page.ts'

const METADATA = '/.well-known/oauth-protected-resource'
const AUTHORIZE = '/api/oauth/authorize'
const TOKEN = '/api/oauth/token'
const REGISTER = '/api/oauth/register'
const SCOPES = ['read', 'chat', 'admin']

/** How the client reaches this server, without a slash at the end. */
export type BaseOf = (c: Context<AppEnv>) => string

/** Tells a client that brought no credential where to get one (RFC 9728 §5.1). Stands before authentication. */
export const mcpChallenge = (base: BaseOf): MiddlewareHandler<AppEnv> => async (c, next) => {
  await next()
  if (c.res.status !== 401) return
  const where = `Bearer resource_metadata="${base(c)}${METADATA}/mcp", scope="read chat"`
  setHeaders(c, [['www-authenticate', where]])
}

/** OAuth 2.1 for MCP clients: metadata, registration, consent and token. */
export function authorizationRoutes(
  authorization: Authorization,
  { base, agentName }: { base: BaseOf; agentName: () => string },
) {
  const resource = (c: Context<AppEnv>): string => `${base(c)}/mcp`
  const show = (c: Context<AppEnv>, { html, headers }: Page, status: 200 | 400 = 200) => c.html(html, status, headers)

  const metadata = (c: Context<AppEnv>) =>
    c.json({
      resource: resource(c),
      resource_name: agentName(),
      authorization_servers: [base(c)],
      scopes_supported: SCOPES,
      bearer_methods_supported: ['header'],
    })
  const metadataDoc = (id: string) =>
    operation({
      id,
      summary: 'Where an MCP client signs in (RFC 9728)',
      scope: 'public',
      returns: 'Protected resource metadata',
    })

  return new Hono<AppEnv>()
    .get(METADATA, metadataDoc('oauthResource'), metadata)
    .get(`${METADATA}/mcp`, metadataDoc('oauthResourceMcp'), metadata)
    .get(
      '/.well-known/oauth-authorization-server',
      operation({
        id: 'oauthServer',
        summary: 'How an MCP client signs in (RFC 8414)',
        scope: 'public',
        returns: 'Authorization server metadata',
      }),
      (c) =>
        c.json({
          issuer: base(c),
          authorization_endpoint: base(c) + AUTHORIZE,
          token_endpoint: base(c) + TOKEN,
          registration_endpoint: base(c) + REGISTER,
          scopes_supported: SCOPES,
          response_types_supported: ['code'],
          response_modes_supported: ['query'],
          grant_types_supported: ['authorization_code'],
          code_challenge_methods_supported: ['S256'],
          token_endpoint_auth_methods_supported: ['none'],
          authorization_response_iss_parameter_supported: true,
        }),
    )
    .post(
      REGISTER,
      operation({
        id: 'oauthRegister',
        summary: 'Register an MCP client (RFC 7591)',
        scope: 'public',
        body: RegisterInput,
        status: 201,
        returns: 'The client as it was registered',
        limit: 16_384,
      }),
      (c) => {
        c.header('cache-control', 'no-store')
        return c.json(authorization.register(c.req.valid('json')), 201)
      },
    )
    .get(
      AUTHORIZE,
      operation({
        id: 'oauthAuthorize',
        summary: 'Ask the owner to let an MCP client in',
        description: 'A page for the browser of the owner; it goes back to the client with a code.',
        scope: 'public',
        media: 'text/html',
        returns: 'A page',
      }),
      (c) =>
        withRequest(c, (request, query) => {
          const caller = c.get('caller') as AppEnv['Variables']['caller'] | undefined
          if (caller?.kind === 'user') {
            if (caller.scopes.has('admin')) return show(c, consentPage(request, agentName(), query))
            return show(c, messagePage('Not allowed', 'Only an admin may let a program in. Use a browser that is one.'))
          }
          if (c.req.query('again') === undefined) return show(c, returnPage(`?${query}&again=1`))
          return show(
            c,
            messagePage('Sign in first', 'Open Gatehouse in this browser, sign in there, then load this page again.'),
          )
        }),
    )
    .post(
      AUTHORIZE,
      operation({
        id: 'oauthConsent',
        summary: 'The answer of the owner to that page',
        scope: 'admin',
        media: 'text/html',
        returns: 'Goes back to the client',
        ownKey: 'Not used here',
      }),
      (c) =>
        withRequest(c, async (request) => {
          const form = await c.req.parseBody({ all: true })
          if (form.decision !== 'allow') throw new OAuthRefusal('access_denied', 'The owner said no')
          const scopes = [form.scope].flat().filter((scope): scope is Scope => v.is(Scope, scope))
          if (scopes.length === 0) return show(c, messagePage('Nothing chosen', 'Go back and choose what it may.'), 400)
          const days = Math.min(365, Math.max(1, Math.floor(Number(form.days)) || 1))
          const code = await authorization.consent(c.var.caller, request, { scopes, days })
          return back(c, request, { code })
        }),
    )
    .post(
      TOKEN,
      operation({
        id: 'oauthToken',
        summary: 'Exchange a code for an API key',
        scope: 'public',
        returns: '{access_token, token_type, expires_in, scope}',
        limit: 16_384,
      }),
      async (c) => {
        const form = Object.fromEntries(new URLSearchParams(await smallText(c)))
        c.header('cache-control', 'no-store')
        try {
          return c.json(await authorization.exchange(form, resource(c)))
        } catch (error) {
          if (error instanceof OAuthRefusal) {
            return c.json({ error: error.code, error_description: error.message }, 400)
          }
          throw error
        }
      },
    )

  /** Reads the request in the address; what is wrong with it is shown, or told to the client where that is known. */
  async function withRequest(
    c: Context<AppEnv>,
    work: (request: AuthorizationRequest, query: string) => Response | Promise<Response>,
  ): Promise<Response> {
    const query = v.safeParse(AuthorizeQuery, c.req.query())
    if (!query.success) {
      const [{ path, message }] = query.issues
      return show(c, messagePage('This can not work', `${String(path?.[0]?.key)}: ${message}`), 400)
    }
    try {
      const { again: _, ...rest } = c.req.query()
      return await work(authorization.read(query.output, resource(c)), new URLSearchParams(rest).toString())
    } catch (error) {
      // A stranger's browser is sent nowhere: anybody can register an address.
      if (error instanceof OAuthRefusal && c.get('caller')) {
        return back(c, query.output, { error: error.code, error_description: error.message })
      }
      if (error instanceof OAuthRefusal || (error instanceof AppError && error.code === 'invalid_input')) {
        return show(c, messagePage('This can not work', error.message), 400)
      }
      throw error
    }
  }

  function back(c: Context<AppEnv>, { redirect_uri, state }: AuthorizeQuery, answer: Record<string, string>): Response {
    const url = new URL(redirect_uri)
    for (const [name, value] of Object.entries({ ...answer, ...(state ? { state } : {}), iss: base(c) })) {
      url.searchParams.set(name, value)
    }
    c.header('cache-control', 'no-store')
    return c.redirect(url.href, 303)
  }
}

async function smallText(c: Context): Promise<string> {
  const text = await c.req.text()
  if (text.length > 16_384) throw new AppError('too_large', 'The body is larger than 16384 bytes')
  return text
}
