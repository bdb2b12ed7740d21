import { type Context, Hono } from 'hono'
import { PLUGIN_ROUTES } from '../../shared/plugin-routes.ts'
import type { AppEnv } from '../http/env.ts'
import { operation, readBytes } from '../http/operation.ts'
import type { InboundRequests } from './inbound.ts'

const PATH = `${PLUGIN_ROUTES}/:name/*`

/** Webhooks and pages of plugins. `remote` tells the address of the sender. */
export function inboundRoutes(inbound: InboundRequests, remote: (c: Context<AppEnv>) => string) {
  const doc = (id: string, what: string) =>
    operation({
      id,
      summary: `${what} a route of a plugin`,
      description: 'Where there is one, its manifest says, and whether the plugin checks the sender itself or a key ' +
        'with the scope "admin" is needed. The answer is the plugin\'s own, without the rights of this origin.',
      scope: 'public',
      media: '*/*',
      returns: 'What the plugin answers',
      errors: [
        'not_found',
        'method_not_allowed',
        'timeout',
        'too_large',
        'rate_limited',
        'bad_gateway',
        'unavailable',
        'upstream_timeout',
      ],
    })
  const answer = (c: Context<AppEnv>): Promise<Response> => {
    const { pathname, search } = new URL(c.req.url)
    return inbound.answer({
      method: c.req.method,
      path: pathname,
      query: search.slice(1),
      headers: c.req.raw.headers,
      body: (limit) => readBytes(c, limit),
      remote: remote(c),
      caller: c.var.caller,
    })
  }
  return new Hono<AppEnv>()
    .get(PATH, doc('getPluginRoute', 'Ask'), answer)
    .post(PATH, doc('postPluginRoute', 'Send to'), answer)
    .put(PATH, doc('putPluginRoute', 'Put at'), answer)
    .patch(PATH, doc('patchPluginRoute', 'Change at'), answer)
    .delete(PATH, doc('deletePluginRoute', 'Delete at'), answer)
}
