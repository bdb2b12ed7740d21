import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import type { ModelRequest } from '../server/models/provider.ts'
import { scripted, toolCall } from '../server/models/providers/scripted.ts'
import type { Approval } from '../shared/approvals.ts'
import type { Mcp, McpImport, McpTool } from '../shared/mcp.ts'
import { isAlive, programs, until } from './support/mcp-programs.ts'
import { type TestApp, testApp } from './support/app.ts'

const opened: TestApp[] = []
async function open(options: Parameters<typeof testApp>[0] = {}): Promise<TestApp> {
  const app = await testApp(options)
  opened.push(app)
  return app
}
after(async () => {
  for (const app of opened) await app.close()
})

const add = async (app: TestApp, server: object): Promise<Mcp> =>
  (await app.json<{ mcp: Mcp }>('/api/mcps', { json: server, status: 201 })).mcp
const get = async (app: TestApp, name: string): Promise<Mcp> =>
  (await app.json<{ mcp: Mcp }>(`/api/mcps/${encodeURIComponent(name)}`)).mcp
const ready = (app: TestApp, name: string): Promise<Mcp> =>
  until(async () => {
    const row = await get(app, name)
    if (row.state === 'failed') throw new Error(`${name} failed: ${row.last_error}`)
    return row.server && row.state === 'ready' ? row : undefined
  })
const toolsOf = async (app: TestApp): Promise<McpTool[]> =>
  (await app.json<{ tools: McpTool[] }>('/api/mcp-tools')).tools
const results = (request: ModelRequest | undefined): string[] =>
  (request?.messages ?? []).filter(({ role }) => role === 'tool').map(({ content }) => String(content))

/** Says yes to what a new session asks, until its turn ends. */
async function askAndAllow(app: TestApp, session: string, text: string): Promise<Approval[]> {
  await app.json(`/api/sessions/${session}/messages`, { json: { text } })
  const answered: Approval[] = []
  let ended = false
  const end = app.events(session, 0, ({ type }) => type === 'turn_finished').finally(() => (ended = true))
  while (!ended) {
    const { approvals } = await app.json<{ approvals: Approval[] }>('/api/approvals')
    for (const approval of approvals.filter(({ state }) => state === 'pending')) {
      await app.json(`/api/approvals/${approval.id}`, { json: { decision: 'allow_once' } })
      answered.push(approval)
    }
    await setTimeout(30)
  }
  await end
  return answered
}

describe('real MCP servers', () => {
  it('server-everything: its tools stand in the list, and a scripted model calls one after a yes', async () => {
    const model = scripted([[toolCall('every_echo', { message: 'hello there' })], 'done'])
    const app = await open({ model })
    const created = await add(app, { name: 'every', ...programs.everything })
    assert.equal(created.enabled, true)
    const row = await ready(app, 'every')
    assert.ok(row.tool_count > 5)
    assert.match(row.server!.protocol, /^2025-/)
    const echo = (await toolsOf(app)).find(({ tool }) => tool === 'echo')!
    assert.deepEqual([echo.name, echo.server, echo.changed, echo.enabled], ['every_echo', 'every', false, true])
    assert.equal((await askAndAllow(app, 's', 'echo please')).length, 1)
    assert.ok(model.requests[0]!.tools!.some(({ name }) => name === 'every_echo' || name === 'tool_search'))
    assert.match(results(model.requests[1])[0]!, /hello there/)
  })

  it('server-filesystem: reads the folder that it was given, and a path outside comes back as a failure', async () => {
    const model = scripted([[toolCall('files_read_text_file', { path: 'notes.txt' })], [
      toolCall('files_read_text_file', { path: '/etc/passwd' }),
    ], 'done'])
    const app = await open({ model })
    const folder = join(app.home, 'workspace')
    await mkdir(folder, { recursive: true })
    await writeFile(join(folder, 'notes.txt'), 'buy milk')
    await add(app, { name: 'files', trust_hints: true, ...programs.filesystem(folder) })
    await ready(app, 'files')
    const turn = await app.ask('s', 'what is in my notes?')
    assert.equal(turn.state, 'completed')
    assert.match(results(model.requests[1])[0]!, /buy milk/)
    assert.match(results(model.requests[2])[1]!, /denied|outside/i)
    assert.doesNotMatch(results(model.requests[2])[1]!, /root:/)
  })

  it('server-memory: what one turn stores, the next one reads', async () => {
    const entity = { name: 'Ada', entityType: 'person', observations: ['likes tea'] }
    const model = scripted([
      [toolCall('memory_create_entities', { entities: [entity] })],
      'stored',
      [toolCall('memory_read_graph')],
      'read',
    ])
    const app = await open({ model })
    await add(app, { name: 'memory', ...programs.memory(join(app.home, 'memory.jsonl')) })
    await ready(app, 'memory')
    await askAndAllow(app, 'first', 'remember')
    await askAndAllow(app, 'second', 'recall')
    assert.match(results(model.requests[3]).at(-1)!, /likes tea/)
  })
})

export { isAlive }
export type { McpImport }
