import assert from 'node:assert/strict'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import process from 'node:process'
import { after, describe, it } from 'node:test'
import type { Plugin, PluginDetail } from '../../shared/plugins.ts'
import { type TestApp, testApp } from '../support/app.ts'
import { homeWith, QUICK, until, writePlugin } from '../support/plugins/hosted.ts'

const opened: TestApp[] = []
after(async () => {
  for (const app of opened) await app.close()
})

async function withPlugin(manifest: Record<string, unknown>, source?: (home: string) => string) {
  const home = await homeWith({ plugins: QUICK })
  const folder = await writePlugin(join(home, 'plugins', 'stranger'), { id: 'stranger', ...manifest })
  if (source) await writeFile(join(folder, 'main.mjs'), source(home))
  const app = await testApp({ home, env: { PATH: process.env.PATH! } })
  opened.push(app)
  const get = async () => (await app.json<{ plugin: PluginDetail }>('/api/plugins/stranger')).plugin
  return {
    ...app,
    get,
    accept: async () => {
      const { surface_hash } = await get()
      await app.json('/api/plugins/stranger/enable', { json: { surface_hash } })
    },
    said: async (pattern: RegExp) =>
      await until(async () => {
        const { lines } = await app.json<{ lines: { text: string }[] }>('/api/plugins/stranger/logs')
        return lines.find(({ text }) => pattern.test(text))?.text
      }, `the log to say ${pattern}`),
  }
}

