import { pathToFileURL } from 'node:url'
import type { Client } from '@modelcontextprotocol/sdk/client/index.js'
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js'
import type {
  CallToolResult,
  CreateMessageRequest,
  CreateMessageResult,
  ElicitRequest,
  ElicitResult,
  GetPromptResult,
  Prompt as ListedPrompt,
  ReadResourceResult,
  Resource,
  ResourceTemplate,
} from '@modelcontextprotocol/sdk/types.js'
import type { CompleteMcpInput, McpTransport } from '../../shared/mcp.ts'
import type { ToolProgress } from '../../shared/turn-events.ts'
import { AppError } from '../errors.ts'
import type { Runtime } from '../runtime/port.ts'
import type { Fetch } from './guarded-fetch.ts'
import type { McpSpec } from './spec.ts'
import { createStdio } from './stdio.ts'
import type { McpAbout } from './store.ts'

/** A server as it is connected to: references resolved. */
export type Target = {
  spec: McpSpec
  transport: McpTransport
  cwd: string | undefined
  roots: string[]
}

/** What a server may ask of us, and tell us. Left out: the server is told that we can't do it. */
export type Hooks = {
  /** Its tools or its prompts are others than before. */
  onToolsChanged: () => void
  /** What a person was sent to do on a page of the server's own is done. */
  onElicited?: ((elicitationId: string) => void) | undefined
  /** The connection ended without having been closed by us. */
  onLost: (error: Error) => void
  onLine: (line: string) => void
  sample?: ((params: CreateMessageRequest['params'], signal: AbortSignal) => Promise<CreateMessageResult>) | undefined
  elicit?: ((params: ElicitRequest['params'], signal: AbortSignal) => Promise<ElicitResult>) | undefined
}

export type ConnectDeps = {
  runtime: Runtime
  fetch: Fetch
  /** Variables of every child, beside its own. */
  childEnv: Record<string, string>
  version: string
}

export type Limits = { timeoutMs: number; signal: AbortSignal }

export type ListedTool = {
  name: string
  title?: string | undefined
  description?: string | undefined
  inputSchema: Record<string, unknown>
  annotations?: Record<string, unknown> | undefined
}

export type { ListedPrompt }

/** One live connection. Its calls throw what the SDK throws; `close` waits until no process is left. */
export type Connection = {
  about: Pick<McpAbout, 'name' | 'version' | 'protocol'>
  /** Whether it said that it has something to read. */
  hasResources: boolean
  listTools(timeoutMs: number): Promise<ListedTool[]>
  call(
    tool: string,
    args: Record<string, unknown>,
    options: { signal: AbortSignal; timeoutMs: number; onProgress?: ((update: ToolProgress) => void) | undefined },
  ): Promise<CallToolResult>
  /** Empty where the server has none. */
  resources(timeoutMs: number): Promise<{ resources: Resource[]; templates: ResourceTemplate[] }>
  readResource(uri: string, timeoutMs: number): Promise<ReadResourceResult>
  prompts(timeoutMs: number): Promise<ListedPrompt[]>
  /** Values that begin like what is typed; none where the server does not help. */
  complete(input: CompleteMcpInput, timeoutMs: number): Promise<string[]>
  getPrompt(name: string, args: Record<string, string>, timeoutMs: number): Promise<GetPromptResult>
  close(): Promise<void>
}

/** A list of tools, resources or prompts that has no end is cut here. */
const MOST_LISTED = 500
const MAX_PAGES = 50
const MAX_COMPLETIONS = 100

/**
 * Starts or reaches a server and shakes hands. The SDK is loaded here, on first use: it is half of the program's size.
 * Without a stated transport, streamable HTTP is tried first, then SSE (revision 2024-11-05).
 */
