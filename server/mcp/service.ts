import type { CompleteMcpInput, ImportMcpInput, InstallMcpInput, Mcp, McpImport, McpTool } from '../../shared/mcp.ts'
import type { Caller } from '../auth/principal.ts'
import type { Tool } from '../tools/tool.ts'
import type { Db } from '../db/open.ts'
import type { McpDeps } from './deps.ts'
import { importServers } from './import.ts'
import { exportServers } from './export.ts'
import { createMarketplace } from './marketplace.ts'
import { createQuestions } from './questions.ts'
import { createRows, type Rows } from './rows.ts'
import { createRunning } from './running.ts'
import { createSampling } from './sampling.ts'
import { createServerVerbs } from './server-verbs.ts'
import { createSignIn } from './sign-in.ts'
import { createMcpStore } from './store.ts'

export type McpClients = Awaited<ReturnType<typeof createMcpClients>>

/**
 * MCP servers that we are a client of. Their tools are known from the database: nothing is started, and the SDK is not
 * loaded, before a call needs it or the owner adds a server.
 */
export async function createMcpClients(deps: McpDeps & { kysely: Db }) {
  const store = createMcpStore(deps)
  const questions = createQuestions(deps)
  const sampling = createSampling({ questions, now: deps.now })
  const loaded: { rows?: Rows } = {}
  const rows = () => loaded.rows!
  const signIn = createSignIn({ ...deps, store, rows, connected })
  const running = createRunning({ ...deps, store, rows, oauthFetch: signIn.fetchOf, questions, sampling })
  const { pool, learnSoon } = running
  loaded.rows = await createRows({ ...deps, store, call: running.call })
  const servers = createServerVerbs({ ...deps, store, rows: rows(), pool, learnSoon, forgetOAuth: signIn.forget })
  const marketplace = createMarketplace(deps)
  await running.endOrphans()

  function connected(name: string): void {
    pool.drop(name)
    learnSoon(name)
  }

  return {
    ...servers,
    questions,
    marketplace,
    start: async (name: string): Promise<Mcp> => {
      await running.start(name)
      return servers.get(name)
    },
    /** A new connection from the next call on; calls under way end on the old one. */
    restart: async (caller: Caller, name: string): Promise<Mcp> => {
      rows().get(name)
      pool.drop(name)
      await deps.audit({ caller, action: 'mcp.restarted', target: name, detail: {} })
      await running.start(name)
      return servers.get(name)
    },

    /** For the one list of tools. A server that was never connected is asked for its tools meanwhile. */
    offered(): Tool[] {
      for (const row of rows().servers()) {
        if (row.enabled && row.about === null && pool.stateOf(row.name).state === 'stopped') learnSoon(row.name)
      }
      return rows().offered()
    },
    tools: (): McpTool[] => rows().shown(),

    /** What a server has to read and to begin a conversation with; asked of it each time. */
    resources: (name: string) => running.ask(name, (connection, ms) => connection.resources(ms)),
    readResource: (name: string, uri: string) =>
      running.ask(name, (connection, ms) => connection.readResource(uri, ms)),
    prompts: (name: string) => running.ask(name, (connection, ms) => connection.prompts(ms)),
    /** Prompts as they are known, for a menu: no server is asked. */
    knownPrompts: () => rows().prompts(),
    complete: (name: string, input: CompleteMcpInput) =>
      running.ask(name, (connection, ms) => connection.complete(input, ms)),
    getPrompt: (name: string, prompt: string, args: Record<string, string>) =>
      running.ask(name, (connection, ms) => connection.getPrompt(prompt, args, ms)),

    async import(caller: Caller, input: ImportMcpInput): Promise<McpImport> {
      const found = importServers(input.text, input.name)
      const result: McpImport = { added: [], skipped: found.skipped, inputs: [], notes: found.notes }
      const taken = new Set(servers.list().map(({ name }) => name.toLowerCase()))
      for (const server of found.servers) {
        if (taken.has(server.name.toLowerCase())) {
          result.skipped.push({ name: server.name, reason: 'there is a server of this name already' })
          continue
        }
        taken.add(server.name.toLowerCase())
        const given = { ...server, inputs: input.inputs ?? {} }
        try {
          result.added.push(input.dry_run ? servers.preview(given) : await servers.create(caller, given))
        } catch (error) {
          result.skipped.push({ name: server.name, reason: (error as Error).message })
        }
      }
      const missing = new Set(result.added.flatMap((server) => server.inputs_missing))
      result.inputs = [...missing].map((id) =>
        found.inputs.find((known) => known.id === id) ?? { id, description: '', secret: true }
      )
      return result
    },

    export: () => exportServers(servers.list()),

    async install(caller: Caller, input: InstallMcpInput): Promise<Mcp> {
      const found = await marketplace.toServer(input, (name) => servers.list().some((row) => row.name === name))
      return input.dry_run ? servers.preview(found) : await servers.create(caller, found)
    },

    signIn: {
      start: signIn.start,
      finish: async (answer: Parameters<typeof signIn.finish>[0]) => {
        const name = await signIn.finish(answer)
        deps.bus.publish({ type: 'resource', resource: 'mcp', action: 'updated', id: name })
        return name
      },
      stateOf: signIn.stateOf,
      async signOut(caller: Caller, name: string): Promise<Mcp> {
        await signIn.signOut(name)
        pool.drop(name)
        await deps.audit({ caller, action: 'mcp.signed_out', target: name, detail: {} })
        deps.bus.publish({ type: 'resource', resource: 'mcp', action: 'updated', id: name })
        return servers.get(name)
      },
    },

    stop: running.stop,
  }
}
