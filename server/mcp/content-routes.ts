import { Hono } from 'hono'
import { CompleteMcpInput, GetMcpPromptInput, ReadMcpResourceQuery } from '../../shared/mcp.ts'
import type { AppEnv } from '../http/env.ts'
import { operation } from '../http/operation.ts'
import type { McpClients } from './service.ts'

/** Resources and prompts of MCP servers, for people to put into a conversation. What they hold is text from outside. */
export const mcpContentRoutes = (mcp: McpClients) =>
  new Hono<AppEnv>()
    .get(
      '/api/mcps/:name/resources',
      operation({
        id: 'listMcpResources',
        summary: 'What a server has to read',
        scope: 'chat',
        returns: '{resources, templates}',
        errors: ['not_found', 'conflict', 'bad_gateway'],
      }),
      async (c) => c.json(await mcp.resources(c.req.param('name'))),
    )
    .get(
      '/api/mcps/:name/resource',
      operation({
        id: 'readMcpResource',
        summary: 'One of them',
        scope: 'chat',
        query: ReadMcpResourceQuery,
        returns: '{contents}',
        errors: ['not_found', 'conflict', 'bad_gateway'],
      }),
      async (c) => {
        const { contents } = await mcp.readResource(c.req.param('name'), c.req.valid('query').uri)
        return c.json({ contents })
      },
    )
    .get(
      '/api/mcp-prompts',
      operation({
        id: 'listKnownMcpPrompts',
        summary: 'Prompts of all servers as they were when last connected; starts none',
        scope: 'converse',
        returns: '{prompts}',
      }),
      (c) => c.json({ prompts: mcp.knownPrompts() }),
    )
    .post(
      '/api/mcps/:name/complete',
      operation({
        id: 'completeMcpArgument',
        summary: 'What an argument of a prompt, or a part of a resource template, may become',
        scope: 'chat',
        body: CompleteMcpInput,
        returns: '{values}',
        errors: ['invalid_input', 'not_found', 'conflict', 'bad_gateway'],
      }),
      async (c) => c.json({ values: await mcp.complete(c.req.param('name'), c.req.valid('json')) }),
    )
    .get(
      '/api/mcps/:name/prompts',
      operation({
        id: 'listMcpPrompts',
        summary: 'Prompts of a server, with the arguments that they take',
        scope: 'chat',
        returns: '{prompts}',
        errors: ['not_found', 'conflict', 'bad_gateway'],
      }),
      async (c) => c.json({ prompts: await mcp.prompts(c.req.param('name')) }),
    )
    .post(
      '/api/mcps/:name/prompts/:prompt{.+}',
      operation({
        id: 'getMcpPrompt',
        summary: 'A prompt with its arguments filled in',
        scope: 'chat',
        body: GetMcpPromptInput,
        returns: '{description?, messages}',
        errors: ['invalid_input', 'not_found', 'conflict', 'bad_gateway'],
      }),
      async (c) => {
        const { name, prompt } = c.req.param()
        const { description, messages } = await mcp.getPrompt(name, prompt, c.req.valid('json').arguments)
        return c.json({ ...(description ? { description } : {}), messages })
      },
    )