export async function connect(target: Target, hooks: Hooks, deps: ConnectDeps, limits: Limits): Promise<Connection> {
  const { spec } = target
  if (spec.command) return await shakeHands(stdio(target, hooks, deps), target, hooks, deps, limits)
  const url = new URL(spec.url!)
  const requestInit = { headers: spec.headers }
  const sse = async () => {
    const { SSEClientTransport } = await import('@modelcontextprotocol/sdk/client/sse.js')
    return new SSEClientTransport(url, { fetch: deps.fetch, requestInit })
  }
  if (target.transport === 'sse') return await shakeHands(await sse(), target, hooks, deps, limits)
  const { StreamableHTTPClientTransport } = await import('@modelcontextprotocol/sdk/client/streamableHttp.js')
  const http = new StreamableHTTPClientTransport(url, { fetch: deps.fetch, requestInit })
  try {
    return await shakeHands(http as Transport, target, hooks, deps, limits)
  } catch (error) {
    const code = (error as { code?: unknown }).code
    const refused = typeof code === 'number' && code >= 400 && code < 500 && code !== 401 && code !== 403
    if (target.transport === 'http' || !refused) throw error
    return await shakeHands(await sse(), target, hooks, deps, limits)
  }
}

function stdio({ spec, cwd }: Target, hooks: Hooks, { runtime, childEnv }: ConnectDeps): Transport {
  const [command, ...first] = spec.command!
  return createStdio({
    runtime,
    command: command!,
    args: [...first, ...spec.args],
    env: { ...childEnv, ...spec.env },
    cwd,
    onLine: hooks.onLine,
  })
}

async function shakeHands(
  transport: Transport,
  target: Target,
  hooks: Hooks,
  deps: ConnectDeps,
  { timeoutMs, signal }: Limits,
): Promise<Connection> {
  const [{ Client }, types] = await Promise.all([
    import('@modelcontextprotocol/sdk/client/index.js'),
    import('@modelcontextprotocol/sdk/types.js'),
  ])
  const { sample, elicit } = hooks
  const client = new Client({ name: 'gatehouse', title: 'Gatehouse', version: deps.version }, {
    capabilities: {
      ...(target.roots.length > 0 ? { roots: {} } : {}),
      ...(sample ? { sampling: {} } : {}),
      ...(elicit ? { elicitation: { form: { applyDefaults: true }, url: {} } } : {}),
    },
  })
  if (target.roots.length > 0) {
    client.setRequestHandler(types.ListRootsRequestSchema, () => ({
      roots: target.roots.map((path) => ({ uri: pathToFileURL(path).href })),
    }))
  }
  if (sample) {
    client.setRequestHandler(types.CreateMessageRequestSchema, ({ params }, { signal }) => sample(params, signal))
  }
  if (elicit) client.setRequestHandler(types.ElicitRequestSchema, ({ params }, { signal }) => elicit(params, signal))
  client.setNotificationHandler(types.ToolListChangedNotificationSchema, () => hooks.onToolsChanged())
  client.setNotificationHandler(types.PromptListChangedNotificationSchema, () => hooks.onToolsChanged())
  client.setNotificationHandler(
    types.ElicitationCompleteNotificationSchema,
    ({ params }) => hooks.onElicited?.(params.elicitationId),
  )
  client.setNotificationHandler(
    types.LoggingMessageNotificationSchema,
    ({ params }) => hooks.onLine(typeof params.data === 'string' ? params.data : JSON.stringify(params.data) ?? ''),
  )
  let last: Error | undefined
  let ours = false
  let open = false
  client.onerror = (error) => (last = error)
  client.onclose = () => {
    if (open && !ours) hooks.onLost(last ?? new Error('the connection ended'))
  }
  try {
    await client.connect(transport, { timeout: timeoutMs, signal })
  } catch (error) {
    ours = true
    await client.close().catch(() => {})
    await transport.close().catch(() => {})
    // A process that ended says more than the handshake that it left behind.
    throw last && /process ended|sent/.test(last.message) ? last : error
  }
  open = true
  return connected(client, transport, types, () => (ours = true))
}

