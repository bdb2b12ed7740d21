import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import type { ModelRequest } from '../server/models/provider.ts'
import { scripted, toolCall } from '../server/models/providers/scripted.ts'
import type { Mcp, McpPrompt, McpQuestion, McpTool } from '../shared/mcp.ts'
import { type TestApp, testApp } from './support/app.ts'
import { mcpOverHttp } from './support/mcp-http.ts'
import { programs, until } from './support/mcp-programs.ts'

const opened: TestApp[] = []
async function open(options: Parameters<typeof testApp>[0] = {}): Promise<TestApp> {
  const app = await testApp(options)
  opened.push(app)
  return app
}
after(async () => {
  for (const app of opened) await app.close()
})

const get = async (app: TestApp, name: string): Promise<Mcp> =>
  (await app.json<{ mcp: Mcp }>(`/api/mcps/${encodeURIComponent(name)}`)).mcp
async function everything(app: TestApp): Promise<Mcp> {
  await app.json('/api/mcps', { json: { name: 'every', ...programs.everything }, status: 201 })
  return await until(async () => {
    const row = await get(app, 'every')
    return row.server && row.state === 'ready' ? row : undefined
  })
}
const question = (app: TestApp): Promise<McpQuestion> =>
  until(async () => (await app.json<{ questions: McpQuestion[] }>('/api/mcp-questions')).questions[0])
const results = (request: ModelRequest | undefined): string[] =>
  (request?.messages ?? []).filter(({ role }) => role === 'tool').map(({ content }) => String(content))

describe('prompts of a server', () => {
  it('stand in one list that starts nothing, and their arguments are completed', async () => {
    const first = await open()
    const row = await everything(first)
    assert.ok(row.prompt_count > 0 && row.has_resources)
    await first.stop()
    opened.splice(opened.indexOf(first), 1)

    const app = await open({ home: first.home })
    const { prompts } = await app.json<{ prompts: McpPrompt[] }>('/api/mcp-prompts')
    const team = prompts.find(({ name }) => name === 'completable-prompt')!
    assert.deepEqual([team.server, team.arguments.map(({ required }) => required)], ['every', [true, true]])
    assert.equal((await get(app, 'every')).state, 'stopped')

    const complete = (name: string, value: string, more: Record<string, string> = {}) =>
      app.json<{ values: string[] }>('/api/mcps/every/complete', {
        json: { prompt: team.name, argument: { name, value }, arguments: more },
      })
    assert.deepEqual((await complete('department', 'E')).values, ['Engineering'])
    assert.deepEqual((await complete('name', '', { department: 'Sales' })).values, ['David', 'Eve', 'Frank'])
    await app.json('/api/mcps/every/disable', { method: 'POST' })
    assert.deepEqual((await app.json<{ prompts: McpPrompt[] }>('/api/mcp-prompts')).prompts, [])
  })
})

describe('a page that a server sends a person to', () => {
  const page = 'https://accounts.example/confirm?id=7'

  it('is shown with its address and opened by nobody but the person', async () => {
    const model = scripted([[toolCall('every_trigger_url_elicitation', { url: page, message: 'Confirm it' })], 'done'])
    const app = await open({ model })
    await everything(app)
    await app.json('/api/mcps/every/tools/trigger-url-elicitation', { method: 'PUT', json: { effect: 'read' } })
    await app.json('/api/sessions/s/messages', { json: { text: 'go' } })
    const asked = await question(app)
    assert.deepEqual([asked.mode, asked.url, asked.message], ['url', page, 'Confirm it'])
    await app.json(`/api/mcp-questions/${asked.id}`, { json: { action: 'accept' } })
    await app.events('s', 0, ({ type }) => type === 'turn_finished')
    assert.match(results(model.requests[1])[0]!, /accept/i)
  })

  it('may stand before the call: it runs after the visit, and not without one', async () => {
    const args = { url: page, message: 'Confirm it', errorPath: true }
    for (const action of ['accept', 'decline'] as const) {
      const model = scripted([[toolCall('every_trigger_url_elicitation', args)], 'done'])
      const app = await open({ model })
      await everything(app)
      await app.json('/api/mcps/every/tools/trigger-url-elicitation', { method: 'PUT', json: { effect: 'read' } })
      await app.json('/api/sessions/s/messages', { json: { text: 'go' } })
      const before = await question(app)
      await app.json(`/api/mcp-questions/${before.id}`, { json: { action } })
      if (action === 'accept') {
        const then = await until(async () => {
          const next = await question(app)
          return next.id === before.id ? undefined : next
        })
        await app.json(`/api/mcp-questions/${then.id}`, { json: { action } })
      }
      await app.events('s', 0, ({ type }) => type === 'turn_finished')
      assert.match(results(model.requests[1])[0]!, action === 'accept' ? /accept/i : /could not do this/)
    }
  })
})

