import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import type { ModelRequest } from '../server/models/provider.ts'
import { scripted, toolCall } from '../server/models/providers/scripted.ts'
import type { Approval } from '../shared/approvals.ts'
import type { Mcp, McpImport, McpQuestion, McpTool } from '../shared/mcp.ts'
import type { ToolRules } from '../shared/tools.ts'
import { mcpOverHttp } from './support/mcp-http.ts'
import { everythingOver, isAlive, programs, until } from './support/mcp-programs.ts'
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

/** Waits until the server that is slow has a call; it answers when it is let go. */
const called = (state: string): Promise<true> => until(async () => existsSync(`${state}.called`) || undefined)
const letGo = (state: string): Promise<void> => writeFile(`${state}.go`, '')

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

describe('configured servers', () => {
  it('start nothing: fifty of them wait for a call, and only the one that is called runs', async () => {
    const first = await open()
    const state = (i: number) => join(first.home, `starts-${i}`)
    for (let i = 0; i < 50; i++) {
      await add(first, { name: `s${i}`, ...programs.hostile('plain', state(i)), enabled: i === 7 })
    }
    await until(async () => (await get(first, 's7')).server ?? undefined)
    await first.stop()
    const starts = async (i: number) => (await readFile(state(i), 'utf8').catch(() => '')).split('\n').length - 1
    const learned = await starts(7)
    const app = await open({ home: first.home, model: scripted([[toolCall('s7_act')], 'done']) })
    opened.splice(opened.indexOf(first), 1)
    assert.equal((await get(app, 's7')).state, 'stopped')
    assert.ok((await toolsOf(app)).some(({ name }) => name === 's7_act'))
    assert.equal(await starts(7), learned)
    await askAndAllow(app, 'x', 'go')
    assert.equal(await starts(7), learned + 1)
    for (const i of [0, 25, 49]) assert.equal(await starts(i), 0)
  })

  it('that nobody uses are stopped', async () => {
    const app = await open({ flags: { 'mcp_client.idle_stop_seconds': 1 } })
    const state = join(app.home, 'pids')
    await add(app, { name: 'idle', ...programs.hostile('plain', state) })
    await until(async () => (await get(app, 'idle')).server ?? undefined)
    const pid = Number((await readFile(state, 'utf8')).trim())
    await until(async () => !await isAlive(pid) || undefined)
    assert.equal((await get(app, 'idle')).state, 'stopped')
  })

  it('take changed settings at once, and a call under way ends on the old ones', async () => {
    const model = scripted([[toolCall('slow_act')], 'done', [toolCall('slow_act')], 'done'])
    const app = await open({ model })
    const state = join(app.home, 'pids')
    await add(app, { name: 'slow', ...programs.hostile('slow', state) })
    await until(async () => (await get(app, 'slow')).server ?? undefined)
    await app.json('/api/mcps/slow/tools/act', { method: 'PUT', json: { effect: 'read' } })
    await app.json('/api/sessions/a/messages', { json: { text: 'go' } })
    await called(state)
    const { mcp } = await app.json<{ mcp: Mcp }>('/api/mcps/slow/enable', { method: 'PUT' })
    assert.equal(mcp.enabled, true)
    await letGo(state)
    await app.events('a', 0, ({ type }) => type === 'turn_finished')
    await app.ask('b', 'go')
    const [one, two] = [results(model.requests[1])[0]!, results(model.requests[3])[0]!]
    assert.match(one, /pid \d+/)
    assert.match(two, /pid \d+/)
    assert.notEqual(one, two)
  })

  it('that are edited or switched off, or whose tool is, finish the call under way; what comes later finds the change', async () => {
    const changes: [string, object, RegExp][] = [
      ['/api/mcps/slow', { env: { GREETING: 'new' } }, /pid \d+/],
      ['/api/mcps/slow', { enabled: false }, /no tool called slow_act/],
      ['/api/mcps/slow/tools/act', { enabled: false }, /no tool called slow_act/],
    ]
    for (const [path, json, second] of changes) {
      const model = scripted([[toolCall('slow_act')], [toolCall('slow_act')], 'done'])
      const app = await open({ model })
      const state = join(app.home, 'pids')
      await add(app, { name: 'slow', ...programs.hostile('slow', state) })
      await until(async () => (await get(app, 'slow')).server ?? undefined)
      await app.json('/api/mcps/slow/tools/act', { method: 'PUT', json: { effect: 'read' } })
      await app.json('/api/sessions/a/messages', { json: { text: 'go' } })
      await called(state)
      const pid = (await readFile(state, 'utf8')).trim().split('\n').at(-1)
      await app.json(path, { method: 'PUT', json })
      await letGo(state)
      const end = (await app.events('a', 0, ({ type }) => type === 'turn_finished')).at(-1)
      assert.equal(end?.type === 'turn_finished' && end.state, 'completed')
      const [first] = results(model.requests[1])
      const last = results(model.requests[2]).at(-1)!
      assert.equal(first, `pid ${pid}`)
      assert.match(last, second)
      assert.notEqual(last, first)
      if (path === '/api/mcps/slow') await until(async () => !await isAlive(Number(pid)) || undefined)
    }
  })

  it('that are removed in the middle of a turn fail the calls that are left, not the turn', async () => {
    const model = scripted([[toolCall('slow_act'), toolCall('slow_act')], 'done'])
    const app = await open({ model })
    const state = join(app.home, 'pids')
    await add(app, { name: 'slow', ...programs.hostile('slow', state) })
    await until(async () => (await get(app, 'slow')).server ?? undefined)
    const turn = askAndAllow(app, 'a', 'go')
    await until(async () => (await app.request('/api/sessions/a')).ok || undefined)
    let answered = 0
    await app.events('a', 0, ({ type }) => type === 'approval_decided' && ++answered === 2)
    await called(state)
    await app.json('/api/mcps/slow', { method: 'DELETE' })
    await letGo(state)
    await turn
    const [first, second] = results(model.requests[1])
    assert.match(first!, /pid \d+/)
    assert.match(second!, /no tool called slow_act any more/)
  })

  it('take what was allowed of their tools with them: another server of the same name is asked about', async () => {
    const model = scripted([[toolCall('slow_act')], 'one', [toolCall('slow_act')], 'two'])
    const app = await open({ model })
    await add(app, { name: 'slow', ...programs.hostile('plain') })
    await until(async () => (await get(app, 'slow')).server ?? undefined)
    await app.json('/api/sessions/a/messages', { json: { text: 'go' } })
    const [asked] = (await app.events('a', 0, ({ type }) => type === 'approval')).slice(-1)
    const { approval_id } = asked as { approval_id: string }
    await app.json(`/api/approvals/${approval_id}`, { json: { decision: 'allow_always', pattern: 'tool' } })
    await app.events('a', 0, ({ type }) => type === 'turn_finished')
    await app.json('/api/mcps/slow', { method: 'DELETE' })
    assert.deepEqual((await app.json<ToolRules>('/api/tool-rules')).grants, [])
    await add(app, { name: 'slow', ...programs.hostile('plain') })
    await until(async () => (await get(app, 'slow')).server ?? undefined)
    await app.json('/api/sessions/b/messages', { json: { text: 'go' } })
    const events = await app.events('b', 0, ({ type }) => type === 'approval' || type === 'turn_finished')
    assert.equal(events.at(-1)!.type, 'approval')
  })

  it('whose tools would be called like ours, or like those of an earlier server, get names of their own', async () => {
    const app = await open({ model: scripted(['hi']) })
    const tools = { web: 'fetch', files: 'read', a_b: 'act', a: 'b_act' }
    for (const [name, tool] of Object.entries(tools)) {
      await add(app, { name, ...programs.hostile(`named:${tool}`) })
      await until(async () => (await get(app, name)).server ?? undefined)
    }
    const names = (await toolsOf(app)).map(({ name }) => name.replace(/_[0-9a-f]{6}$/, '_#'))
    assert.deepEqual(names, ['web_fetch_#', 'files_read_#', 'a_b_act', 'a_b_act_#'])
  })

  it('stop their call when the turn is interrupted', async () => {
    const app = await open({ model: scripted([[toolCall('hang_act')], 'never']) })
    await add(app, { name: 'hang', ...programs.hostile('hangs') })
    await until(async () => (await get(app, 'hang')).server ?? undefined)
    await app.json('/api/mcps/hang/tools/act', { method: 'PUT', json: { effect: 'read' } })
    await app.json('/api/sessions/a/messages', { json: { text: 'go' } })
    await app.events('a', 0, ({ type }) => type === 'tool_call')
    await setTimeout(300)
    await app.request('/api/sessions/a/interrupt', { method: 'POST' })
    const end = (await app.events('a', 0, ({ type }) => type === 'turn_finished')).at(-1)
    assert.equal(end?.type === 'turn_finished' && end.state, 'interrupted')
  })

  it('are stored with their secrets sealed, shown masked, and kept when the mask comes back', async () => {
    const app = await open({ env: { TEST_TOKEN: 'from-the-environment' } })
    const key = 'abcdefghijklmnop-1234'
    const created = await add(app, {
      name: 'secret',
      ...programs.hostile('env'),
      args: [...programs.hostile('env').args, '--api-key', key],
      env: { API_KEY: key, REFERENCE: '${TEST_TOKEN}', MODE: 'fast' },
    })
    assert.deepEqual(created.env, { API_KEY: '****1234', REFERENCE: '${TEST_TOKEN}', MODE: 'fast' })
    assert.equal(created.args.at(-1), '****1234')
    const change = { env: { ...created.env, MODE: 'slow' }, args: created.args }
    const { mcp } = await app.json<{ mcp: Mcp }>('/api/mcps/secret', { method: 'PUT', json: change })
    assert.deepEqual(mcp.env, { API_KEY: '****1234', REFERENCE: '${TEST_TOKEN}', MODE: 'slow' })
    const everywhere = await app.json<object>('/api/mcps/export')
    assert.doesNotMatch(
      JSON.stringify([everywhere, await app.json('/api/audit'), await app.json('/api/mcps')]),
      /abcdefghijklmnop/,
    )
    const bytes = await readFile(join(app.home, 'gatehouse.db'), 'latin1')
    assert.ok(!bytes.includes(key))
  })

  it('are refused with the field and the mend when they make no sense', async () => {
    const app = await open()
    const refused = async (input: object, status: number, pattern: RegExp) => {
      const { error } = await app.json<{ error: string }>('/api/mcps', { json: input, status })
      assert.match(error, pattern)
    }
    await refused({ name: 'x' }, 400, /command: is missing/)
    await refused({ name: '../x', command: 'a' }, 400, /name/)
    await refused({ name: 'x', command: 'a', kind: 'builtin' }, 400, /kind/)
    await refused({ name: 'x', command: 'a', url: 'http://b' }, 400, /url/)
    await refused({ name: 'x', url: 'file:///etc' }, 400, /url/)
    await refused({ name: 'x', command: 'a', env: { A: '${GATEHOUSE_TOKEN}' } }, 400, /GATEHOUSE_TOKEN/)
    await add(app, { name: 'x', command: 'a', enabled: false })
    await refused({ name: 'X', command: 'a' }, 409, /already/)
    await app.json('/api/mcps/nope', { status: 404 })
    await app.json('/api/mcps/x', { method: 'DELETE' })
    assert.deepEqual(await app.json('/api/mcps'), { mcps: [] })
  })

  it('may be looked at with a reading key and changed only by an admin', async () => {
    const app = await open()
    const { secret: key } = await app.json<{ secret: string }>('/api/keys', {
      json: { name: 'r', scopes: ['read', 'chat'] },
      status: 201,
    })
    assert.equal((await app.request('/api/mcps', { token: key })).status, 200)
    for (const path of ['/api/mcps', '/api/mcps/import', '/api/marketplace/install', '/api/mcps/x/oauth/start']) {
      assert.equal((await app.request(path, { token: key, method: 'POST', json: {} })).status, 403, path)
    }
    assert.equal((await app.request('/api/mcps', { token: null })).status, 401)
  })
})

