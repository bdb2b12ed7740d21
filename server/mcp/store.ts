import type { McpTransport } from '../../shared/mcp.ts'
import type { Db } from '../db/open.ts'
import type { Effect } from '../tools/tool.ts'
import type { McpSpec } from './spec.ts'

/** Settings of a server that hold no secret. */
export type McpSettings = {
  transport: McpTransport
  cwd: string | null
  oauth: boolean
  timeout_seconds: number | null
  roots: string[]
  trust_hints: boolean
  allow_sampling: boolean
  source: string
  extra: Record<string, unknown>
}

/** What a server says of itself when it is connected. */
export type McpAbout = {
  name: string
  version: string
  protocol: string
  /** Missing where it was last connected before this was kept. */
  prompts?: McpPromptDefinition[]
  resources?: boolean
}

export type McpPromptDefinition = {
  name: string
  title: string | null
  description: string
  arguments: { name: string; description: string; required: boolean }[]
}

/** What a server says of one of its tools. */
export type McpDefinition = {
  title: string | null
  description: string
  input_schema: Record<string, unknown>
  annotations: Record<string, unknown>
}

/** Times are epoch milliseconds. */
export type StoredMcp = {
  name: string
  shown: McpSpec
  /** `McpSpec` as JSON, sealed. */
  sealed: string
  settings: McpSettings
  enabled: boolean
  oauth_state: string | null
  about: McpAbout | null
  created_at: number
  updated_at: number
}

export type StoredMcpTool = {
  server: string
  name: string
  definition: McpDefinition
  hash: string
  accepted: McpDefinition | null
  accepted_hash: string | null
  enabled: boolean
  effect: Effect | null
}

type Tables = {
  mcp_servers: {
    name: string
    shown: string
    sealed: string
    settings: string
    enabled: number
    oauth_state: string | null
    about: string | null
    created_at: number
    updated_at: number
  }
  mcp_tools: {
    server: string
    name: string
    position: number
    definition: string
    hash: string
    accepted: string | null
    accepted_hash: string | null
    enabled: number
    effect: Effect | null
  }
}

export type McpStore = ReturnType<typeof createMcpStore>

/** Servers and their tools; the only SQL of this feature. */
export function createMcpStore({ kysely }: { kysely: Db }) {
  const db = kysely.withTables<Tables>()

  return {
    servers: async (): Promise<StoredMcp[]> =>
      (await db.selectFrom('mcp_servers').selectAll().orderBy('created_at').orderBy('name').execute()).map(toServer),

    tools: async (): Promise<StoredMcpTool[]> =>
      (await db.selectFrom('mcp_tools').selectAll().orderBy('server').orderBy('position').execute()).map(toTool),

    /** False when the name is taken. */
    async add(server: Omit<StoredMcp, 'created_at' | 'updated_at'>, at: number): Promise<boolean> {
      const { numInsertedOrUpdatedRows } = await db.insertInto('mcp_servers')
        .values({ ...columns(server), name: server.name, created_at: at, updated_at: at } as Tables['mcp_servers'])
        .onConflict((conflict) => conflict.column('name').doNothing()).executeTakeFirstOrThrow()
      return numInsertedOrUpdatedRows === 1n
    },

    change: async (name: string, change: Partial<StoredMcp>, at: number): Promise<void> =>
      void await db.updateTable('mcp_servers').set({ ...columns(change), updated_at: at }).where('name', '=', name)
        .execute(),

    /** What the server told us, which is no change of its settings. */
    note: async (name: string, about: McpAbout): Promise<void> =>
      void await db.updateTable('mcp_servers').set({ about: JSON.stringify(about) }).where('name', '=', name).execute(),

    saveOAuth: async (name: string, oauth_state: string | null): Promise<void> =>
      void await db.updateTable('mcp_servers').set({ oauth_state }).where('name', '=', name).execute(),

    remove: async (name: string): Promise<void> =>
      void await db.deleteFrom('mcp_servers').where('name', '=', name).execute(),

    /** The whole list of one server; what is not in it is gone. */
    async replaceTools(server: string, tools: StoredMcpTool[]): Promise<void> {
      await db.transaction().execute(async (tx) => {
        await tx.deleteFrom('mcp_tools').where('server', '=', server).execute()
        for (const [position, tool] of tools.entries()) {
          await tx.insertInto('mcp_tools').values({
            server,
            name: tool.name,
            position,
            definition: JSON.stringify(tool.definition),
            hash: tool.hash,
            accepted: tool.accepted && JSON.stringify(tool.accepted),
            accepted_hash: tool.accepted_hash,
            enabled: Number(tool.enabled),
            effect: tool.effect,
          }).execute()
        }
      })
    },

    changeTool: async (
      server: string,
      name: string,
      change: { enabled?: boolean; effect?: Effect | null; accepted?: McpDefinition; accepted_hash?: string },
    ): Promise<void> => {
      const { enabled, accepted, ...rest } = change
      await db.updateTable('mcp_tools').set({
        ...rest,
        ...(enabled === undefined ? {} : { enabled: Number(enabled) }),
        ...(accepted === undefined ? {} : { accepted: JSON.stringify(accepted) }),
      }).where('server', '=', server).where('name', '=', name).execute()
    },
  }
}

function columns({ shown, sealed, settings, enabled, oauth_state, about }: Partial<StoredMcp>) {
  return {
    ...(shown === undefined ? {} : { shown: JSON.stringify(shown) }),
    ...(sealed === undefined ? {} : { sealed }),
    ...(settings === undefined ? {} : { settings: JSON.stringify(settings) }),
    ...(enabled === undefined ? {} : { enabled: Number(enabled) }),
    ...(oauth_state === undefined ? {} : { oauth_state }),
    ...(about === undefined ? {} : { about: about && JSON.stringify(about) }),
  }
}

const toServer = (row: Tables['mcp_servers']): StoredMcp => ({
  ...row,
  shown: JSON.parse(row.shown) as McpSpec,
  settings: JSON.parse(row.settings) as McpSettings,
  enabled: row.enabled === 1,
  about: row.about === null ? null : JSON.parse(row.about) as McpAbout,
})

const toTool = ({ position: _, ...row }: Tables['mcp_tools']): StoredMcpTool => ({
  ...row,
  definition: JSON.parse(row.definition) as McpDefinition,
  accepted: row.accepted === null ? null : JSON.parse(row.accepted) as McpDefinition,
  enabled: row.enabled === 1,
})
