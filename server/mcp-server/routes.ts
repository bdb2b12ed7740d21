import { type Context, Hono } from 'hono'
import { AppError } from '../errors.ts'
import type { AppEnv } from '../http/env.ts'
import { operation, readJson } from '../http/operation.ts'
import type { Peer } from '../http/peer.ts'
import { mayCome } from './origins.ts'
import { refusal } from './refusal.ts'
import type { McpServer } from './service.ts'
import { snippets } from './snippets.ts'

const PATH = '/mcp'
/** A tool's arguments may hold a whole note. */
const LIMIT = 4 * 1024 * 1024
const PARSE_ERROR = -32700

/** The door for MCP clients. */
export const mcpServerRoutes = (
  mcp: McpServer,
  { peer, base, corsOrigins, program }: {
    /** The address, scheme and host that the client sees. */
    peer: (c: Context<AppEnv>) => Peer
    /** The address that the client sees us at, without a slash at the end. */
    base: (c: Context<AppEnv>) => string
    corsOrigins: () => readonly string[]
    /** What starts `gatehouse mcp` on this machine. */
    program: { command: string; args: string[] }
  },
) => {
  const doc = (id: string, summary: string, description: string, media?: string) =>
    operation({
      id,
      summary,
      description,
      scope: 'converse',
      returns: 'JSON-RPC as the Model Context Protocol has it',
      ...(media ? { media } : {}),
      ownKey: 'Not used: requests of the protocol have ids of their own',
      errors: ['bad_request', 'forbidden', 'not_found'],
    })

  const handle = async (c: Context<AppEnv>): Promise<Response> => {
    const request = c.req.raw
    if (!mayCome(request, peer(c), { base: base(c), corsOrigins: corsOrigins() })) {
      return refusal(403, 'Pages of this origin may not come; add it to server.cors_origins')
    }
    if (c.req.method !== 'POST') return await mcp.handle(request, undefined, c.var.caller)
    try {
      return await mcp.handle(request, await readJson(c, LIMIT), c.var.caller)
    } catch (error) {
      if (error instanceof AppError) return refusal(error.status, error.message, PARSE_ERROR)
      throw error
    }
  }

  return new Hono<AppEnv>()
    .post(
      PATH,
      doc(
        'mcpPost',
        'Send a message as an MCP client (streamable HTTP)',
        '`initialize` opens a session and answers its `Mcp-Session-Id`; a request without that header is answered by ' +
          'itself. `Accept` must name application/json and text/event-stream.',
        'text/event-stream',
      ),
      handle,
    )
    .get(
      PATH,
      doc(
        'mcpStream',
        'What the MCP server has to tell of itself',
        'Server-sent events of one `Mcp-Session-Id`; `Last-Event-ID` takes up a stream that broke.',
        'text/event-stream',
      ),
      handle,
    )
    .delete(PATH, doc('mcpEnd', 'End an MCP session', 'The session of the header `Mcp-Session-Id`.'), handle)
    .get(
      '/api/mcp-server',
      operation({
        id: 'getMcpServer',
        summary: 'How other programs connect to Gatehouse as an MCP server',
        description: 'Settings ready to paste; `key_placeholder` stands where an API key belongs.',
        scope: 'read',
        returns: '{url, key_placeholder, clients: []}',
      }),
      (c) => c.json(snippets({ base: base(c), program })),
    )
}