describe('importing', () => {
  const preview = (app: TestApp, text: unknown): Promise<McpImport> =>
    app.json('/api/mcps/import', {
      json: { text: typeof text === 'string' ? text : JSON.stringify(text), dry_run: true },
    })

  it('reads what Claude, Cursor and VS Code write, and adds nothing when it is only asked', async () => {
    const app = await open()
    const claude = await preview(app, {
      mcpServers: {
        a: { command: 'npx', args: ['-y', 'pkg'], env: { KEY: 'k'.repeat(20) }, autoApprove: ['delete'], custom: 1 },
      },
    })
    const [a] = claude.added
    assert.deepEqual([a!.command, a!.args, a!.env.KEY, a!.extra], [['npx'], ['-y', 'pkg'], '****kkkk', { custom: 1 }])
    assert.match(claude.notes[0]!, /not taken over/)
    const code = await preview(
      app,
      `{
      // a comment
      "servers": {"gh": {"type": "http", "url": "https://x.example/mcp", "headers": {"Authorization": "Bearer \${input:tok}"}},},
      "inputs": [{"id": "tok", "type": "promptString", "description": "A token", "password": true}]
    }`,
    )
    assert.deepEqual(code.inputs, [{ id: 'tok', description: 'A token', secret: true }])
    assert.deepEqual([code.added[0]!.transport, code.added[0]!.inputs_missing], ['http', ['tok']])
    const one = await preview(app, { name: 'solo', serverUrl: 'https://x.example/sse', type: 'sse', disabled: true })
    assert.deepEqual([one.added[0]!.name, one.added[0]!.transport, one.added[0]!.enabled], ['solo', 'sse', false])
    const line = await preview(app, 'claude mcp add --transport http -H "X-Key: a b" hub https://hub.example/mcp')
    assert.deepEqual([line.added[0]!.name, line.added[0]!.url, Object.keys(line.added[0]!.headers)], [
      'hub',
      'https://hub.example/mcp',
      ['X-Key'],
    ])
    const program = await preview(app, "claude mcp add files -e KEY=v -- npx -y 'a b' --flag")
    assert.deepEqual([program.added[0]!.command, program.added[0]!.args], [['npx'], ['-y', 'a b', '--flag']])
    const bare = await preview(app, { one: { command: 'x' }, two: { url: 'https://y.example' } })
    assert.equal(bare.added.length, 2)
    assert.deepEqual(await app.json('/api/mcps'), { mcps: [] })
    await app.json('/api/mcps/import', { json: { text: 'hello' }, status: 400 })
  })

  it('and exporting give back the same servers, unknown fields too', async () => {
    const app = await open()
    const mcpServers = {
      a: { command: 'nope', args: ['x'], env: { A: '${VAR:-d}' }, disabled: true, custom: { deep: [1] } },
      b: { type: 'http', url: 'https://x.example/mcp', disabled: true },
    }
    await app.json('/api/mcps/import', { json: { text: JSON.stringify({ mcpServers }) } })
    assert.deepEqual(await app.json('/api/mcps/export'), { mcpServers })
    const again = await app.json<McpImport>('/api/mcps/import', { json: { text: JSON.stringify({ mcpServers }) } })
    assert.deepEqual([again.added.length, again.skipped.length], [0, 2])
  })
})

