import { Hono } from 'hono'
import * as v from 'valibot'
import { AppError } from '../errors.ts'
import type { AppEnv } from '../http/env.ts'
import { operation } from '../http/operation.ts'
import { clientMetadata } from './oauth.ts'
import type { McpClients } from './service.ts'
import { CALLBACK_PATH, CLIENT_PATH, identityOf } from './sign-in.ts'

const text = v.optional(v.pipe(v.string(), v.maxLength(4096)))
const CallbackQuery = v.object({ state: text, code: text, error: text, error_description: text, iss: text })

/**
 * The way back from a sign-in. A browser that comes from another site brings no session of ours, so it is the state,
 * which nobody can guess and which counts once, that lets it in.
 */
export const mcpPublicRoutes = (mcp: McpClients, origin: (request: Request) => string) =>
  new Hono<AppEnv>()
    .get(
      CALLBACK_PATH,
      operation({
        id: 'mcpSignInCallback',
        summary: 'Where a browser comes back to after a sign-in at an MCP server',
        scope: 'public',
        query: CallbackQuery,
        media: 'text/html',
        returns: 'A page that says how it went',
      }),
      async (c) => {
        const { state, code, error, error_description, iss } = c.req.valid('query')
        try {
          const name = await mcp.signIn.finish({ state: state ?? '', code, error: error_description ?? error, iss })
          return c.html(page('Signed in', `You are signed in at ${name}. You may close this page.`), 200, HEADERS)
        } catch (failure) {
          if (!(failure instanceof AppError)) throw failure
          return c.html(page('Not signed in', failure.message), failure.status as 400, HEADERS)
        }
      },
    )
    .get(
      CLIENT_PATH,
      operation({
        id: 'mcpClientMetadata',
        summary: 'Our client metadata document, for authorization servers of MCP servers',
        scope: 'public',
        returns: 'OAuth client metadata',
      }),
      (c) => c.json(clientMetadata(identityOf(origin(c.req.raw)))),
    )

const HEADERS = {
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'cache-control': 'no-store',
  // The code stands in the address of this page.
  'referrer-policy': 'no-referrer',
}

const escape = (plain: string): string => plain.replace(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`)

const page = (title: string, message: string): string =>
  `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">` +
  `<title>${escape(title)}</title><h1>${escape(title)}</h1><p>${escape(message)}</p></html>`
