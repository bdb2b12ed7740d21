import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { scripted, toolCall } from '../server/models/providers/scripted.ts'
import type { Approval } from '../shared/approvals.ts'
import type { AuditPage } from '../shared/auth.ts'
import type { ToolCall, ToolInfo } from '../shared/tools.ts'
import type { TurnEvent } from '../shared/turn-events.ts'
import { framesOf, type TestApp, testApp } from './support/app.ts'
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

const finished = (event: TurnEvent) => event.type === 'turn_finished'
const keyOf = async (app: TestApp, handle: string, scopes: string[]) =>
  (await app.json<{ secret: string }>('/api/keys', { json: { name: 'k', scopes, handle } })).secret

describe('the last calls of a tool', () => {
  it('name the conversation, how they ended and how long they took, without secrets, newest first', async () => {
    const sums = ['1+1', '2+2'].map((expression) => toolCall('math.evaluate', { expression }))
    const wrong = toolCall('math.evaluate', { expression: '1+', api_key: 'sk-very-secret-0123456789' })
    const app = await open({ model: scripted([sums, [wrong], [toolCall('time.now', {})], 'done']) })
    await app.ask('sums', 'go')
    const { calls } = await app.json<{ calls: ToolCall[] }>('/api/tools/math.evaluate/calls')
    assert.deepEqual(calls.map(({ ok }) => ok), [false, true, true])
    assert.deepEqual([calls[1]!.session_id, calls[1]!.arguments], ['sums', '{"expression":"2+2"}'])
    assert.ok(calls.every(({ duration_ms, at }) => duration_ms !== null && duration_ms >= 0 && at > 1e9))
    assert.doesNotMatch(JSON.stringify(calls), /sk-very-secret/)
    const one = await app.json<{ calls: ToolCall[] }>('/api/tools/math_evaluate/calls?limit=1')
    assert.deepEqual(one.calls, calls.slice(0, 1))
    await app.json('/api/tools/math.evaluate/calls?limit=0', { status: 400 })
    const guest = await keyOf(app, 'guest', ['read'])
    assert.deepEqual(await app.json('/api/tools/math.evaluate/calls', { token: guest }), { calls: [] })
  })
})

describe('a tool that is off', () => {
  it('is listed with what would switch it on, and can not be run', async () => {
    const app = await open()
    const off = async () => {
      const { tools } = await app.json<{ tools: ToolInfo[] }>('/api/tools')
      return Object.fromEntries(tools.map(({ name, off }) => [name, off]))
    }
    const before = await off()
    assert.match(before['shell.run']!, /tools\.shell\.enabled/)
    assert.equal(before['time.now'], null)
    await app.json('/api/tools/shell.run/run', { json: { arguments: { command: 'ls' } }, status: 404 })

    const on = await open({ flags: { tools: { shell: { enabled: true } } } })
    const { tools } = await on.json<{ tools: ToolInfo[] }>('/api/tools')
    const shells = tools.filter(({ name }) => name === 'shell.run')
    assert.deepEqual(shells.map(({ off }) => off), [null])
  })
})

describe('a tool of an MCP server that is off', () => {
  it('stays listed, and says whether it is the tool or the server that was switched off', async () => {
    const app = await open()
    await app.json('/api/mcps', { json: { name: 'slow', ...programs.hostile('ok') } })
    const off = async () => {
      const { tools } = await app.json<{ tools: ToolInfo[] }>('/api/tools')
      return tools.find(({ name }) => name === 'slow_act')?.off
    }
    assert.equal(await until(off), null)
    await app.json('/api/mcps/slow/tools/act', { method: 'PUT', json: { enabled: false } })
    assert.match(String(await off()), /switched off on the page of the MCP server slow/)
    await app.json('/api/mcps/slow', { method: 'PUT', json: { enabled: false } })
    assert.match(String(await off()), /The MCP server slow is switched off/)
  })
})