describe('servers over HTTP', () => {
  const webs: { close(): Promise<void> }[] = []
  after(async () => {
    for (const web of webs) await web.close()
  })
  async function web(options: Parameters<typeof mcpOverHttp>[0] = {}) {
    const server = await mcpOverHttp(options)
    webs.push(server)
    return server
  }
  const allow = { 'outbound.allow': ['127.0.0.1'] }

  it('are reached over streamable HTTP, and private ones only where the configuration allows them', async () => {
    const { base } = await web()
    const closed = await open()
    await add(closed, { name: 'web', url: `${base}/mcp` })
    const refused = await until(async () => {
      const row = await get(closed, 'web')
      return row.state === 'failed' ? row : undefined
    })
    assert.match(refused.last_error!, /outbound\.allow/)
    const model = scripted([[toolCall('web_hello')], 'done'])
    const app = await open({ model, flags: allow })
    await add(app, { name: 'web', url: `${base}/mcp`, trust_hints: true })
    await ready(app, 'web')
    await app.ask('s', 'hello')
    assert.equal(results(model.requests[1])[0], 'hello from the web')
  })

  it('of the older kind are reached over SSE when streamable HTTP is refused', async () => {
    const { url, stop } = await everythingOver('sse')
    webs.push({ close: stop })
    const model = scripted([[toolCall('old_echo', { message: 'over sse' })], 'done'])
    const app = await open({ model, flags: allow })
    await add(app, { name: 'old', url: `${url}/sse` })
    await ready(app, 'old')
    await app.json('/api/mcps/old/tools/echo', { method: 'PUT', json: { effect: 'read' } })
    await app.ask('s', 'echo')
    assert.match(results(model.requests[1])[0]!, /over sse/)
  })

  it('that want a sign-in say so, sign in through any browser, and renew their token once for many calls', async () => {
    const server = await web({ signIn: true })
    const calls = Array.from({ length: 5 }, () => toolCall('web_hello'))
    const model = scripted([calls, 'done'])
    const app = await open({ model, flags: allow })
    await add(app, { name: 'web', url: `${server.base}/mcp`, trust_hints: true })
    const waiting = await until(async () => {
      const row = await get(app, 'web')
      return row.state === 'failed' ? row : undefined
    })
    assert.deepEqual([waiting.needs_auth, waiting.oauth_connected, server.seen.registrations], [true, false, 0])

    const { url } = await app.json<{ url: string }>('/api/mcps/web/oauth/start', { method: 'POST' })
    const back = new URL((await fetch(url, { redirect: 'manual' })).headers.get('location')!)
    assert.equal(back.pathname, '/api/mcp-oauth/callback')
    const forged = new URL(back)
    forged.searchParams.set('state', 'guessed')
    assert.equal((await app.request(forged.pathname + forged.search, { token: null })).status, 400)
    const landed = await app.request(back.pathname + back.search, { token: null })
    assert.equal(landed.status, 200, await landed.clone().text())
    assert.match(await landed.text(), /Signed in/)
    assert.equal((await app.request(back.pathname + back.search, { token: null })).status, 400)
    await ready(app, 'web')
    assert.deepEqual(server.seen.resources, [`${server.base}/mcp`])

    server.expire()
    await app.ask('s', 'hello')
    assert.deepEqual(results(model.requests[1]), Array(5).fill('hello from the web'))
    assert.deepEqual([server.seen.refreshes, server.seen.reused], [1, 0])
    assert.ok(!server.isToken(await readFile(join(app.home, 'gatehouse.db'), 'latin1')))
    assert.equal((await app.json<{ mcp: Mcp }>('/api/mcps/web/oauth', { method: 'DELETE' })).mcp.oauth_connected, false)
  })

  it('that send the person to the sign-in page of another do not get the code that this one gives', async () => {
    const server = await web({ signIn: true })
    const app = await open({ flags: allow })
    await add(app, { name: 'web', url: `${server.base}/mcp` })
    const come = async (iss: string) => {
      const { url } = await app.json<{ url: string }>('/api/mcps/web/oauth/start', { method: 'POST' })
      const back = new URL((await fetch(url, { redirect: 'manual' })).headers.get('location')!)
      back.searchParams.set('iss', iss)
      return back
    }
    const mixed = await come('https://honest.example')
    const refused = await app.request(mixed.pathname + mixed.search, { token: null })
    assert.equal(refused.status, 502)
    assert.match(await refused.text(), /came from https:\/\/honest\.example/)
    await app.json('/api/mcps/web/oauth/finish', {
      json: { code: (await come('https://honest.example')).href },
      status: 502,
    })
    assert.equal(server.seen.exchanges, 0)
    await app.json('/api/mcps/web/oauth/finish', { json: { code: (await come(`${server.base}/`)).href } })
    assert.equal((await ready(app, 'web')).oauth_connected, true)
  })

  it('can be signed in to where the browser does not reach us: the address that it ended at is pasted', async () => {
    const server = await web({ signIn: true })
    const app = await open({ flags: allow })
    await add(app, { name: 'web', url: `${server.base}/mcp` })
    const { url } = await app.json<{ url: string }>('/api/mcps/web/oauth/start', { method: 'POST' })
    const code = (await fetch(url, { redirect: 'manual' })).headers.get('location')!
    await app.json('/api/mcps/web/oauth/finish', { json: { code } })
    assert.equal((await ready(app, 'web')).oauth_connected, true)
    await app.json('/api/mcps/web/oauth/finish', { json: { code }, status: 409 })
  })

  it('and programs are found in a registry and installed from it', async () => {
    const { base } = await web()
    const app = await open({ flags: { ...allow, 'mcp_client.registry_url': base } })
    const found = await app.json<{ servers: { name: string }[]; nextCursor: string }>(
      '/api/marketplace/search?q=weather',
    )
    assert.deepEqual([found.servers[0]!.name, found.nextCursor], ['io.example/weather', 'more'])
    const { requirements } = await app.json<{
      requirements: { packages: { runtime: string; env_required: object[] }[]; remotes: { placeholders: object[] }[] }
    }>('/api/marketplace/servers?name=io.example/weather')
    assert.deepEqual(requirements.packages[0]!.env_required, [
      { name: 'WEATHER_KEY', isSecret: true, isRequired: true, description: 'Your key' },
    ])
    assert.deepEqual(requirements.remotes[0]!.placeholders, [{ token: 'region', description: 'eu or us' }])

    const install = { name: 'io.example/weather', choice: { kind: 'remote', index: 0 } }
    const missing = await app.json<{ error: string }>('/api/marketplace/install', { json: install, status: 400 })
    assert.match(missing.error, /placeholders\.region/)
    const given = { ...install, placeholders: { region: 'eu' } }
    const { mcp } = await app.json<{ mcp: Mcp }>('/api/marketplace/install', { json: given, status: 201 })
    assert.deepEqual([mcp.name, mcp.url], ['weather', 'https://eu.weather.example/mcp'])
    assert.match(mcp.source, /^marketplace:127\.0\.0\.1:\d+\/io\.example\/weather@1\.2\.3$/)
    const again = await app.json<{ suggested_name: string }>('/api/marketplace/install', { json: given, status: 409 })
    assert.equal(again.suggested_name, 'weather-2')
    const unsafe = { name: 'io.example/weather', install_name: 'x', choice: { kind: 'package', index: 1 } }
    await app.json('/api/marketplace/install', { json: unsafe, status: 422 })
  })
})