describe('a form', () => {
  it('is refused with the field that it lacks, and waits on', async () => {
    const model = scripted([[toolCall('every_trigger_elicitation_request')], 'done'])
    const app = await open({ model })
    await everything(app)
    await app.json('/api/mcps/every/tools/trigger-elicitation-request', { method: 'PUT', json: { effect: 'read' } })
    await app.json('/api/sessions/s/messages', { json: { text: 'go' } })
    const asked = await question(app)
    assert.equal(asked.mode, 'form')
    const answer = `/api/mcp-questions/${asked.id}`
    const { secret } = await app.json<{ secret: string }>('/api/keys', { json: { name: 'talks', scopes: ['chat'] } })
    const { questions } = await app.json<{ questions: McpQuestion[] }>('/api/mcp-questions', { token: secret })
    assert.deepEqual(questions.map(({ id }) => id), [asked.id])
    const { error } = await app.json<{ error: string }>(answer, {
      json: { action: 'accept', content: {} },
      status: 400,
    })
    assert.match(error, /content\.name/)
    for (
      const [field, value, problem] of [
        ['number', 2000, 'must be at most'],
        ['integer', 1.5, 'must be a whole number'],
        ['check', 'yes', 'must be true or false'],
        ['untitledSingleSelectEnum', 'Nobody', 'must be one of Monica'],
        ['titledMultipleSelectEnum', ['whale'], 'whale is none of fish-1'],
        ['extra', 'x', 'is no field'],
      ] as const
    ) {
      const content = { name: 'Grace', [field]: value }
      const refused = await app.json<{ error: string }>(answer, { json: { action: 'accept', content }, status: 400 })
      assert.match(refused.error, new RegExp(`content\\.${field}: .*${problem}`))
    }
    assert.equal((await question(app)).id, asked.id)
    await app.json(answer, { json: { action: 'cancel' } })
    await app.events('s', 0, ({ type }) => type === 'turn_finished')
  })
})

describe('the owner', () => {
  it('starts a server anew, and switches one of its tools off and on', async () => {
    const app = await open()
    await everything(app)
    const { mcp } = await app.json<{ mcp: Mcp }>('/api/mcps/every/restart', { method: 'POST' })
    assert.equal(mcp.state, 'ready')
    const offered = async () =>
      (await app.request('/api/tools/every_echo/run', { method: 'POST', json: {} })).status !== 404
    assert.equal(await offered(), true)
    await app.json('/api/mcps/every/tools/echo', { method: 'PUT', json: { enabled: false } })
    assert.equal(await offered(), false)
    const { tools } = await app.json<{ tools: McpTool[] }>('/api/mcp-tools')
    assert.equal(tools.find(({ tool }) => tool === 'echo')!.enabled, false)
    await app.json('/api/mcps/every/tools/echo', { method: 'PUT', json: { enabled: true } })
    assert.equal(await offered(), true)
    await app.json('/api/mcps/nobody/restart', { method: 'POST', status: 404 })
    const { error } = await app.json<{ error: string }>('/api/mcps', {
      json: { name: 'export', ...programs.everything },
      status: 400,
    })
    assert.match(error, /^name: export/)
  })

  it('sees what a server of the registry would run before it is added', async () => {
    const web = await mcpOverHttp()
    const app = await open({ flags: { 'outbound.allow': ['127.0.0.1'], 'mcp_client.registry_url': web.base } })
    const { mcp } = await app.json<{ mcp: Mcp }>('/api/marketplace/install', {
      json: {
        name: 'io.example/weather',
        choice: { kind: 'package', index: 0 },
        env: { WEATHER_KEY: 'a-secret-of-some-length' },
        dry_run: true,
      },
      status: 200,
    })
    assert.deepEqual([...mcp.command!, ...mcp.args], ['npx', '-y', '@example/weather@1.2.3', '--units', 'metric'])
    assert.equal(mcp.env.WEATHER_KEY, '****ngth')
    assert.deepEqual((await app.json<{ mcps: Mcp[] }>('/api/mcps')).mcps, [])
    await web.close()
  })
})