describe('a question', () => {
  it('tells which conversation asks and for whom, and is read by itself', async () => {
    const app = await open({ model: scripted([[toolCall('notes.create', { title: 'A', content: 'x' })], 'ok']) })
    await app.json('/api/sessions/mine/messages', { json: { text: 'note it' } })
    await app.events('mine', 0, (event) => event.type === 'approval')
    const list = (query: string) => app.json<{ approvals: Approval[] }>(`/api/approvals${query}`)
    const [asked] = (await list('')).approvals
    assert.deepEqual([asked!.origin, asked!.asked_for], ['chat', 'GATEHOUSE_TOKEN'])
    assert.deepEqual(await app.json(`/api/approvals/${asked!.id}`), asked)
    const guest = await keyOf(app, 'guest', ['read'])
    await app.json(`/api/approvals/${asked!.id}`, { token: guest, status: 404 })

    assert.equal((await list('?state=answered')).approvals.length, 0)
    await app.json(`/api/approvals/${asked!.id}`, { json: { decision: 'deny' } })
    assert.equal((await list('?state=answered')).approvals.length, 1)
    assert.equal((await list('?state=answered&tool=time.now')).approvals.length, 0)
    assert.equal((await list('?state=answered&tool=notes.create')).approvals.length, 1)
    await app.events('mine', 0, finished)
  })
})

describe('calls that a model gives one id', () => {
  it('are told apart: a yes to one runs that one, with the arguments that were shown', async () => {
    const note = (title: string) => toolCall('notes.create', { title, content: 'x' })
    const model = scripted([[note('First'), note('Second')], [note('Third')], 'ok'])
    const app = await open({
      model: {
        ...model,
        async *stream(request, signal) {
          for await (const event of model.stream(request, signal)) {
            yield event.type === 'tool_call' ? { ...event, call_id: 'call_0' } : event
          }
        },
      },
    })
    const waiting = async () => (await app.json<{ approvals: Approval[] }>('/api/approvals')).approvals
    const answer = async (title: string, decision: string) => {
      const asked = await until(async () => (await waiting()).find(({ arguments: args }) => args.title === title))
      await app.json(`/api/approvals/${asked.id}`, { json: { decision } })
    }
    await app.json('/api/sessions/same/messages', { json: { text: 'note it' } })
    await answer('Second', 'allow_once')
    await answer('First', 'deny')
    await answer('Third', 'deny')
    await app.events('same', 0, finished)
    const { calls } = await app.json<{ calls: ToolCall[] }>('/api/tools/notes.create/calls')
    assert.deepEqual(
      calls.map(({ arguments: args, ok }) => [(JSON.parse(args) as { title: string }).title, ok]).reverse(),
      [['First', false], ['Second', true], ['Third', false]],
    )
    assert.equal(new Set(calls.map(({ call_id }) => call_id)).size, 3)
  })
})

describe('a change of the rules', () => {
  it('is told to open pages of their owner', async () => {
    const app = await open()
    const stop = new AbortController()
    const timer = setTimeout(() => stop.abort(), 10_000)
    const stream = await app.request('/api/stream?topics=resources', { signal: stop.signal })
    const frames = framesOf(stream)
    assert.equal((await frames.next()).value?.event, 'hello')
    await app.json('/api/tool-rules', { method: 'PUT', json: { rules: [{ decision: 'deny', tool: 'time.now' }] } })
    const told = JSON.parse((await frames.next()).value!.data!) as { resource: string }
    assert.equal(told.resource, 'tool_rule')
    clearTimeout(timer)
    stop.abort()
  })
})

describe('the audit log', () => {
  it('is searched by who, by what it is about, and by time', async () => {
    const app = await open()
    await keyOf(app, 'guest', ['read'])
    const count = async (query: string) => (await app.json<AuditPage>(`/api/audit?action=key.&${query}`)).items.length
    assert.equal(await count('actor=gatehouse_to'), 1)
    assert.equal(await count('actor=nobody'), 0)
    assert.equal(await count('about=GUEST'), 1)
    assert.equal(await count('about=100%25'), 0)
    const now = Math.floor(Date.now() / 1000)
    assert.equal(await count(`since=${now - 60}`), 1)
    assert.equal(await count(`since=${now + 60}`), 0)
    await app.json('/api/audit?since=yesterday', { status: 400 })
  })
})
