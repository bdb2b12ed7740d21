import { type Context, Hono } from 'hono'
import { approvalRoutes } from './approvals/routes.ts'
import { authenticate, infoOf } from './auth/middleware.ts'
import { authRoutes } from './auth/routes.ts'
import { channelRoutes } from './channels/routes.ts'
import { configRoutes } from './config/routes.ts'
import { duragentProblems } from './duragent/problems.ts'
import { duragentRoutes } from './duragent/routes.ts'
import { AppError } from './errors.ts'
import { createFeatures, type Deps } from './features.ts'
import type { AppEnv } from './http/env.ts'
import { createGuard } from './http/guard.ts'
import { methodsOf } from './http/methods.ts'
import { onError, onNotFound, problem } from './http/on-error.ts'
import { publicPaths } from './http/operation.ts'
import { requestId } from './http/request-id.ts'
import { createStatic, isServerPath } from './http/static.ts'
import { authorizationRoutes, mcpChallenge } from './mcp-server/authorization-routes.ts'
import { programOf } from './mcp-server/program.ts'
import { mcpServerRoutes } from './mcp-server/routes.ts'
import { marketplaceRoutes } from './mcp/marketplace-routes.ts'
import { mcpContentRoutes } from './mcp/content-routes.ts'
import { mcpPublicRoutes } from './mcp/public-routes.ts'
import { mcpRoutes } from './mcp/routes.ts'
import { modelRoutes, providerRoutes } from './models/routes.ts'
import { openagentRoutes } from './openagent/routes.ts'
import { openapiRoutes } from './openapi/routes.ts'
import { inboundRoutes } from './plugins/inbound-routes.ts'
import { pluginRoutes } from './plugins/routes.ts'
import type { RequestInfo, SocketHandlers } from './runtime/port.ts'
import { sessionRoutes } from './sessions/routes.ts'
import { streamRoutes } from './sessions/stream-routes.ts'
import { turnRoutes } from './sessions/turn-routes.ts'
import { systemRoutes } from './system/routes.ts'
import { toolRoutes } from './tools/routes.ts'
import { toolRuleRoutes } from './tools/rule-routes.ts'
import { uploadRoutes } from './uploads/routes.ts'

export type App = Awaited<ReturnType<typeof createApp>>

/** Builds the features and mounts them behind one door. Nothing runs before `start`. */
export async function createApp(deps: Deps) {
  const { build, home, log, runtime, webRoot } = deps
  const { version } = build
  const features = await createFeatures(deps)
  const { about, agentName, approvals, auth, bus, commands, mcp, models, plugins, sessions, system } = features
  const server = () => features.config.current().server
  const publicUrl = () => server().public_url
  const corsOrigins = () => server().cors_origins
  const guard = createGuard({
    allowedHosts: () => [server().host, publicUrl() ?? [], server().allowed_hosts].flat(),
    trustedProxies: () => server().trusted_proxies,
    corsOrigins,
    methodsOf: (path) => methods(path),
  })

  const peer = (c: Context<AppEnv>) => auth.peer(c.req.raw, infoOf(c))
  /** The address that a client sees us at, without a slash at the end. */
  const base = (c: Context<AppEnv>): string => {
    const { scheme, host } = peer(c)
    return (publicUrl() ?? `${scheme}://${host}`).replace(/\/+$/, '')
  }
  const ownOrigin = (request: Request) => publicUrl() ?? new URL(request.url).origin
  const program = programOf(runtime, home)

  const api = new Hono<AppEnv>()
    .route('/', systemRoutes({ ...features, home, build, logs: log }))
    .route('/api', authRoutes(auth, { publicUrl, about }))
    .route('/api/config', configRoutes(features.config))
    .route('/api/providers', providerRoutes(models))
    .route('/api/models', modelRoutes(models))
    .route('/', mcpRoutes(mcp, ownOrigin))
    .route('/', mcpPublicRoutes(mcp, ownOrigin))
    .route('/', marketplaceRoutes(mcp))
    .route('/', mcpContentRoutes(mcp))
    .route('/', mcpServerRoutes(features.mcpServer, { peer, base, corsOrigins, program }))
    .route('/', authorizationRoutes(features.authorization, { base, agentName }))
    .route('/', sessionRoutes(sessions))
    .route('/', turnRoutes(sessions, bus))
    .route('/', approvalRoutes(approvals))
    .route('/', toolRoutes(features.toolPage))
    .route('/', toolRuleRoutes(features.toolRules))
    .route('/', uploadRoutes(features.uploads))
    .route('/', pluginRoutes(plugins))
    .route('/', inboundRoutes(plugins.inbound, (c) => peer(c).address))
    .route('/', channelRoutes(features.channels))
    .route('/', streamRoutes({ sessions, system, plugins, bus, watching: features.watching }))
    .route('/', openagentRoutes({ sessions, commands, version, bus }))
    .route('/', duragentRoutes({ ...features, version, reload: features.config.reload }))
  api.route('/', openapiRoutes({ routes: () => api.routes, version }))

  const files = createStatic({ root: webRoot })
  const isPublic = publicPaths(api.routes)
  const app = new Hono<AppEnv>()
  app.onError(onError(log))
  const methods = methodsOf(app)
  app.notFound(onNotFound(methods))
  app.use(requestId(), guard.middleware)
  app.use(async (c, next) => (!isServerPath(c.req.path) && await files(c.req.raw)) || next())
  app.use('/api/v1/*', duragentProblems)
  app.use('/api/admin/v1/*', duragentProblems)
  app.use('/mcp', mcpChallenge(base))
  app.use(authenticate(auth, { isPublic, isOpen: plugins.inbound.isOpen }))
  app.use((c, next) => {
    c.set('keptAnswers', features.keptAnswers)
    return next()
  })
  app.route('/', api)

  return {
    app,
    auth,
    sessions,
    tools: features.tools,
    plugins,
    start: features.start,
    stop: features.stop,
    fetch: (request: Request, info: RequestInfo): Response | Promise<Response> => app.fetch(request, info),

    /** Accepts or refuses a WebSocket: the same checks as for any request, then the path decides. */
    async upgrade(request: Request, info: RequestInfo): Promise<Response | SocketHandlers> {
      const refused = guard.checkUpgrade(request, info)
      if (refused) return refused
      const path = new URL(request.url).pathname
      try {
        const caller = await auth.requireCaller(request, info)
        if (path === '/ws') {
          const again = new Request(request.url, { headers: [...request.headers] })
          return features.sockets.accept(caller, async () => await auth.authenticate(again, info) !== undefined)
        }
        throw new AppError('not_found', `There is no WebSocket at ${path}`)
      } catch (error) {
        if (error instanceof AppError) return problem(error, path, '')
        log.error('http.upgrade_failed', 'A WebSocket could not be opened', { error: String(error) })
        return problem(new AppError('internal', 'Something went wrong in the server'), path, '')
      }
    },
  }
}