describe('a form in the middle of a call', () => {
  it('is shown to the person whose conversation asked, and what was filled in goes back to the server', async () => {
    const model = scripted([[toolCall('every_trigger_elicitation_request')], 'done'])
    const app = await open({ model })
    await add(app, { name: 'every', ...programs.everything })
    await ready(app, 'every')
    const asks = (await toolsOf(app)).find(({ tool }) => /elicitation/.test(tool) && !/async/.test(tool))!
    assert.equal(asks.name, 'every_trigger_elicitation_request')
    await app.json(`/api/mcps/every/tools/${asks.tool}`, { method: 'PUT', json: { effect: 'read' } })
    await app.json('/api/sessions/s/messages', { json: { text: 'ask me' } })
    const question = await until(async () =>
      (await app.json<{ questions: McpQuestion[] }>('/api/mcp-questions')).questions[0]
    )
    assert.deepEqual([question.server, question.session_id], ['every', 's'])
    await app.json(`/api/mcp-questions/${question.id}`, {
      json: { action: 'accept', content: { name: 'Grace Hopper', check: true } },
    })
    await app.events('s', 0, ({ type }) => type === 'turn_finished')
    assert.match(results(model.requests[1])[0]!, /Grace Hopper/)
    await app.json(`/api/mcp-questions/${question.id}`, { json: { action: 'decline' }, status: 404 })
  })
})

