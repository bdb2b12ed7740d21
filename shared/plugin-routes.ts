import * as v from 'valibot'

/** Every route of a plugin is below this and the plugin's name. */
export const PLUGIN_ROUTES = '/hooks/plugins'

/** Largest body of a request to a plugin, and of what it answers, in bytes; the answer has to fit into one line. */
export const MAX_REQUEST_BODY = 512 * 1024
export const MAX_ANSWER_BODY = 700 * 1024

export const ROUTE_METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'] as const

export type RouteMethod = (typeof ROUTE_METHODS)[number]

/** The method as a route names it; undefined for one that no route takes. What is only asked for its head is asked. */
export const methodOf = (method: string): RouteMethod | undefined =>
  ROUTE_METHODS.find((known) => known === (method === 'HEAD' ? 'GET' : method))

const text = v.string('must be text')

/** Below `/hooks/plugins/<name of the plugin>/`. Nothing that a browser or a proxy would rewrite. */
const RoutePath = v.pipe(
  text,
  v.maxLength(200, 'is longer than 200 characters'),
  v.regex(
    /^(?!(.*\/)?\.{1,2}(\/|$))[A-Za-z0-9._-]+(\/[A-Za-z0-9._-]+)*$/,
    'must be segments of A–Z, a–z, 0–9, ., _ and -, such as events/new',
  ),
)

const route = {
  path: RoutePath,
  /** `prefix` also answers everything below the path. */
  match: v.optional(v.picklist(['exact', 'prefix'], 'must be exact or prefix'), 'exact'),
  methods: v.optional(
    v.pipe(
      v.array(v.picklist(ROUTE_METHODS, 'must be GET, POST, PUT, PATCH or DELETE'), 'must be a list'),
      v.minLength(1, 'must not be empty'),
      v.transform((methods) => [...new Set(methods)]),
    ),
    () => [...ROUTE_METHODS],
  ),
  /**
   * `gateway`: only who may administer the server, by a key or a browser session of it. `plugin`: everybody on the
   * internet; the plugin checks a signature or a secret itself.
   */
  auth: v.picklist(['gateway', 'plugin'], 'must be gateway or plugin'),
}

/** A route as the manifest declares it. */
export const PluginRoute = v.object(route, 'must be a group')
export type PluginRoute = v.InferOutput<typeof PluginRoute>

/** `register` with kind `http_route`: `handle` gets an `HttpRequest` and answers an `HttpAnswer`. */
export const HttpRouteDefinition = v.object({
  name: v.pipe(
    text,
    v.regex(/^[a-z][a-z0-9_]{0,39}$/, 'must begin with a letter and have at most 40 of a–z, 0–9 and _'),
  ),
  ...route,
})
export type HttpRouteDefinition = v.InferOutput<typeof HttpRouteDefinition>

/** The input of `handle`. The body is as it came, byte for byte, so that a signature over it can be checked. */
export type HttpRequest = {
  method: RouteMethod
  /** Below the plugin's own address, as it was sent: `events/new`. */
  path: string
  /** Without the question mark, as it was sent. */
  query: string
  /** Names in lower case; without cookies and without credentials of this server. */
  headers: Record<string, string>
  body: string
  encoding: 'utf8' | 'base64'
  /** Address of the sender, as far as trusted proxies tell. */
  remote: string
}

/** What `handle` answers. Of the headers, those are passed on that can't change what the browser holds of this server. */
export const HttpAnswer = v.object({
  status: v.optional(
    v.pipe(
      v.number('must be a number'),
      v.integer('must be a whole number'),
      v.minValue(200, 'must be at least 200'),
      v.maxValue(599, 'must be at most 599'),
    ),
    200,
  ),
  headers: v.optional(v.record(text, text, 'must be a group of texts'), () => ({})),
  body: v.optional(text, ''),
  encoding: v.optional(v.picklist(['utf8', 'base64'], 'must be utf8 or base64'), 'utf8'),
}, 'must be a group')
export type HttpAnswer = v.InferOutput<typeof HttpAnswer>

/** Whether a route answers at this path. */
export const answersAt = ({ path, match }: Pick<PluginRoute, 'path' | 'match'>, at: string): boolean =>
  at === path || (match === 'prefix' && at.startsWith(`${path}/`))

/** Whether two routes would both answer some request. */
export const overlap = (a: PluginRoute, b: PluginRoute): boolean =>
  (answersAt(a, b.path) || answersAt(b, a.path)) && a.methods.some((method) => b.methods.includes(method))

/** Whether `inner` answers nothing that `outer` does not, and for nobody else. */
export const isWithin = (inner: PluginRoute, outer: PluginRoute): boolean =>
  inner.auth === outer.auth && inner.methods.every((method) => outer.methods.includes(method)) &&
  (outer.match === 'prefix' ? answersAt(outer, inner.path) : inner.match === 'exact' && inner.path === outer.path)
