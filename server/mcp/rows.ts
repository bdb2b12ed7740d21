import type { Mcp, McpPrompt, McpTool } from '../../shared/mcp.ts'
import { notFound } from '../errors.ts'
import type { Tool } from '../tools/tool.ts'
import type { McpDeps } from './deps.ts'
import type { LiveState } from './pool.ts'
import { isChanged } from './pinning.ts'
import type { McpSpec } from './spec.ts'
import type { McpStore, StoredMcp, StoredMcpTool } from './store.ts'
import { type CallMcp, toolsOf } from './tools.ts'
import { inputsOf } from './variables.ts'

export type Rows = Awaited<ReturnType<typeof createRows>>

/** Servers and tools in memory, so that the list of tools costs no query and starts no server. */
export async function createRows(
  deps: {
    store: McpStore
    call: CallMcp
  } & Pick<McpDeps, 'secrets' | 'isTaken' | 'onGone'>,
) {
  const { store } = deps
  let servers = await store.servers()
  let tools = await store.tools()
  let built: { tools: Tool[]; shown: McpTool[] } | undefined
  const build = () => built ??= toolsOf(servers, tools, deps)

  const find = (name: string): StoredMcp | undefined => servers.find((server) => server.name === name)

  return {
    servers: (): StoredMcp[] => servers,
    find,
    get(name: string): StoredMcp {
      const row = find(name)
      if (!row) throw notFound('MCP server', name)
      return row
    },
    toolsOf: (server: string): StoredMcpTool[] => tools.filter((tool) => tool.server === server),
    offered: (): Tool[] => build().tools,
    shown: (): McpTool[] => build().shown,
    /** Prompts of the servers that are switched on. */
    prompts: (): McpPrompt[] =>
      servers.filter(({ enabled }) => enabled).flatMap(({ name, about }) =>
        (about?.prompts ?? []).map((prompt) => ({ server: name, ...prompt }))
      ),
    specOf: (row: StoredMcp): McpSpec => JSON.parse(deps.secrets.open(row.sealed)) as McpSpec,

    /** Reads again what was written. */
    async refresh(): Promise<void> {
      const before = build().shown
      const [freshServers, freshTools] = await Promise.all([store.servers(), store.tools()])
      servers = freshServers
      tools = freshTools
      built = undefined
      const now = new Map(build().shown.map((tool) => [tool.name, tool]))
      const isGone = ({ name, server, tool }: McpTool): boolean =>
        now.get(name)?.server !== server || now.get(name)?.tool !== tool
      const gone = before.filter(isGone).map(({ name }) => name)
      if (gone.length > 0) await deps.onGone(gone)
    },

    toMcp(row: StoredMcp, live: LiveState): Mcp {
      const own = tools.filter((tool) => tool.server === row.name)
      const { shown, settings } = row
      return {
        name: row.name,
        kind: 'custom',
        builtin_name: null,
        command: shown.command,
        args: shown.args,
        cwd: settings.cwd,
        url: shown.url,
        transport: settings.transport,
        env: shown.env,
        headers: shown.headers,
        inputs_missing: inputsOf(shown).filter((id) => !Object.hasOwn(shown.inputs, id)),
        oauth: settings.oauth,
        oauth_connected: row.oauth_state !== null,
        oauth_client: shown.oauth_client,
        enabled: row.enabled,
        timeout_seconds: settings.timeout_seconds,
        roots: settings.roots,
        trust_hints: settings.trust_hints,
        allow_sampling: settings.allow_sampling,
        source: settings.source,
        extra: settings.extra,
        created_at: row.created_at / 1000,
        created_at_iso: new Date(row.created_at).toISOString(),
        updated_at: row.updated_at / 1000,
        updated_at_iso: new Date(row.updated_at).toISOString(),
        ...live,
        server: row.about && { name: row.about.name, version: row.about.version, protocol: row.about.protocol },
        tool_count: own.length,
        changed_tools: own.filter(isChanged).length,
        prompt_count: row.about?.prompts?.length ?? 0,
        has_resources: row.about?.resources === true,
      }
    },
  }
}
