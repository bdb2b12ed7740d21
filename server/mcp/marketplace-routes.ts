import { Hono } from 'hono'
import { InstallMcpInput, MarketplaceSearchQuery, MarketplaceServerQuery } from '../../shared/mcp.ts'
import type { AppEnv } from '../http/env.ts'
import { problem } from '../http/on-error.ts'
import { operation } from '../http/operation.ts'
import { NameTaken } from './marketplace.ts'
import type { McpClients } from './service.ts'

/** An MCP registry to choose servers from (spec openagent-api §6). */
export const marketplaceRoutes = (mcp: McpClients) =>
  new Hono<AppEnv>()
    .get(
      '/api/marketplace/search',
      operation({
        id: 'searchMarketplace',
        summary: 'Servers of the configured MCP registry',
        scope: 'read',
        query: MarketplaceSearchQuery,
        returns: '{servers, nextCursor?, count?}',
        errors: ['bad_gateway', 'forbidden', 'upstream_timeout'],
      }),
      async (c) => c.json(await mcp.marketplace.search(c.req.valid('query'))),
    )
    .get(
      '/api/marketplace/servers',
      operation({
        id: 'getMarketplaceServer',
        summary: 'One server of the registry, and what its form has to ask',
        scope: 'read',
        query: MarketplaceServerQuery,
        returns: '{server, _meta?, requirements}',
        errors: ['not_found', 'bad_gateway'],
      }),
      async (c) => {
        const { name, version } = c.req.valid('query')
        return c.json(await mcp.marketplace.server(name, version))
      },
    )
    .post(
      '/api/marketplace/install',
      operation({
        id: 'installFromMarketplace',
        summary: 'Add a server of the registry',
        description: '409 carries suggested_name when the name is taken. dry_run answers 200 and adds nothing.',
        scope: 'admin',
        body: InstallMcpInput,
        status: 201,
        returns: '{ok, mcp: McpServer}',
        errors: ['invalid_input', 'conflict', 'unprocessable', 'bad_gateway'],
      }),
      async (c) => {
        try {
          const input = c.req.valid('json')
          return c.json({ ok: true, mcp: await mcp.install(c.var.caller, input) }, input.dry_run ? 200 : 201)
        } catch (error) {
          if (!(error instanceof NameTaken)) throw error
          const told = problem(error, c.req.path, c.var.requestId)
          const body = { ...await told.json() as object, suggested_name: error.suggested_name }
          return new Response(JSON.stringify(body), { status: told.status, headers: told.headers })
        }
      },
    )
