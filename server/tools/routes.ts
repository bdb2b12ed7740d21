import { Hono } from 'hono'
import { RunToolInput, ToolCallsQuery } from '../../shared/tools.ts'
import type { AppEnv } from '../http/env.ts'
import { operation } from '../http/operation.ts'
import type { ToolPage } from './page.ts'

/** The list of tools, and trying one out. */
export const toolRoutes = (page: ToolPage) =>
  new Hono<AppEnv>()
    .get(
      '/api/tools',
      operation({
        id: 'listTools',
        summary: 'Every tool, with the rule that applies to it and its last calls',
        scope: 'read',
        returns: '{tools: Tool[]}',
      }),
      async (c) => c.json({ tools: await page.list(c.var.caller) }),
    )
    .get(
      '/api/tools/:name/calls',
      operation({
        id: 'listToolCalls',
        summary: 'The last calls of your agent to a tool, newest first',
        scope: 'read',
        query: ToolCallsQuery,
        returns: '{calls: ToolCall[]}',
        errors: ['invalid_input', 'not_found'],
      }),
      async (c) => c.json({ calls: await page.calls(c.var.caller, c.req.param('name'), c.req.valid('query').limit) }),
    )
    .post(
      '/api/tools/:name/run',
      operation({
        id: 'runTool',
        summary: 'Try a tool out',
        description: 'Goes through the same gate as a model’s call. What the gate asks about answers 409, and runs ' +
          'when it is sent again with `confirm: true` by somebody with the scope admin. What it denies answers 403. ' +
          'A tool that fails answers 200 with `ok: false`, as a model would see it.',
        scope: 'chat',
        body: RunToolInput,
        returns: 'ToolRun',
        errors: ['invalid_input', 'not_found', 'forbidden', 'conflict'],
      }),
      async (c) => c.json(await page.run(c.var.caller, c.req.param('name'), c.req.valid('json'), c.req.raw.signal)),
    )