function connected(
  client: Client,
  transport: Transport & { protocolVersion?: string | undefined; terminateSession?: () => Promise<void> },
  types: typeof import('@modelcontextprotocol/sdk/types.js'),
  onClose: () => void,
): Connection {
  const server = client.getServerVersion()
  return {
    about: {
      name: String(server?.title ?? server?.name ?? '').slice(0, 200),
      version: String(server?.version ?? '').slice(0, 100),
      protocol: transport.protocolVersion ?? types.LATEST_PROTOCOL_VERSION,
    },

    hasResources: client.getServerCapabilities()?.resources !== undefined,

    async listTools(timeoutMs) {
      if (!client.getServerCapabilities()?.tools) return []
      return await allPages(async (params) => {
        // Not `listTools`, which would compile every output schema that a stranger sends.
        const result = await client.request({ method: 'tools/list', params }, types.ListToolsResultSchema, {
          timeout: timeoutMs,
        })
        return { items: result.tools as ListedTool[], nextCursor: result.nextCursor }
      })
    },

    async resources(timeoutMs) {
      if (!client.getServerCapabilities()?.resources) return { resources: [], templates: [] }
      const resources = await allPages(async (params) => {
        const { resources: items, nextCursor } = await client.listResources(params, { timeout: timeoutMs })
        return { items, nextCursor }
      })
      // Many servers have resources and do not know what a template is.
      const templates = await allPages(async (params) => {
        const page = await client.listResourceTemplates(params, { timeout: timeoutMs })
        return { items: page.resourceTemplates, nextCursor: page.nextCursor }
      }).catch(() => [])
      return { resources, templates }
    },

    readResource: (uri, timeoutMs) => client.readResource({ uri }, { timeout: timeoutMs }),

    async prompts(timeoutMs) {
      if (!client.getServerCapabilities()?.prompts) return []
      return await allPages(async (params) => {
        const { prompts: items, nextCursor } = await client.listPrompts(params, { timeout: timeoutMs })
        return { items, nextCursor }
      })
    },

    async complete({ prompt, template, argument, arguments: others }, timeoutMs) {
      if (!client.getServerCapabilities()?.completions) return []
      const ref = prompt === undefined
        ? { type: 'ref/resource' as const, uri: template ?? '' }
        : { type: 'ref/prompt' as const, name: prompt }
      const { completion } = await client.complete({ ref, argument, context: { arguments: others } }, {
        timeout: timeoutMs,
      })
      return completion.values.slice(0, MAX_COMPLETIONS)
    },

    getPrompt: (name, args, timeoutMs) => client.getPrompt({ name, arguments: args }, { timeout: timeoutMs }),

    async call(tool, args, { signal, timeoutMs, onProgress }) {
      const result = await client.request(
        { method: 'tools/call', params: { name: tool, arguments: args } },
        types.CallToolResultSchema,
        {
          signal,
          timeout: timeoutMs,
          resetTimeoutOnProgress: true,
          // A server that reports progress for ever must end, too.
          maxTotalTimeout: timeoutMs * 10,
          onprogress: ({ progress, total, message }) =>
            onProgress?.({
              progress,
              ...(total === undefined ? {} : { total }),
              ...(message === undefined ? {} : { message }),
            }),
        },
      )
      return result as CallToolResult
    },

    async close() {
      onClose()
      // A server with sessions is told that this one is over; many do not offer it.
      await within(1000, transport.terminateSession?.() ?? Promise.resolve())
      await client.close().catch(() => {})
      await transport.close().catch(() => {})
    },
  }
}

async function allPages<T>(
  ask: (params: { cursor?: string }) => Promise<{ items: T[]; nextCursor?: string | undefined }>,
): Promise<T[]> {
  const all: T[] = []
  let cursor: string | undefined
  for (let page = 0; page < MAX_PAGES && all.length < MOST_LISTED; page++) {
    const { items, nextCursor } = await ask(cursor === undefined ? {} : { cursor })
    all.push(...items)
    if (!nextCursor || nextCursor === cursor) break
    cursor = nextCursor
  }
  return all.slice(0, MOST_LISTED)
}

function within(ms: number, work: Promise<unknown>): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms)
    work.catch(() => {}).finally(() => {
      clearTimeout(timer)
      resolve()
    })
  })
}

/** What went wrong, for the owner and the model. */
export function explain(error: unknown): string {
  if (error instanceof AppError) return error.message
  const { code, message, cause } = error as { code?: unknown; message?: string; cause?: unknown }
  if (code === 'ENOENT') return 'the program was not found; check the command and that it is installed'
  if (cause instanceof AppError) return cause.message
  return (message ?? String(error)).replace(/^MCP error -?\d+: /, '').slice(0, 1000)
}
