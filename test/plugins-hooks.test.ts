import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import process from 'node:process'
import { afterEach, describe, it } from 'node:test'
import { pathToFileURL } from 'node:url'
import { scripted, toolCall } from '../server/models/providers/scripted.ts'
import { HOOK_EVENTS, type HookInput } from '../shared/plugin-hooks.ts'
import type { PluginDetail } from '../shared/plugins.ts'
import { type TestApp, testApp } from './support/app.ts'
import { channel, homeWith, program, QUICK, until } from './support/plugins/hosted.ts'

const opened: TestApp[] = []

async function writeHooking(home: string, manifest: Record<string, unknown> = {}): Promise<void> {
  const folder = join(home, 'plugins', 'hooking')
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, 'main.ts'), `import '${pathToFileURL(program('hooking.ts'))}'\n`)
  const about = { id: 'hooking', name: 'Hooking', version: '1.0.0', entry: 'main.ts', runtime: 'node' }
  const tools = [{ name: 'act', effect: 'read' }, { name: 'write', effect: 'execute' }, {
    name: 'heard',
    effect: 'read',
  }]
  const config_schema = { type: 'object', properties: { slow: { type: 'boolean' } } }
  await writeFile(
    join(folder, 'plugin.json'),
    JSON.stringify({ ...about, tools, config_schema, hooks: HOOK_EVENTS, ...manifest }),
  )
}

type Options = {
  /** What the model calls, one in each turn. */
  calls?: { tool: string; how: string }[]
  settings?: Record<string, unknown>
  channels?: Record<string, unknown>
  manifest?: Record<string, unknown>
  slow?: boolean
  registered?: number
}

/** The app with the plugin that hears of everything, switched on. */
async function withHooking(
  { calls = [], settings = {}, channels = {}, manifest, slow, registered = 10 }: Options = {},
) {
  const home = await homeWith({ plugins: { ...QUICK, hook_timeout_seconds: 1, ...settings }, channels })
  await writeHooking(home, manifest)
  const model = scripted(calls.flatMap(({ tool, how }) => [toolCall(`hooking_${tool}`, { how }), `after ${how}`]))
  const app = await testApp({ home, env: { PATH: process.env.PATH! }, model })
  opened.push(app)
  const get = async () => (await app.json<{ plugin: PluginDetail }>('/api/plugins/hooking')).plugin
  const running = () => until(async () => (await get()).registered.length === registered, 'what it registers', 30_000)
  if (slow) await app.json('/api/plugins/hooking/config', { method: 'PUT', json: { config: { slow } } })
  const { surface_hash } = await get()
  await app.json('/api/plugins/hooking/enable', { json: { surface_hash } })
  await running()
  const told = async () => {
    const context = { caller: OWNER, session_id: '', turn_id: '', call_id: '', signal: AbortSignal.timeout(20_000) }
    const { text } = await app.tools.find('hooking.heard')!.run({}, context)
    return JSON.parse(text) as { heard: HookInput[]; asked: HookInput[] }
  }
  return { ...app, get, running, told }
}

const OWNER = { kind: 'user' as const, handle: 'owner', id: 'x', name: 'x', scopes: new Set(['admin' as const]) }

/** Results of the tools that ran in a session. */
async function results(app: TestApp, session: string): Promise<{ name: string; ok: boolean; result: string }[]> {
  const events = await app.events(session, 0, ({ type }) => type === 'turn_finished')
  return events.flatMap((event) => event.type === 'tool_result' ? [event] : [])
}