describe('sampling', () => {
  const TOOL = 'every_trigger_sampling_request'
  async function openSampling(answers: Parameters<typeof scripted>[0], rules: object[] = []) {
    const model = scripted(answers)
    const app = await open({ model })
    await add(app, { name: 'every', ...programs.everything, allow_sampling: true })
    await ready(app, 'every')
    await app.json('/api/tool-rules', {
      method: 'PUT',
      json: { rules: [{ tool: TOOL, decision: 'allow', when: null }, ...rules] },
    })
    return { app, model }
  }
  const calls = [toolCall(TOOL, { prompt: 'say hi' })]

  it('reaches our model only where the owner allowed it', async () => {
    const model = scripted([calls, 'hi from the model', 'done'])
    const app = await open({ model })
    await add(app, { name: 'every', ...programs.everything })
    await ready(app, 'every')
    assert.ok(!(await toolsOf(app)).some(({ tool }) => /sampling/.test(tool)))
    await app.json('/api/mcps/every', { method: 'PUT', json: { allow_sampling: true } })
    const tool = await until(async () => (await toolsOf(app)).find(({ tool }) => tool === 'trigger-sampling-request'))
    assert.equal(tool.changed, true)
    await askAndAllow(app, 's', 'go')
    assert.match(results(model.requests[2])[0]!, /hi from the model/)
  })

  it('stands on the ledger of the turn under the name of the server', async () => {
    const { app, model } = await openSampling([calls, 'hi from the model', 'done'])
    const { text } = await app.ask('s', 'go')
    assert.equal(text, 'done')
    assert.equal(model.requests[1]!.tools, undefined)
    const events = await app.events('s', 0, ({ type }) => type === 'turn_finished')
    const usage = events.filter((event) => event.type === 'usage')
    assert.deepEqual(usage.map(({ source }) => source), [undefined, 'mcp:every', undefined])
    const db = app.database.kysely.withTables<{ model_calls: { id: number; source: string; output_tokens: number } }>()
    const rows = await db.selectFrom('model_calls').select(['source', 'output_tokens']).orderBy('id').execute()
    assert.deepEqual(rows.map(({ source }) => source), ['', 'mcp:every', ''])
    assert.ok(rows[1]!.output_tokens > 0)
  })

  it('passes the gate: a rule forbids it, or asks the person each time', async () => {
    const deny = { tool: 'model.ask', decision: 'deny', when: "args.source == 'mcp:every'" }
    const forbidden = await openSampling([calls, 'done'], [deny])
    await forbidden.app.ask('s', 'go')
    assert.match(results(forbidden.model.requests[1])[0]!, /may not be asked: A rule forbids it/)

    const { app, model } = await openSampling([calls, 'hi from the model', 'done'], [
      { tool: 'model.ask', decision: 'ask', when: null },
    ])
    await app.json('/api/sessions/s/messages', { json: { text: 'go' } })
    const question = await until(async () =>
      (await app.json<{ questions: McpQuestion[] }>('/api/mcp-questions')).questions[0]
    )
    assert.match(question.message, /every wants to ask your model\..*say hi/s)
    assert.equal(model.requests.length, 1)
    await app.json(`/api/mcp-questions/${question.id}`, { json: { action: 'accept', content: {} } })
    await app.events('s', 0, ({ type }) => type === 'turn_finished')
    assert.match(results(model.requests[2])[0]!, /hi from the model/)
  })

  it('is refused where nobody pays for it: outside of a conversation', async () => {
    const { app, model } = await openSampling(['never'])
    const run = await app.json<{ text: string }>(`/api/tools/${TOOL}/run`, { json: { arguments: { prompt: 'x' } } })
    assert.match(run.text, /only in the middle of a call of a conversation/)
    assert.equal(model.requests.length, 0)
  })
})

describe('what a server has beside tools', () => {
  it('can be listed and read: resources as they are, prompts with their arguments filled in', async () => {
    const app = await open()
    await add(app, { name: 'every', ...programs.everything })
    await ready(app, 'every')
    const { resources } = await app.json<{ resources: { uri: string }[] }>('/api/mcps/every/resources')
    const uri = encodeURIComponent(resources[0]!.uri)
    const { contents } = await app.json<{ contents: { uri: string }[] }>(`/api/mcps/every/resource?uri=${uri}`)
    assert.equal(contents[0]!.uri, resources[0]!.uri)
    const { prompts } = await app.json<{ prompts: { name: string; arguments?: { name: string }[] }[] }>(
      '/api/mcps/every/prompts',
    )
    const prompt = prompts.find((candidate) => candidate.arguments?.some(({ name }) => name === 'city'))!
    const { messages } = await app.json<{ messages: object[] }>(`/api/mcps/every/prompts/${prompt.name}`, {
      json: { arguments: { city: 'Bergen' } },
    })
    assert.match(JSON.stringify(messages), /Bergen/)
    const { error } = await app.json<{ error: string }>('/api/mcps/every/resource?uri=nope%3A', { status: 502 })
    assert.match(error, /every could not do this/)
  })
})
