import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
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
    assert.match(error, /config\.a: must match pattern/)
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
  })
})