describe('hooks of plugins', { timeout: 240_000 }, () => {
  afterEach(() => Promise.all(opened.splice(0).map((app) => app.close())))

  it('are told of sessions, turns, tools and chat messages as they happen, in order', async () => {
    const app = await withHooking({
      calls: [{ tool: 'act', how: 'it' }],
      channels: { chat: { ...channel('gateway.mjs'), allowed_users: ['*'], burst_ms: 0 } },
    })
    await app.ask('mine', 'please act')
    const chat = await until(() => app.plugins.gateways().find(({ state }) => state === 'ready'), 'the channel')
    const order = { type: 'send_message' as const, chat_id: '1', content: 'message from a chat' }
    await chat.command(order, { request_id: 'order' })
    const { heard, asked } = await until(async () => {
      const all = await app.told()
      const has = (wanted: string) => all.heard.some(({ event }) => event === wanted)
      return has('turn.finished') && has('message.received') && all
    }, 'the end of the turn to be heard')
    const written = heard.find(({ event }) => event === 'message.received')!
    const { text: words, sender_id, channel: from } = written.data
    assert.deepEqual([words, sender_id, from], ['from a chat', '7', 'chat'])
    assert.notEqual(written.session_id, 'mine')
    const mine = heard.filter(({ session_id }) => session_id === 'mine')
    assert.deepEqual(mine.map(({ event }) => event).sort(), [
      'session.created',
      'tool.after',
      'turn.finished',
      'turn.started',
    ])
    const of = (event: string) => mine.find((input) => input.event === event)!
    assert.equal(of('turn.started').data.text, 'please act')
    assert.deepEqual([of('turn.finished').data.state, of('turn.finished').data.text], ['completed', 'after it'])
    const { tool, ok, text, turn_id } = of('tool.after').data
    assert.deepEqual([tool, ok, text], ['hooking.act', true, 'did it'])
    assert.equal(turn_id, of('turn.started').data.turn_id)
    assert.ok(mine.every(({ handle, at }) => handle === 'owner' && Math.abs(at - Date.now() / 1000) < 600))
    assert.deepEqual(asked.map(({ data }) => [data.tool, data.effect, data.arguments]), [
      ['hooking.act', 'read', { how: 'it' }],
    ])
  })

  it('may forbid a call with a reason, which the model and the audit log are told', async () => {
    const app = await withHooking({ calls: [{ tool: 'act', how: 'deny' }] })
    await app.ask('s', 'go')
    assert.deepEqual((await results(app, 's')).map(({ ok, result }) => [ok, result]), [
      [false, 'Not allowed: The plugin hooking forbids it: not on a Sunday'],
    ])
    const { items } = await app.json<{ items: { action: string; detail: Record<string, string> }[] }>('/api/audit')
    assert.equal(items.find(({ action }) => action === 'tool.denied')?.detail.by, 'plugin')
  })

  it('can allow nothing: what would be asked about is asked about', async () => {
    const app = await withHooking({ calls: [{ tool: 'write', how: 'allow' }] })
    void app.ask('s', 'go').catch(() => {})
    const { approvals } = await until(async () => {
      const open = await app.json<{ approvals: { tool: string }[] }>('/api/approvals')
      return open.approvals.length > 0 && open
    }, 'the question')
    assert.deepEqual(approvals.map(({ tool }) => tool), ['hooking.write'])
  })

  it('that hang, fail, crash or answer nonsense leave the call to the rules, and the owner reads of it', async () => {
    const ways = ['hang', 'throw', 'nonsense']
    const app = await withHooking({ calls: ways.map((how) => ({ tool: 'act', how })) })
    for (const how of ways) {
      await app.ask(how, 'go')
      assert.deepEqual((await results(app, how)).map(({ ok, result }) => [ok, result]), [[true, `did ${how}`]])
    }
    const messages = (await app.get()).incidents.map(({ message }) => message).join('\n')
    // Its own clock, or ours.
    assert.match(messages, /did not answer within 1 s|out of time/)
    assert.match(messages, /confused/)
    assert.match(messages, /makes no sense: must be text/)
  })

  it('that crash while they are asked take the plugin down, and nothing else', async () => {
    const app = await withHooking({ calls: [{ tool: 'act', how: 'crash' }], settings: { restart_delay_ms: 10 } })
    const { state } = await app.ask('s', 'go')
    assert.equal(state, 'completed')
    const [result] = await results(app, 's')
    assert.doesNotMatch(result!.result, /forbids/)
    await app.running()
  })

  it('forbid instead where the owner wants it so, also while the plugin is not there to be asked', async () => {
    const app = await withHooking({
      calls: [{ tool: 'act', how: 'throw' }, { tool: 'act', how: 'crash' }],
      settings: { hook_failure: 'deny', restart_delay_ms: 60_000 },
    })
    await app.ask('a', 'go')
    assert.match((await results(app, 'a'))[0]!.result, /Not allowed: The plugin hooking was asked .*confused/)
    await app.ask('b', 'go')
    assert.match((await results(app, 'b'))[0]!.result, /Not allowed/)
    assert.equal((await app.get()).state, 'backoff')
    const denied = await app.json<{ error?: string; text?: string }>('/api/tools/time.now/run', {
      json: { arguments: {} },
      status: 403,
    }).catch((error: Error) => ({ error: error.message }))
    assert.match(JSON.stringify(denied), /hooking has to be asked first and is not running/)
  })

  it('that only listen and never answer delay nobody, and miss what is too much for them', async () => {
    const app = await withHooking({ slow: true, registered: 8 })
    // It never answers, so a turn that waited for it would not be over in time.
    for (let i = 0; i < 5; i++) assert.equal((await app.ask(`s${i}`, 'hello')).state, 'completed')
    for (let i = 0; i < 120; i++) await app.sessions.create(OWNER, { session_id: `many-${i}` })
    const { incidents } = await app.get()
    assert.ok(incidents.some(({ message }) => /session_created is too slow; it is not told of every/.test(message)))
    await app.json('/api/plugins/hooking/disable', { json: {} })
  })

  it('are part of what the owner accepts; an event that is not declared is refused', async () => {
    const app = await withHooking({ manifest: { hooks: ['turn.started'] }, registered: 4 })
    assert.deepEqual((await app.get()).surface.hooks, ['turn.started'])
    await until(
      async () => (await app.get()).incidents.some(({ message }) => /does not declare the hook guard/.test(message)),
      'the hook to be refused',
    )
    await writeHooking(app.home, { hooks: ['turn.started', 'tool.before'] })
    await app.json('/api/plugins/reload', { json: {} })
    const wider = await app.get()
    assert.deepEqual([wider.accepted, wider.wider], [false, ['hears of tool.before']])
  })
})