describe('a plugin of a stranger', { timeout: 120_000 }, () => {
  it('has a schema whose pattern would take for ever, and is listed at once', async () => {
    const pattern = { type: 'string', pattern: '^(a+)+$', default: `${'a'.repeat(60)}!` }
    const app = await withPlugin({ config_schema: { type: 'object', properties: { a: pattern } } })
    const { plugins } = await app.json<{ plugins: Plugin[] }>('/api/plugins')
    assert.ok(plugins.some(({ name }) => name === 'stranger'))
    const { error } = await app.json<{ error: string }>('/api/plugins/stranger/config', {
      method: 'PUT',
      json: { config: {} },
      status: 400,
    })
    assert.match(error, /^a: must match pattern/)
  })

  it('has a schema that refers to itself without end, and is told so', async () => {
    const endless = { $ref: '#/$defs/a', $defs: { a: { anyOf: [{ $ref: '#/$defs/a' }] } } }
    const app = await withPlugin({ config_schema: { type: 'object', properties: { a: endless }, ...endless } })
    const json = { config: { a: 1 } }
    const { error } = await app.json<{ error: string }>('/api/plugins/stranger/config', {
      method: 'PUT',
      json,
      status: 400,
    })
    assert.match(error, /config_schema can't be used: it refers to itself/)
  })

  it('has settings that would be compared with each other for minutes, and is listed at once', async () => {
    const list = { type: 'array', uniqueItems: true, default: Array.from({ length: 10_000 }, (_, i) => ({ i })) }
    const app = await withPlugin({ config_schema: { type: 'object', properties: { list } } })
    await app.json('/api/plugins')
    const json = { config: {} }
    const { error } = await app.json<{ error: string }>('/api/plugins/stranger/config', {
      method: 'PUT',
      json,
      status: 400,
    })
    assert.match(error, /too large/)
  })

  it('on Deno reads no file outside by importing it, not even before its first line', async () => {
    for (const type of ['json', 'text']) {
      const app = await withPlugin({ runtime: 'deno', tools: [] }, (home) => `
        import secret from '${home}/gatehouse.yaml' with { type: '${type}' }
        console.error('read it:', JSON.stringify(secret))
      `)
      await app.accept()
      const said = await app.said(/read it|Requires read access/)
      assert.match(said, /Requires read access/)
    }
  })

  it('hides nothing that it was refused behind what it writes', async () => {
    const app = await withPlugin({ runtime: 'deno', tools: [] }, () => `
      for (let i = 0; i < 500; i++) console.error('line', i)
      try { await Deno.readTextFile('/etc/hostname') } catch {}
      for (let i = 0; i < 500; i++) console.log('no record')
      console.log('{"type":"ready","gateway":"stranger","version":"v1alpha1"}')
      for await (const _ of Deno.stdin.readable);
    `)
    await app.accept()
    const denied = await until(async () => (await app.get()).incidents.find(({ kind }) => kind === 'denied'))
    assert.match(denied.message, /tried to read \/etc\/hostname: refused/)
    const { secret: token } = await app.json<{ secret: string }>('/api/keys', { json: { name: 'k', scopes: ['read'] } })
    const { plugin } = await app.json<{ plugin: PluginDetail }>('/api/plugins/stranger', { token })
    assert.deepEqual([plugin.folder, plugin.pid, plugin.incidents], [null, null, []])
  })

  it('puts its secret into no status and no error that others see', async () => {
    const app = await withPlugin({
      runtime: 'node',
      tools: [],
      protocol: 'gatehouse.v1',
      channels: ['stranger'],
      secrets: [{ name: 'token', label: 'Token' }],
    }, () => `
      console.log('{"type":"ready","gateway":"stranger","version":"v1alpha1"}')
      process.stdin.once('data', (line) => {
        const { token } = JSON.parse(String(line).split('\\n')[0]).secrets
        const tell = (record) => console.log(JSON.stringify(record))
        tell({ type: 'status', connected: false, identity: 'bot ' + token, detail: 'https://api/bot' + token + '/getMe failed' })
        tell({ type: 'error', code: 'odd', message: 'tried ' + token, fatal: false })
        tell({ type: 'shutdown', reason: 'done' })
      })
    `)
    await app.json('/api/plugins/stranger/config', { method: 'PUT', json: { secrets: { token: 'S3CRETTOKEN-42' } } })
    await app.accept()
    const seen = await until(async () => {
      const text = JSON.stringify([await app.get(), await app.json('/api/plugins')])
      return /tried/.test(text) && /getMe/.test(text) && text
    }, 'what it said of itself')
    assert.ok(!seen.includes('S3CRETTOKEN'), seen)
    assert.match(seen, /\[redacted\]/)
  })
})

describe('plugins of one home', { timeout: 120_000 }, () => {
  it('start although the secret of another was sealed with a key that is gone', async () => {
    const home = await homeWith({ plugins: QUICK })
    const secrets = [{ name: 'token', label: 'Token', required: true }]
    await writePlugin(join(home, 'plugins', 'a-sealed'), { id: 'a-sealed', name: 'Sealed', secrets })
    await writePlugin(join(home, 'plugins', 'b-other'), { id: 'b-other', name: 'Other' })
    const started = async () => {
      const app = await testApp({ home, env: { PATH: process.env.PATH! } })
      const get = async (name: string) => (await app.json<{ plugin: PluginDetail }>(`/api/plugins/${name}`)).plugin
      const isReady = (name: string) => until(async () => (await get(name)).state === 'ready', `${name} to be ready`)
      return { ...app, get, isReady }
    }
    const before = await started()
    await before.json('/api/plugins/a-sealed/config', { method: 'PUT', json: { secrets: { token: 'S3CRETTOKEN-42' } } })
    for (const name of ['a-sealed', 'b-other']) {
      const { surface_hash } = await before.get(name)
      await before.json(`/api/plugins/${name}/enable`, { json: { surface_hash } })
      await before.isReady(name)
    }
    await before.stop()
    await rm(join(home, 'secret.key'))
    const after = await started()
    opened.push(after)
    await after.isReady('b-other')
    assert.match(
      (await after.get('a-sealed')).problem!,
      /Token \(token\): can't be opened with this server's key; set it again/,
    )
  })

  it('run the code that was installed last, also when its manifest says the same', async () => {
    const home = await homeWith({ plugins: QUICK })
    const source = await writePlugin(join(home, 'source'), { tools: [] })
    const code = (answer: string) => `
      console.log('{"type":"ready","gateway":"capable","version":"v1alpha1"}')
      console.error('this is ${answer}')
      process.stdin.on('data', () => {}).on('end', () => process.exit())
    `
    const app = await testApp({ home, env: { PATH: process.env.PATH! } })
    opened.push(app)
    const said = (pattern: RegExp) =>
      until(async () => {
        const { lines } = await app.json<{ lines: { text: string }[] }>('/api/plugins/capable/logs')
        return lines.some(({ text }) => pattern.test(text))
      }, `the log to say ${pattern}`)
    await writeFile(join(source, 'main.mjs'), code('the first'))
    await app.json('/api/plugins/install', { json: { folder: source }, status: 201 })
    const { plugin } = await app.json<{ plugin: PluginDetail }>('/api/plugins/capable')
    await app.json('/api/plugins/capable/enable', { json: { surface_hash: plugin.surface_hash } })
    await said(/this is the first/)
    await writeFile(join(source, 'main.mjs'), code('the second'))
    await app.json('/api/plugins/install', { json: { folder: source }, status: 201 })
    await said(/this is the second/)
  })
})
