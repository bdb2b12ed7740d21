import { Hono } from 'hono'
import {
  AnswerQuestionInput,
  CreateMcpInput,
  FinishOAuthInput,
  ImportMcpInput,
  UpdateMcpInput,
  UpdateMcpToolInput,
} from '../../shared/mcp.ts'
import { demand } from '../auth/principal.ts'
import { invalid } from '../errors.ts'
import type { AppEnv } from '../http/env.ts'
import { operation } from '../http/operation.ts'
import type { McpClients } from './service.ts'

/** MCP servers that we are a client of (spec openagent-api §6). `origin` is how a browser reaches us. */
export const mcpRoutes = (mcp: McpClients, origin: (request: Request) => string) => {
  const switchDoc = (id: string, summary: string) =>
    operation({ id, summary, scope: 'admin', returns: '{ok, mcp: McpServer}', errors: ['not_found'] })
  const enable = (on: boolean) => async (c: { var: AppEnv['Variables']; req: { param(name: 'name'): string } }) => ({
    ok: true,
    mcp: await mcp.update(c.var.caller, c.req.param('name'), { enabled: on }),
  })

  return new Hono<AppEnv>()
    .get(
      '/api/mcps',
      operation({
        id: 'listMcps',
        summary: 'MCP servers with their live state',
        description: 'Secrets are masked; references such as ${API_KEY} are shown as they were written.',
        scope: 'read',
        returns: '{mcps: McpServer[]}',
      }),
      (c) => c.json({ mcps: mcp.list() }),
    )
    .post(
      '/api/mcps',
      operation({
        id: 'createMcp',
        summary: 'Add an MCP server',
        description:
          'Needs a command (stdio) or a url. Values of env and headers may be references such as ${API_KEY}.',
        scope: 'admin',
        body: CreateMcpInput,
        status: 201,
        returns: '{ok, mcp: McpServer}',
        errors: ['invalid_input', 'conflict'],
      }),
      async (c) => c.json({ ok: true, mcp: await mcp.create(c.var.caller, c.req.valid('json')) }, 201),
    )
    .post(
      '/api/mcps/import',
      operation({
        id: 'importMcps',
        summary: 'Add servers from the settings of another program',
        description: 'mcpServers JSON, VS Code\'s servers, one server, or a "claude mcp add" line. dry_run only shows.',
        scope: 'admin',
        body: ImportMcpInput,
        returns: '{ok, added: McpServer[], skipped, inputs, notes}',
        errors: ['invalid_input'],
      }),
      async (c) => c.json({ ok: true, ...await mcp.import(c.var.caller, c.req.valid('json')) }),
    )
    .get(
      '/api/mcps/export',
      operation({
        id: 'exportMcps',
        summary: 'The servers as mcpServers JSON, without secrets',
        scope: 'admin',
        returns: '{mcpServers}',
      }),
      (c) => c.json(mcp.export()),
    )
    .get(
      '/api/mcps/:name',
      operation({
        id: 'getMcp',
        summary: 'One MCP server',
        scope: 'read',
        returns: '{mcp: McpServer}',
        errors: ['not_found'],
      }),
      (c) => c.json({ mcp: mcp.get(c.req.param('name')) }),
    )
    .put(
      '/api/mcps/:name',
      operation({
        id: 'updateMcp',
        summary: 'Change an MCP server',
        description: 'A merge. A secret that comes back masked stays. Calls under way end with the old settings.',
        scope: 'admin',
        body: UpdateMcpInput,
        returns: '{ok, mcp: McpServer}',
        errors: ['invalid_input', 'not_found'],
      }),
      async (c) => c.json({ ok: true, mcp: await mcp.update(c.var.caller, c.req.param('name'), c.req.valid('json')) }),
    )
    .delete(
      '/api/mcps/:name',
      operation({
        id: 'deleteMcp',
        summary: 'Remove an MCP server and stop it',
        scope: 'admin',
        returns: '{ok}',
        errors: ['not_found'],
      }),
      async (c) => {
        await mcp.remove(c.var.caller, c.req.param('name'))
        return c.json({ ok: true })
      },
    )
    .post(
      '/api/mcps/:name/enable',
      switchDoc('enableMcp', 'Switch a server on'),
      async (c) => c.json(await enable(true)(c)),
    )
    .put(
      '/api/mcps/:name/enable',
      switchDoc('putEnableMcp', 'Switch a server on'),
      async (c) => c.json(await enable(true)(c)),
    )
    .post(
      '/api/mcps/:name/disable',
      switchDoc('disableMcp', 'Switch a server off'),
      async (c) => c.json(await enable(false)(c)),
    )
    .put(
      '/api/mcps/:name/disable',
      switchDoc('putDisableMcp', 'Switch a server off'),
      async (c) => c.json(await enable(false)(c)),
    )
    .post(
      '/api/mcps/:name/start',
      operation({
        id: 'startMcp',
        summary: 'Connect to a server now and read its tools',
        scope: 'admin',
        returns: '{ok, mcp: McpServer}',
        errors: ['not_found', 'conflict', 'bad_gateway'],
      }),
      async (c) => c.json({ ok: true, mcp: await mcp.start(c.req.param('name')) }),
    )
    .post(
      '/api/mcps/:name/restart',
      operation({
        id: 'restartMcp',
        summary: 'Connect to a server anew',
        description: 'Calls under way end on the old connection. A program is started again.',
        scope: 'admin',
        returns: '{ok, mcp: McpServer}',
        errors: ['not_found', 'conflict', 'bad_gateway'],
      }),
      async (c) => c.json({ ok: true, mcp: await mcp.restart(c.var.caller, c.req.param('name')) }),
    )
    .put(
      '/api/mcps/:name/tools/:tool{.+}',
      operation({
        id: 'updateMcpTool',
        summary: 'Switch one tool, say what it does, or accept its changed description',
        description: "effect null goes back to what follows from the server's hints.",
        scope: 'admin',
        body: UpdateMcpToolInput,
        returns: '{ok, mcp: McpServer}',
        errors: ['invalid_input', 'not_found'],
      }),
      async (c) => {
        const { name, tool } = c.req.param()
        return c.json({ ok: true, mcp: await mcp.updateTool(c.var.caller, name, tool, c.req.valid('json')) })
      },
    )
    .get(
      '/api/mcp-tools',
      operation({
        id: 'listMcpTools',
        summary: 'Tools of all MCP servers',
        scope: 'read',
        returns: '{tools: McpTool[]}',
      }),
      (c) => c.json({ tools: mcp.tools() }),
    )
    .get(
      '/api/mcp-questions',
      operation({
        id: 'listMcpQuestions',
        summary: 'What servers ask of you in the middle of a call: forms to fill in, pages to visit',
        scope: 'converse',
        returns: '{questions: McpQuestion[]}',
      }),
      (c) => c.json({ questions: mcp.questions.list(c.var.caller) }),
    )
    .post(
      '/api/mcp-questions/:id',
      operation({
        id: 'answerMcpQuestion',
        summary: 'Answer, decline or cancel such a question',
        description: 'content is the filled-in form; a page to visit is accepted without it.',
        scope: 'chat',
        body: AnswerQuestionInput,
        returns: '{ok}',
        errors: ['invalid_input', 'not_found'],
      }),
      (c) => {
        mcp.questions.answer(c.var.caller, c.req.param('id'), c.req.valid('json'))
        return c.json({ ok: true })
      },
    )
    .post(
      '/api/mcps/:name/oauth/start',
      operation({
        id: 'startMcpSignIn',
        summary: 'Begin a sign-in at a server',
        description: 'url is where the browser has to go; null when a kept sign-in was renewed instead. The browser ' +
          'comes back to this server, or its last address is given to …/oauth/finish.',
        scope: 'admin',
        returns: '{ok, url, mcp: McpServer}',
        errors: ['not_found', 'conflict', 'bad_gateway'],
      }),
      async (c) => {
        const name = c.req.param('name')
        const url = await mcp.signIn.start(name, origin(c.req.raw))
        return c.json({ ok: true, url, mcp: mcp.get(name) })
      },
    )
    .post(
      '/api/mcps/:name/oauth/finish',
      operation({
        id: 'finishMcpSignIn',
        summary: 'End a sign-in by hand, where the browser can not reach this server',
        scope: 'admin',
        body: FinishOAuthInput,
        returns: '{ok, mcp: McpServer}',
        errors: ['invalid_input', 'conflict', 'bad_gateway'],
      }),
      async (c) => {
        demand(c.var.caller, 'admin')
        const name = c.req.param('name')
        const { code } = c.req.valid('json')
        const state = mcp.signIn.stateOf(name)
        const params = URL.parse(code)?.searchParams
        if (params?.has('state') && params.get('state') !== state) throw invalid('code', 'belongs to another sign-in')
        await mcp.signIn.finish(
          params
            ? { state, code: params.get('code') ?? undefined, iss: params.get('iss') ?? undefined }
            : { state, code: code.trim() },
        )
        return c.json({ ok: true, mcp: mcp.get(name) })
      },
    )
    .delete(
      '/api/mcps/:name/oauth',
      operation({
        id: 'signOutMcp',
        summary: 'Forget the sign-in at a server',
        scope: 'admin',
        returns: '{ok, mcp: McpServer}',
        errors: ['not_found'],
      }),
      async (c) => c.json({ ok: true, mcp: await mcp.signIn.signOut(c.var.caller, c.req.param('name')) }),
    )
}
