import { join } from 'node:path'
import { type Context, Hono } from 'hono'
import { approvalRoutes } from './approvals/routes.ts'
import { createApprovals } from './approvals/service.ts'
import { authenticate, infoOf } from './auth/middleware.ts'
import type { Caller } from './auth/principal.ts'
import { authRoutes } from './auth/routes.ts'
import { createAuth } from './auth/service.ts'
import { createAuthStore } from './auth/store.ts'
import { createBus } from './bus/bus.ts'
import type { GatewayHost } from './channels/deps.ts'
import { channelRoutes } from './channels/routes.ts'
import { createChannels } from './channels/service.ts'
import type { Environment } from './config/environment.ts'
import type { Loaded } from './config/load.ts'
import { configRoutes } from './config/routes.ts'
import { createConfig } from './config/service.ts'
import { createConfigStore } from './config/store.ts'
import { createHealth } from './db/health.ts'
import type { Database } from './db/open.ts'
import { duragentProblems } from './duragent/problems.ts'
import { duragentRoutes } from './duragent/routes.ts'
import { AppError } from './errors.ts'
import type { AppEnv } from './http/env.ts'
import { createGuard } from './http/guard.ts'
import { createKeptAnswers } from './http/kept-answers.ts'
import { methodsOf } from './http/methods.ts'
import { onError, onNotFound, problem } from './http/on-error.ts'
import { publicPaths } from './http/operation.ts'
import { createOutbound } from './http/outbound.ts'
import { requestId } from './http/request-id.ts'
import { createStatic, isServerPath } from './http/static.ts'
import { createAuthorization } from './mcp-server/authorization.ts'
import { authorizationRoutes, mcpChallenge } from './mcp-server/authorization-routes.ts'
import { programOf } from './mcp-server/program.ts'
import { mcpServerRoutes } from './mcp-server/routes.ts'
import { createMcpServer } from './mcp-server/service.ts'
import { marketplaceRoutes } from './mcp/marketplace-routes.ts'
import { mcpContentRoutes } from './mcp/content-routes.ts'
import { mcpPublicRoutes } from './mcp/public-routes.ts'
import { mcpRoutes } from './mcp/routes.ts'
import { offTools } from './mcp/off-tools.ts'
import { createMcpClients } from './mcp/service.ts'
import { createMemories } from './memory/service.ts'
import { memoryTools } from './memory/tools.ts'
import type { ModelProvider } from './models/provider.ts'
import { createBuiltin } from './models/providers/builtin.ts'
import { modelRoutes, providerRoutes } from './models/routes.ts'
import { createModels } from './models/service.ts'
import { createModelStore } from './models/store.ts'
import { modelsTools } from './models/tools.ts'
import { createCommands } from './openagent/commands.ts'
import { openagentRoutes } from './openagent/routes.ts'
import { createSockets } from './openagent/socket.ts'
import { openapiRoutes } from './openapi/routes.ts'
import { inboundRoutes } from './plugins/inbound-routes.ts'
import { pluginRoutes } from './plugins/routes.ts'
import { createPlugins } from './plugins/service.ts'
import type { RequestInfo, Runtime, SocketHandlers } from './runtime/port.ts'
import { createSecrets } from './secrets/service.ts'
import { createCompaction } from './sessions/compaction.ts'
import { createDelegation } from './sessions/delegate.ts'
import { createEventLog } from './sessions/event-log.ts'
import { sessionRoutes } from './sessions/routes.ts'
import { createRunner } from './sessions/runner.ts'
import { createSessions } from './sessions/service.ts'
import { createSessionStore } from './sessions/store.ts'
import { sessionTools } from './sessions/tools.ts'
import { streamRoutes } from './sessions/stream-routes.ts'
import { turnRoutes } from './sessions/turn-routes.ts'
import { createTurnStore } from './sessions/turn-store.ts'
import type { LogFile } from './system/logs.ts'
import { isSecretName } from './system/redact.ts'
import { systemRoutes } from './system/routes.ts'
import { createSystem } from './system/service.ts'
import { askUserTool } from './tools/ask-user.ts'
import { createGate } from './tools/gate.ts'
import { createToolHistory } from './tools/history.ts'
import { mathTool } from './tools/math.ts'
import { createToolPage } from './tools/page.ts'
import { toolRoutes } from './tools/routes.ts'
import { toolRuleRoutes } from './tools/rule-routes.ts'
import { createToolRules } from './tools/rule-service.ts'
import { createRuleStore } from './tools/rule-store.ts'
import { createTools } from './tools/service.ts'
import { timeTool } from './tools/time.ts'
import { uploadRoutes } from './uploads/routes.ts'
import { createUploads } from './uploads/service.ts'
import { createVault } from './vault/service.ts'
import { notesTools } from './vault/tools.ts'
import { webTools } from './web-access/tools.ts'
import { workspaceTools } from './workspace/tools.ts'

