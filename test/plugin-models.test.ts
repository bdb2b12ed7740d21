import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import process from 'node:process'
import { afterEach, describe, it } from 'node:test'
import { fileURLToPath, pathToFileURL } from 'node:url'
import type { Model, Provider } from '../shared/models.ts'
import type { PluginDetail } from '../shared/plugins.ts'
import type { TurnEvent } from '../shared/turn-events.ts'
import { type TestApp, testApp } from './support/app.ts'
import { homeWith, QUICK, until } from './support/plugins/hosted.ts'

const SDK = pathToFileURL(fileURLToPath(new URL('../plugins/sdk', import.meta.url))).href
const opened: TestApp[] = []
afterEach(async () => {
  for (const app of opened.splice(0)) await app.close()
})

/** An app with a plugin that is accepted and offers the models `wise` and `odd`, answered by this code. */
async function withModels(generate: string) {
  const home = await homeWith({ plugins: { ...QUICK, restart_delay_ms: 60_000 } })
  const folder = join(home, 'plugins', 'oracle')
  await mkdir(folder, { recursive: true })
  await writeFile(
    join(folder, 'plugin.json'),
    JSON.stringify({
      id: 'oracle',
      name: 'Oracle',
      version: '1.0.0',
      protocol: 'gatehouse.v1',
      entry: 'main.mjs',
      runtime: 'node',
      capabilities: ['text_provider'],
    }),
  )
  await writeFile(
    join(folder, 'main.mjs'),
    `import { definePlugin } from '${SDK}/plugin.ts'
     import { PluginError } from '${SDK}/errors.ts'
     let asked = 0
     definePlugin({
       id: 'oracle',
       register(api) {
         api.textProvider({
           name: 'delphi',
           label: 'Delphi',
           models: [{ id: 'wise', display_name: 'Wise', context_window: 9000 }, { id: 'odd' }],
           async generate(request, { chunk, signal }) { asked++; ${generate} },
         })
       },
     })`,
  )
  // No model of the tests answers: the only one besides the built-in rules is the plugin's.
  const app = await testApp({ home, env: { PATH: process.env.PATH! } })
  opened.push(app)
  const get = async () => (await app.json<{ plugin: PluginDetail }>('/api/plugins/oracle')).plugin
  const { surface_hash } = await get()
  await app.json('/api/plugins/oracle/enable', { json: { surface_hash } })
  const list = async () => (await app.json<{ models: Model[] }>('/api/models')).models
  await until(async () => (await list()).length === 2, 'the models to be listed')
  return {
    ...app,
    get,
    list,
    ask: async (text = 'What is next?', id = 's') => {
      const sent = await app.json<{ turn_id: string }>(`/api/sessions/${id}/messages`, {
        json: { text, model: 'oracle.delphi:wise' },
        status: 202,
      })
      return await until(
        async () => {
          const events = await eventsOf(app, id)
          const own = events.filter(({ turn_id }) => turn_id === sent.turn_id)
          const end = own.find((event) => event.type === 'turn_finished')
          return end && { events: own, end }
        },
        'the turn to end',
        30_000,
      )
    },
  }
}

async function eventsOf(app: TestApp, id: string): Promise<TurnEvent[]> {
  const abort = new AbortController()
  const response = await app.request(`/api/sessions/${id}/events?after=0`, { signal: abort.signal })
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader()
  let text = ''
  const end = setTimeout(() => void reader.cancel(), 300)
  for (;;) {
    const { done, value } = await reader.read()
    if (done) break
    text += value
  }
  clearTimeout(end)
  abort.abort()
  return text.split('\n').filter((line) => line.startsWith('data: {'))
    .map((line) => JSON.parse(line.slice(6)) as TurnEvent)
}

const failureOf = (end: TurnEvent) => end.type === 'turn_finished' ? end.error : undefined

