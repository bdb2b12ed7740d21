import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import {
  type ElicitRequest,
  ElicitRequestSchema,
  type ElicitResult,
  ResourceListChangedNotificationSchema,
  ResourceUpdatedNotificationSchema,
  ToolListChangedNotificationSchema,
} from '@modelcontextprotocol/sdk/types.js'
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js'
import { OWNER_TOKEN } from './app.ts'

export type McpPeer = Awaited<ReturnType<typeof mcpPeer>>

/** The SDK's own client on `/mcp` of a server, or on a transport of the test's. */
export async function mcpPeer(server: string | Transport, options: {
  token?: string
  name?: string
  /** Fills in forms; without it the client says that it can draw none. */
  elicit?: (params: ElicitRequest['params']) => ElicitResult | Promise<ElicitResult>
} = {}) {
  const { elicit } = options
  const heard: string[] = []
  const client = new Client({ name: options.name ?? 'tester', version: '1' }, {
    capabilities: elicit ? { elicitation: { form: {} } } : {},
  })
  if (elicit) client.setRequestHandler(ElicitRequestSchema, ({ params }) => elicit(params))
  client.setNotificationHandler(ToolListChangedNotificationSchema, () => void heard.push('tools'))
  client.setNotificationHandler(ResourceListChangedNotificationSchema, () => void heard.push('resources'))
  client.setNotificationHandler(ResourceUpdatedNotificationSchema, ({ params }) => void heard.push(params.uri))
  const headers = { authorization: `Bearer ${options.token ?? OWNER_TOKEN}` }
  const transport = typeof server === 'string'
    ? new StreamableHTTPClientTransport(new URL('/mcp', server), { requestInit: { headers } })
    : server
  await client.connect(transport as Transport)

  return {
    client,
    transport: transport as StreamableHTTPClientTransport,
    /** What the server told by itself. */
    heard,
    /** Calls a tool; its text and whether it failed. */
    async call(name: string, args: Record<string, unknown> = {}, more: Parameters<Client['callTool']>[2] = {}) {
      const result = await client.callTool({ name, arguments: args }, undefined, more)
      const [first] = result.content as { type: string; text: string }[]
      return { text: first?.text ?? '', failed: result.isError === true, data: result.structuredContent, result }
    },
    close: () => client.close(),
  }
}