export type Deps = {
  /** The home folder. */
  home: string
  database: Database
  log: LogFile
  loaded: Loaded
  env: Environment
  flags: Record<string, unknown>
  runtime: Runtime
  build: { version: string; commit: string; build_date: string }
  /** Folder of the built control UI. */
  webRoot: string
  /** Begins a graceful restart and returns at once. */
  restart: () => void
  /** Begins a graceful stop and returns at once; left out where the process is not ours to end. */
  shutdown?: () => void
  /** Lets terminals on this machine in as the owner. */
  terminalToken?: string
  /** Answers when no model is connected; rules unless a test or `npm run dev` brings its own. */
  builtin?: ModelProvider
  /** Carries chats in place of plugins; tests bring their own. */
  gateways?: GatewayHost
  now?: () => number
}

export type App = Awaited<ReturnType<typeof createApp>>

/** Builds every feature and joins them. Nothing runs before `start`. */
export async function createApp(deps: Deps) {
  const { home, database, log, env, build, now = Date.now } = deps
  const { kysely } = database
  const date = () => new Date(now())
  const bus = createBus()
  const secrets = createSecrets({ home, env })

  const config = await createConfig({
    home,
    env,
    flags: deps.flags,
    store: createConfigStore({ kysely, secrets }),
    bus,
    log,
    now: date,
    audit: (entry) => auth.audit.record(entry),
    loaded: deps.loaded,
  })
  const settings = () => config.current()
  const configureLog = () => {
    log.setLevel(settings().logging.level)
    config.secrets().forEach(log.hide)
    for (const [name, value] of Object.entries(config.variables())) if (value && isSecretName(name)) log.hide(value)
  }
  configureLog()
  config.onChange(configureLog)
  const auth = createAuth({
    store: createAuthStore(kysely),
    now,
    log,
    bus,
    token: config.variables().GATEHOUSE_TOKEN,
    terminalToken: deps.terminalToken,
    trustedProxies: () => settings().server.trusted_proxies,
  })
  const models = createModels({
    store: createModelStore({ kysely }),
    secrets,
    bus,
    log,
    builtin: deps.builtin ?? createBuiltin(),
    env: config.variables(),
    // Also on Bun, whose `fetch` keeps the 257th answer waiting until another is over.
    pooled: true,
    pluginModels: () => plugins.given('text_provider'),
    pluginSpeech: (signal) => plugins.first('speech', signal),
    audit: (entry) => auth.audit.record(entry),
    now,
  })
  const vault = createVault({ root: join(home, 'vault'), log, bus, now: date })
  const uploads = createUploads({ home, maxBytes: () => settings().uploads.max_bytes })
  const tools = createTools([timeTool(date), mathTool, askUserTool, ...modelsTools(models), ...notesTools(vault)], {
    budget: () => settings().tools.description_tokens,
    onDone: ({ tool, context: { caller, session_id, turn_id, call_id }, output, duration_ms }) =>
      bus.publish({
        type: 'happened',
        event: 'tool.after',
        handle: caller.handle,
        session_id,
        data: { tool: tool.name, turn_id, call_id, ok: output.ok, text: output.text, duration_ms },
      }),
  })
  const workspace = workspaceTools({
    home,
    runtime: deps.runtime,
    path: () => config.variables().PATH,
    settings: () => settings().tools,
  })
  tools.provide('workspace', workspace.offered, { core: true })

  const outbound = createOutbound({ allow: () => settings().outbound.allow, log })
  webTools({ outbound, settings: () => settings().tools.web, find: tools.find }).forEach(tools.add)
  memoryTools(createMemories({ vault, now: date })).forEach(tools.add)
  const mcp = await createMcpClients({
    kysely,
    home,
    version: build.version,
    secrets,
    bus,
    log,
    outbound,
    variables: config.variables,
    settings: () => settings().mcp_client,
    keepFile: async (caller, file) => (await uploads.save(caller, file).catch(() => undefined))?.path,
    audit: (entry) => auth.audit.record(entry),
    now,
  })
  tools.provide('mcp', mcp.offered)

  const events = await createEventLog({ kysely, log, now })
  const ruleStore = createRuleStore(kysely)
  const gate = createGate({ rules: ruleStore, forbids: (call) => plugins.forbids(call), audit: auth.audit.record })
  const approvals = createApprovals({
    kysely,
    log: events,
    bus,
    timeoutSeconds: () => settings().agent.approval_timeout_seconds,
    grant: ruleStore.grant,
    audit: auth.audit.recordIn,
    onError: (message, error) => log.error('approvals.expiry_failed', message, { error: String(error) }),
    now,
  })
  const history = createToolHistory(kysely)
  const toolRules = createToolRules({ store: ruleStore, history, tools, bus, audit: auth.audit.record, now })
  const toolPage = createToolPage({
    tools,
    gate,
    rules: ruleStore,
    history,
    off: () => [...workspace.off(), ...offTools(mcp)],
    audit: auth.audit.record,
    now,
  })
  const store = createSessionStore(kysely)
  const turns = createTurnStore(kysely)
  const compaction = createCompaction({ store, events, now })
  const systemPrompt = () => settings().system_prompt
  const runner = createRunner({
    store,
    turns,
    events,
    models,
    tools,
    gate,
    approvals,
    compaction,
    load: uploads.load,
    resolveMarker: uploads.locate,
    systemPrompt,
    limits: (origin) => {
      const { agent, tools: { delegate } } = settings()
      if (origin !== 'delegation') return agent
      return { ...agent, max_steps: Math.min(agent.max_steps, delegate.max_steps) }
    },
    maxParallel: () => settings().sessions.max_parallel_turns + delegation.count(),
    turnTimeoutSeconds: () => settings().agent.turn_timeout_seconds,
    bus,
    log,
    now,
  })
  const sessions = createSessions({
    store,
    turns,
    events,
    runner,
    compaction,
    models,
    tools,
    attach: uploads.attach,
    systemPrompt,
    settings: () => settings().sessions,
    bus,
    now,
  })
  sessionTools(sessions).forEach(tools.add)
  const delegation = createDelegation({
    store,
    turns,
    events,
    runner,
    sessions,
    approvals,
    bus,
    limits: () => settings().tools.delegate,
    log,
    now,
  })
  tools.add(delegation.tool)

  /** Open event streams of pages. */
  let pages = 0
  const clients = () => sockets.count() + pages
  const health = createHealth(database, home)
  const system = createSystem({
    home,
    version: build.version,
    runtime: deps.runtime,
    now: date,
    counts: async () => {
      const { active, queued } = await turns.counts()
      return {
        connected_clients: clients(),
        active_turns: active,
        queued_turns: queued,
        database_bytes: await health.size(),
      }
    },
  })

  const about = () => ({ agent_name: settings().name, version: build.version })
  const restart = async (caller: Caller) => {
    await auth.audit.record({ caller, action: 'system.restart' })
    deps.restart()
  }
  const commands = createCommands({
    sessions,
    models,
    approvals,
    plugins: () => plugins.commands(),
    version: build.version,
    log,
    restart,
    now,
  })
  const plugins = await createPlugins({
    kysely,
    home,
    bundled: join(import.meta.dirname, '..', 'plugins'),
    runtime: deps.runtime,
    secrets,
    bus,
    log,
    outbound,
    variables: config.variables,
    config: settings,
    configFile: config,
    onConfig: (listener) =>
      config.onChange((_, __, sections) => {
        if (sections.some((name) => ['plugins', 'channels', 'gateways', 'server'].includes(name))) listener()
      }),
    audit: (entry) => auth.audit.record(entry),
    now,
  })
  tools.provide('plugins', plugins.tools)
  bus.subscribe((event) => {
    if (event.type === 'resource' && event.resource === 'plugin') models.lookAtPlugins()
  })
  const channels = await createChannels({
    kysely,
    plugins: deps.gateways ?? plugins,
    sessions,
    commands,
    approvals,
    tools,
    uploads,
    outbound,
    transcribe: models.transcribe,
    config: settings,
    bus,
    log,
    audit: auth.audit.record,
    now,
  })
  const sockets = createSockets({ sessions, commands, approvals, uploads, bus, system, about, log })

  const guard = createGuard({
    allowedHosts: () => {
      const { host, public_url, allowed_hosts } = settings().server
      return [host, ...(public_url ? [public_url] : []), ...allowed_hosts]
    },
    trustedProxies: () => settings().server.trusted_proxies,
    corsOrigins: () => settings().server.cors_origins,
    methodsOf: (path) => methods(path),
  })

  const mcpServer = createMcpServer({
    tools,
    gate,
    audit: auth.audit.record,
    sessions,
    approvals,
    vault,
    bus,
    log,
    version: build.version,
    now,
  })

  /** The address that a client sees us at, without a slash at the end. */
  const reachedAt = (c: Context<AppEnv>): string => {
    const { scheme, host } = auth.peer(c.req.raw, infoOf(c))
    return (settings().server.public_url ?? `${scheme}://${host}`).replace(/\/+$/, '')
  }
  const ownOrigin = (request: Request) => settings().server.public_url ?? new URL(request.url).origin

  const api = new Hono<AppEnv>()
    .route(
      '/',
      systemRoutes({
        home,
        build,
        system,
        logs: log,
        agentName: () => settings().name,
        connectedClients: clients,
        unready: health.unready,
        restart,
      }),
    )
    .route(
      '/api',
      authRoutes(auth, {
        publicUrl: () => settings().server.public_url,
        about,
      }),
    )
    .route('/api/config', configRoutes(config))
    .route('/api/providers', providerRoutes(models))
    .route('/api/models', modelRoutes(models))
    .route('/', mcpRoutes(mcp, ownOrigin))
    .route('/', mcpPublicRoutes(mcp, ownOrigin))
    .route('/', marketplaceRoutes(mcp))
    .route('/', mcpContentRoutes(mcp))
    .route(
      '/',
      mcpServerRoutes(mcpServer, {
        peer: (c) => auth.peer(c.req.raw, infoOf(c)),
        base: reachedAt,
        corsOrigins: () => settings().server.cors_origins,
        program: programOf(deps.runtime, home),
      }),
    )
    .route(
      '/',
      authorizationRoutes(createAuthorization({ secrets, keys: auth.keys, now }), {
        base: reachedAt,
        agentName: () => settings().name,
      }),
    )
    .route('/', sessionRoutes(sessions))
    .route('/', turnRoutes(sessions, bus))
    .route('/', approvalRoutes(approvals))
    .route('/', toolRoutes(toolPage))
    .route('/', toolRuleRoutes(toolRules))
    .route('/', uploadRoutes(uploads))
    .route('/', pluginRoutes(plugins))
    .route('/', inboundRoutes(plugins.inbound, (c) => auth.peer(c.req.raw, infoOf(c)).address))
    .route('/', channelRoutes(channels))
    .route('/', streamRoutes({ sessions, system, plugins, bus, watching: (change) => (pages += change) }))
    .route('/', openagentRoutes({ sessions, commands, version: build.version, bus }))

  let stopping = false
  api.route(
    '/',
    duragentRoutes({
      sessions,
      approvals,
      models,
      bus,
      version: build.version,
      agent: () => {
        const { name, system_prompt, agent } = settings()
        return { name, system_prompt, turn_timeout_seconds: agent.turn_timeout_seconds }
      },
      reload: config.reload,
      shutdown: async (caller) => {
        if (!deps.shutdown) throw new AppError('unavailable', 'Stop this server where it was started')
        if (stopping) throw new AppError('conflict', 'The server is stopping already')
        stopping = true
        await auth.audit.record({ caller, action: 'system.shutdown' })
        deps.shutdown()
      },
    }),
  )

  api.route('/', openapiRoutes({ routes: () => api.routes, version: build.version }))

  const keptAnswers = createKeptAnswers({ kysely, seal: secrets.seal, open: secrets.open, log, now })
  const files = createStatic({ root: deps.webRoot })
  const isPublic = publicPaths(api.routes)
  const app = new Hono<AppEnv>()
  app.onError(onError(log))
  const methods = methodsOf(app)
  app.notFound(onNotFound(methods))
  app.use(requestId(), guard.middleware)
  app.use(async (c, next) => (!isServerPath(c.req.path) && await files(c.req.raw)) || next())
  app.use('/api/v1/*', duragentProblems)
  app.use('/api/admin/v1/*', duragentProblems)
  app.use('/mcp', mcpChallenge(reachedAt))
  app.use(authenticate(auth, { isPublic, isOpen: plugins.inbound.isOpen }))
  app.use((c, next) => {
    c.set('keptAnswers', keptAnswers)
    return next()
  })
  app.route('/', api)

  return {
    app,
    auth,
    sessions,
    tools,
    plugins,
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
          return sockets.accept(caller, async () => await auth.authenticate(again, info) !== undefined)
        }
        throw new AppError('not_found', `There is no WebSocket at ${path}`)
      } catch (error) {
        if (error instanceof AppError) return problem(error, path, '')
        log.error('http.upgrade_failed', 'A WebSocket could not be opened', { error: String(error) })
        return problem(new AppError('internal', 'Something went wrong in the server'), path, '')
      }
    },

    /** Takes up what was left: closes turns that a crash cut, runs what was queued, looks for providers. */
    async start(): Promise<void> {
      await delegation.recover()
      await runner.recover()
      await channels.start()
      // Not awaited: no plugin may keep the server from being ready.
      void plugins.start().catch((error) =>
        log.error('plugins.start_failed', 'Plugins could not be started', { error: String(error) })
      )
      void models.detect(config.variables(), AbortSignal.timeout(30_000)).catch((error) =>
        log.warn('models.detect_failed', 'Looking for providers failed', { error: String(error) })
      )
    },

    /** Tells every stream, then writes what is under way; afterwards nothing of the app runs any more. */
    async stop(): Promise<void> {
      bus.publish({ type: 'stopping' })
      approvals.close()
      await plugins.stop()
      await channels.stop()
      await runner.stop()
      await mcpServer.stop()
      await mcp.stop()
      await events.close()
      system.stop()
      await config.stop()
      await auth.stop()
    },
  }
}
