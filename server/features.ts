import { join } from 'node:path'
import { createApprovals } from './approvals/service.ts'
import type { Caller } from './auth/principal.ts'
import { createAuth } from './auth/service.ts'
import { createAuthStore } from './auth/store.ts'
import { createBus } from './bus/bus.ts'
import type { GatewayHost } from './channels/deps.ts'
import { createChannels } from './channels/service.ts'
import type { Environment } from './config/environment.ts'
import type { Loaded } from './config/load.ts'
import { createConfig } from './config/service.ts'
import { createConfigStore } from './config/store.ts'
import { createHealth } from './db/health.ts'
import type { Database } from './db/open.ts'
import { AppError } from './errors.ts'
import { createKeptAnswers } from './http/kept-answers.ts'
import { createOutbound } from './http/outbound.ts'
import { createAuthorization } from './mcp-server/authorization.ts'
import { createMcpServer } from './mcp-server/service.ts'
import { offTools } from './mcp/off-tools.ts'
import { createMcpClients } from './mcp/service.ts'
import { createMemories } from './memory/service.ts'
import { memoryTools } from './memory/tools.ts'
import type { ModelProvider } from './models/provider.ts'
import { createBuiltin } from './models/providers/builtin.ts'
import { createModels } from './models/service.ts'
import { createModelStore } from './models/store.ts'
import { modelsTools } from './models/tools.ts'
import { createCommands } from './openagent/commands.ts'
import { createSockets } from './openagent/socket.ts'
import { createPlugins } from './plugins/service.ts'
import type { Runtime } from './runtime/port.ts'
import { createSecrets } from './secrets/service.ts'
import { createCompaction } from './sessions/compaction.ts'
import { createDelegation } from './sessions/delegate.ts'
import { createEventLog } from './sessions/event-log.ts'
import { createRunner } from './sessions/runner.ts'
import { createSessions } from './sessions/service.ts'
import { createSessionStore } from './sessions/store.ts'
import { sessionTools } from './sessions/tools.ts'
import { createTurnStore } from './sessions/turn-store.ts'
import type { LogFile } from './system/logs.ts'
import { isSecretName } from './system/redact.ts'
import { createSystem } from './system/service.ts'
import { askUserTool } from './tools/ask-user.ts'
import { createGate } from './tools/gate.ts'
import { createToolHistory } from './tools/history.ts'
import { mathTool } from './tools/math.ts'
import { createToolPage } from './tools/page.ts'
import { createToolRules } from './tools/rule-service.ts'
import { createRuleStore } from './tools/rule-store.ts'
import { createTools, wireNameOf } from './tools/service.ts'
import { timeTool } from './tools/time.ts'
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

/** Builds every feature and hands each those that it needs. Nothing runs before `start`. */
export async function createFeatures(deps: Deps) {
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
    audit: auth.audit.record,
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
    isTaken: (name) =>
      tools.isOurs(name) ||
      [...workspace.offered(), ...workspace.off().map(({ tool }) => tool)].some((tool) =>
        wireNameOf(tool.name) === name
      ),
    onGone: (names) => toolRules.revoke(names),
    keepFile: async (caller, file) => (await uploads.save(caller, file).catch(() => undefined))?.path,
    audit: auth.audit.record,
    now,
  })
  tools.provide('mcp', mcp.offered)

  const events = await createEventLog({ database, log, now })
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
  const off = () => [...workspace.off(), ...offTools(mcp)]
  const toolRules = createToolRules({ store: ruleStore, history, tools, off, bus, audit: auth.audit.record, now })
  const toolPage = createToolPage({
    tools,
    gate,
    rules: ruleStore,
    history,
    off,
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
  const connectedClients = () => sockets.count() + pages
  const health = createHealth(database, home)
  const system = createSystem({
    home,
    version: build.version,
    runtime: deps.runtime,
    now: date,
    counts: async () => {
      const { active, queued } = await turns.counts()
      return {
        connected_clients: connectedClients(),
        active_turns: active,
        queued_turns: queued,
        database_bytes: await health.size(),
      }
    },
  })

  const agentName = () => settings().name
  const about = () => ({ agent_name: agentName(), version: build.version })
  const restart = async (caller: Caller) => {
    await auth.audit.record({ caller, action: 'system.restart' })
    deps.restart()
  }
  let stopping = false
  const shutdown = async (caller: Caller) => {
    if (!deps.shutdown) throw new AppError('unavailable', 'Stop this server where it was started')
    if (stopping) throw new AppError('conflict', 'The server is stopping already')
    stopping = true
    await auth.audit.record({ caller, action: 'system.shutdown' })
    deps.shutdown()
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
    audit: auth.audit.record,
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
  const authorization = createAuthorization({ secrets, keys: auth.keys, now })
  const keptAnswers = createKeptAnswers({ kysely, seal: secrets.seal, open: secrets.open, log, now })

  return {
    config,
    auth,
    models,
    uploads,
    tools,
    toolPage,
    toolRules,
    mcp,
    mcpServer,
    authorization,
    approvals,
    sessions,
    system,
    unready: health.unready,
    commands,
    plugins,
    channels,
    sockets,
    keptAnswers,
    bus,
    agentName,
    about,
    /** What the configuration says of the one agent. */
    agent: () => {
      const { name, system_prompt, agent } = settings()
      return { name, system_prompt, turn_timeout_seconds: agent.turn_timeout_seconds }
    },
    connectedClients,
    /** Counts the open event streams of pages up and down. */
    watching: (change: 1 | -1) => void (pages += change),
    restart,
    shutdown,

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
