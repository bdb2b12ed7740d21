import assert from 'node:assert/strict'
import { join } from 'node:path'
import process from 'node:process'
import { describe, it } from 'node:test'
import type { PluginDetail, PluginLogLine, PluginNews } from '../shared/plugins.ts'
import { framesOf, testApp } from './support/app.ts'
import { until } from './support/chat-platform.ts'
import { homeWith, QUICK, writePlugin } from './support/plugins/hosted.ts'

describe('one plugin in the stream of a page', { timeout: 120_000 }, () => {
  it('its log comes as it is written and its memory as it is measured; who only reads hears no log', async () => {
    const home = await homeWith({ plugins: QUICK })
    await writePlugin(join(home, 'plugins', 'capable'))
    const app = await testApp({ home, env: { PATH: process.env.PATH! } })
    const stop = new AbortController()
    const timer = setTimeout(() => stop.abort(), 30_000)
    try {
      const { plugin } = await app.json<{ plugin: PluginDetail }>('/api/plugins/capable')
      const { secret } = await app.json<{ secret: string }>('/api/keys', { json: { name: 'reader', scopes: ['read'] } })
      const open = async (token?: string) => {
        const path = '/api/stream?topics=plugin:capable,plugin:nobody'
        const frames = framesOf(await app.request(path, { signal: stop.signal, ...(token ? { token } : {}) }))
        assert.equal((await frames.next()).value?.event, 'hello')
        return frames
      }
      const [owner, reader] = [await open(), await open(secret)]
      await app.json('/api/plugins/capable/enable', { json: { surface_hash: plugin.surface_hash } })
      const said = await take(owner, (one) => 'line' in one)
      assert.ok(said.some((one) => 'line' in one && one.name === 'capable' && one.line.seq > 0))
      const measured = await take(reader, (one) => 'sample' in one)
      assert.ok(!measured.some((one) => 'line' in one), 'a line reached somebody who may only read')
      const last = measured.at(-1)!
      assert.ok('sample' in last && last.sample.bytes > 0 && last.sample.processes >= 1)
      await app.json('/api/stream?topics=plugins', { status: 400 })
    } finally {
      clearTimeout(timer)
      stop.abort()
      await app.close()
    }
  })
})

describe('a bare command in the configuration', { timeout: 120_000 }, () => {
  it('gets its secrets from `env`, and they stand in no log', async () => {
    const args = ['-e', 'console.error("token is " + process.env.BRIDGE_TOKEN); process.stdin.resume()']
    const env = { BRIDGE_TOKEN: 'not-for-the-log-4711' }
    const home = await homeWith({ channels: { bridge: { command: 'node', args, env } }, plugins: QUICK })
    const app = await testApp({ home, env: { PATH: process.env.PATH! } })
    try {
      const lines = async () =>
        (await app.json<{ lines: PluginLogLine[] }>('/api/plugins/bridge/logs')).lines.map(({ text }) => text)
      const said = await until(lines, (all) => all.some((line) => line.startsWith('token is')), 30_000)
      assert.ok(said.includes('token is [redacted]'), said.join())
    } finally {
      await app.close()
    }
  })
})

/** All until the first that fits. */
async function take(frames: ReturnType<typeof framesOf>, until: (one: PluginNews) => boolean): Promise<PluginNews[]> {
  const seen: PluginNews[] = []
  for (;;) {
    const { value, done } = await frames.next()
    if (done) throw new Error(`the stream ended after ${JSON.stringify(seen)}`)
    if (value.event !== 'plugin') continue
    seen.push(JSON.parse(value.data!) as PluginNews)
    if (until(seen.at(-1)!)) return seen
  }
}
