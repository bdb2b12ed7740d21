import type {
  AnswerQuestionInput,
  CompleteMcpInput,
  CreateMcpInput,
  ImportMcpInput,
  InstallMcpInput,
  Mcp,
  McpImport,
  McpPrompt,
  McpQuestion,
  McpTool,
  UpdateMcpInput,
  UpdateMcpToolInput,
} from '$shared/mcp.ts'
import type { McpServerInfo } from '$shared/mcp-server.ts'
import { api, type Fetch } from './client.ts'

/** A server as a registry lists it; all of it is text from outside. */
export type RegistryServer = {
  name: string
  version?: string
  title?: string
  description?: string
  status?: string
  websiteUrl?: string
  repository?: { url?: string }
}

export type RegistryField = {
  name: string
  isSecret: boolean
  isRequired: boolean
  description?: string
  default?: string
  value_template?: string
}
export type RegistryPlaceholder = { token: string; description?: string }

/** What has to be known before a server of the registry can be added, by the ways to run it. */
export type Requirements = {
  packages: {
    index: number
    runtime: string | null
    registryType: string | null
    identifier: string | null
    version: string | null
    transport: string
    env_required: RegistryField[]
    placeholders: RegistryPlaceholder[]
    supported: boolean
  }[]
  remotes: {
    index: number
    url: string | null
    transport: string
    header_required: RegistryField[]
    placeholders: RegistryPlaceholder[]
  }[]
}

export type McpResource = { uri: string; name?: string; title?: string; description?: string; mimeType?: string }
export type McpTemplate = {
  uriTemplate: string
  name?: string
  title?: string
  description?: string
  mimeType?: string
}
/** Either `text` or `blob` (base64). */
export type McpContents = { uri: string; mimeType?: string; text?: string; blob?: string }
export type McpPromptContent =
  | { type: 'text'; text: string }
  | { type: 'image' | 'audio'; data: string; mimeType: string }
  | { type: 'resource'; resource: McpContents }
  | { type: 'resource_link'; uri: string; name?: string }
export type McpPromptMessage = { role: 'user' | 'assistant'; content: McpPromptContent }

/** A start may mean a download first. */
const SLOW = { timeout: 120_000 }

/** MCP servers, their tools, prompts and resources, the registry, and what servers ask of people. */
export const mcp = (fetch?: Fetch) => {
  const client = api(fetch)
  const at = (name: string, rest = '') => `/api/mcps/${encodeURIComponent(name)}${rest}`
  const row = async (answer: Promise<{ mcp: Mcp }>): Promise<Mcp> => (await answer).mcp
  return {
    list: async () => (await client.get<{ mcps: Mcp[] }>('/api/mcps')).mcps,
    get: (name: string) => row(client.get(at(name))),
    create: (input: CreateMcpInput) => row(client.post('/api/mcps', input)),
    update: (name: string, input: UpdateMcpInput) => row(client.put(at(name), input)),
    remove: (name: string) => client.delete(at(name)),
    restart: (name: string) => row(client.post(at(name, '/restart'), {}, SLOW)),
    import: (input: ImportMcpInput) => client.post<McpImport>('/api/mcps/import', input),
    export: () => client.get<{ mcpServers: Record<string, unknown> }>('/api/mcps/export'),

    tools: async () => (await client.get<{ tools: McpTool[] }>('/api/mcp-tools')).tools,
    updateTool: (name: string, tool: string, input: UpdateMcpToolInput) =>
      row(client.put(at(name, `/tools/${encodeURIComponent(tool)}`), input)),

    /** `url` is null when a kept sign-in was renewed. */
    startSignIn: (name: string) => client.post<{ url: string | null; mcp: Mcp }>(at(name, '/oauth/start')),
    finishSignIn: (name: string, code: string) => row(client.post(at(name, '/oauth/finish'), { code })),
    signOut: (name: string) => row(client.delete(at(name, '/oauth'))),

    search: (query: { q?: string; cursor?: string }, signal?: AbortSignal) =>
      client.get<{ servers: RegistryServer[]; nextCursor?: string }>('/api/marketplace/search', { query, signal }),
    registryServer: (name: string, version?: string) =>
      client.get<{ server: RegistryServer; requirements: Requirements }>('/api/marketplace/servers', {
        query: { name, version },
      }),
    /** With `dry_run`, only what would be added. */
    install: (input: InstallMcpInput) => row(client.post('/api/marketplace/install', input)),

    prompts: async () => (await client.get<{ prompts: McpPrompt[] }>('/api/mcp-prompts')).prompts,
    prompt: (name: string, prompt: string, args: Record<string, string>) =>
      client.post<{ description?: string; messages: McpPromptMessage[] }>(
        at(name, `/prompts/${encodeURIComponent(prompt)}`),
        { arguments: args },
        SLOW,
      ),
    complete: async (name: string, input: CompleteMcpInput, signal?: AbortSignal) =>
      (await client.post<{ values: string[] }>(at(name, '/complete'), input, { ...SLOW, signal })).values,
    /** Starts the server where it does not run. */
    resources: (name: string) =>
      client.get<{ resources: McpResource[]; templates: McpTemplate[] }>(at(name, '/resources'), SLOW),
    resource: async (name: string, uri: string) =>
      (await client.get<{ contents: McpContents[] }>(at(name, '/resource'), { query: { uri }, ...SLOW })).contents,

    questions: async () => (await client.get<{ questions: McpQuestion[] }>('/api/mcp-questions')).questions,
    answer: (id: string, input: AnswerQuestionInput) =>
      client.post(`/api/mcp-questions/${encodeURIComponent(id)}`, input),

    /** How other programs use Gatehouse as their MCP server. */
    ownServer: () => client.get<McpServerInfo>('/api/mcp-server'),
  }
}

export type McpApi = ReturnType<typeof mcp>