describe('models of a plugin', { timeout: 240_000 }, () => {
  it('stand in the one list, answer in parts, and are counted', async () => {
    const app = await withModels(`
      await chunk({ type: 'reasoning', delta: 'Smoke.' })
      for (const delta of ['Know ', 'thyself', ': ' + request.messages.at(-1).content[0].text]) await chunk({ type: 'text', delta })
      return { reason: 'stop', usage: { input_tokens: 11, output_tokens: 7 } }
    `)
    const models = await app.list()
    assert.deepEqual(models.map(({ runtime_id }) => runtime_id), ['oracle.delphi:wise', 'oracle.delphi:odd'])
    assert.equal(models[0]!.context_window, 9000)
    const { events, end } = await app.ask()
    assert.equal(end.type === 'turn_finished' && end.text, 'Know thyself: What is next?')
    assert.ok(events.some((event) => event.type === 'reasoning' && event.delta === 'Smoke.'))
    const used = events.find((event) => event.type === 'usage')
    assert.deepEqual(used?.type === 'usage' && used.usage, { input_tokens: 11, output_tokens: 7 })
  })

  it('call tools through the same gate as any other model', async () => {
    const app = await withModels(`
      const last = request.messages.at(-1)
      if (last.role === 'tool') {
        await chunk({ type: 'text', delta: 'It says ' + last.content })
        return {}
      }
      const { name } = request.tools.find(({ name }) => /calculate|math|arithmetic/i.test(name))
      await chunk({ type: 'tool_call', call_id: '1', name, arguments: { expression: '6*7' } })
      return {}
    `)
    const { events, end } = await app.ask()
    assert.ok(events.some((event) => event.type === 'tool_call'))
    assert.match(end.type === 'turn_finished' ? end.text : '', /It says .*42/)
  })

  it('say what went wrong, whatever the plugin does', async () => {
    const cases: [string, RegExp][] = [
      [`await chunk({ type: 'picture' }); return {}`, /Delphi: sent a part that is no text/],
      [`return { reason: 'because' }`, /Delphi: ended its answer without a reason/],
      [`throw new PluginError('unauthorized', 'the key is wrong')`, /Delphi: the key is wrong/],
      [`await chunk({ type: 'text', delta: 'half' }); process.exit(3)`, /Delphi: The plugin oracle ended/],
    ]
    for (const [code, pattern] of cases) {
      const app = await withModels(code)
      const { end } = await app.ask()
      assert.equal(end.type === 'turn_finished' && end.state, 'failed', code)
      assert.match(failureOf(end)?.message ?? '', pattern, code)
    }
  })

  it('are asked again when the plugin says that it is too much for it', async () => {
    const app = await withModels(`
      if (asked === 1) throw new PluginError('rate_limited', 'slow down', { retry_after_ms: 50 })
      await chunk({ type: 'text', delta: 'after ' + asked })
      return {}
    `)
    const { end } = await app.ask()
    assert.equal(end.type === 'turn_finished' && end.text, 'after 2')
  })

  it('belong to the plugin: nobody else makes such a provider, and switched off it says why it does not answer', async () => {
    const app = await withModels(`await chunk({ type: 'text', delta: 'yes' }); return {}`)
    const providers = async () => (await app.json<{ providers: Provider[] }>('/api/providers')).providers
    const [provider] = await providers()
    assert.equal(provider!.metadata.plugin, 'oracle')
    const forged = { name: 'forged', metadata: { plugin: 'oracle', provider: 'delphi' } }
    await app.json('/api/providers', { json: forged, status: 400 })
    const at = `/api/providers/${provider!.id}`
    await app.json(at, { method: 'PUT', json: { metadata: {} }, status: 400 })
    await app.json(at, { method: 'DELETE', status: 409 })
    const odd = (await app.list()).find(({ model }) => model === 'odd')!
    await app.json(`/api/models/${odd.id}`, { method: 'DELETE' })
    await app.json('/api/plugins/oracle/restart', { json: {} })
    await until(async () => (await app.get()).state === 'ready')
    assert.deepEqual((await app.list()).map(({ model }) => model), ['wise'])
    await app.json('/api/plugins/oracle/disable', { json: {} })
    const { end } = await app.ask()
    assert.match(failureOf(end)?.message ?? '', /The plugin oracle, which this model belongs to, is not running/)
    await app.json(at, { method: 'DELETE' })
    assert.deepEqual(await providers(), [])
  })
})
