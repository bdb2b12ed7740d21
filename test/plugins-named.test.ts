import assert from 'node:assert/strict'
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import process from 'node:process'
import { afterEach, describe, it } from 'node:test'
import { parse } from 'yaml'
import type { Plugin, PluginCheck } from '../shared/plugins.ts'
import { testApp } from './support/app.ts'
import { channel, homeWith, hosted, until, writePlugin } from './support/plugins/hosted.ts'

describe('a plugin that gatehouse.yaml names', { timeout: 240_000 }, () => {
  const opened: Awaited<ReturnType<typeof hosted>>[] = []
  const open = async (...given: Parameters<typeof hosted>) => {
    const app = await hosted(...given)
    opened.push(app)
    return app
  }
  afterEach(() => Promise.all(opened.splice(0).map((app) => app.close())))

  it('may be one of several of the same plugin, each with its own settings', async () => {
    const app = await open({})
    await writePlugin(join(app.home, 'plugins', 'capable'), { channels: ['capable'] })
    const { surface_hash } = (await app.json<{ plugins: Plugin[] }>('/api/plugins')).plugins
      .find(({ name }) => name === 'capable')!
    await app.json('/api/plugins/capable/accept', { json: { surface_hash } })
    await app.json('/api/config/channels', {
      method: 'PATCH',
      json: { one: { plugin: 'capable', room: 1 }, two: { plugin: 'capable', room: 2 }, none: { plugin: 'nobody' } },
    })
    for (const [name, room] of [['one', 1], ['two', 2]] as const) {
      assert.equal((await app.ready(name)).plugin, 'capable')
      const { config, fixed } = await app.json<{ config: { room: number }; fixed: string[] }>(
        `/api/plugins/${name}/config`,
      )
      assert.deepEqual([config.room, fixed], [room, ['room']])
    }
    assert.match((await app.plugin('none')).problem!, /no plugin "nobody" is installed/)
    const pids = [(await app.plugin('one')).pid, (await app.plugin('two')).pid]
    await app.json('/api/config/channels', {
      method: 'PATCH',
      json: { one: { plugin: 'capable', room: 1, max_media_bytes: 1000 }, two: { plugin: 'capable', room: 2 } },
    })
    // Told of the largest file as it starts.
    await until(
      async () => {
        const { state, pid } = await app.plugin('one')
        return state === 'ready' && pid !== pids[0]
      },
      'a new start',
      30_000,
    )
    assert.equal((await app.plugin('two')).pid, pids[1])
  })

  it('as the same account as another one is warned of, until one of them is switched off', async () => {
    const app = await open({})
    await writePlugin(join(app.home, 'plugins', 'capable'), {
      channels: ['capable'],
      secrets: [{ name: 'token' }, { name: 'hook_secret', required: false }],
      config_schema: {
        type: 'object',
        properties: { room: { type: 'integer' }, identity: { type: 'string' } },
        required: ['room'],
      },
    })
    const { surface_hash } = await app.plugin('capable')
    await app.json('/api/plugins/capable/accept', { json: { surface_hash } })
    const one = { plugin: 'capable', room: 1, token: 'a-token' }
    const names = async (channels: Record<string, object>) => {
      await app.json('/api/config/channels', { method: 'PATCH', json: channels })
      await until(async () => (await app.list()).filter(({ plugin }) => plugin === 'capable').length > 1)
      return Promise.all(Object.keys(channels).map(async (name) => (await app.plugin(name)).same_account))
    }
    assert.deepEqual(await names({ one, two: { ...one, hook_secret: 'x' } }), [['two'], ['one']])
    const { checks } = await app.json<{ checks: PluginCheck[] }>('/api/plugins/doctor')
    const check = checks.find(({ name }) => name === 'two')!
    assert.equal(check.level, 'warning')
    assert.match(check.message, /the same account on its platform as one: each message would be answered twice/)
    assert.deepEqual(await names({ one, two: { ...one, enabled: false } }), [[], []])
    assert.deepEqual(await names({ one, two: { ...one, token: 'another' } }), [[], []])
    assert.deepEqual(await names({ one, two: { ...one, room: 2 } }), [[], []])
    assert.deepEqual(await names({ one: { ...one, token: '' }, two: { ...one, token: '' } }), [[], []])
    // Another token of the same account.
    const known = { ...one, identity: '@helper' }
    await names({ one: known, two: { ...known, token: 'another' } })
    await until(async () => (await app.plugin('one')).same_account.includes('two'))
  })

  it('is switched on and off in gatehouse.yaml, which names it, with all else there as it was', async () => {
    const app = await open({ work: { ...channel('gateway.mjs', 'work'), env: { WORK_TOKEN: 'a secret' } } })
    await app.ready('work')
    const file = join(app.home, 'gatehouse.yaml')
    const written = async () => parse(await readFile(file, 'utf8')) as { channels: Record<string, object> }
    const before = await written()
    const off = await app.json<{ plugin: Plugin }>('/api/plugins/work/disable', { json: {} })
    assert.deepEqual([off.plugin.enabled, off.plugin.state], [false, 'stopped'])
    assert.deepEqual(await written(), { ...before, channels: { work: { ...before.channels.work, enabled: false } } })
    const text = await readFile(file, 'utf8')
    await app.json('/api/plugins/work/disable', { json: {} })
    assert.equal(await readFile(file, 'utf8'), text)
    const on = await app.json<{ plugin: Plugin }>('/api/plugins/work/enable', { json: {} })
    assert.equal(on.plugin.enabled, true)
    await app.ready('work')
    assert.deepEqual(await written(), { ...before, channels: { work: { ...before.channels.work, enabled: true } } })
  })

  it('that cannot be switched in gatehouse.yaml says where it can', async () => {
    const settings = { ...channel('gateway.mjs', 'old') }
    const home = await homeWith({ gateways: { external: [{ name: 'old', ...settings }] }, channels: { new: settings } })
    const env = { PATH: process.env.PATH!, GATEHOUSE_CHANNELS__NEW__ENABLED: 'true' }
    const app = await testApp({ home, env })
    try {
      const refused = async (name: string) =>
        (await app.json<{ error: string }>(`/api/plugins/${name}/disable`, { json: {}, status: 409 })).error
      assert.match(await refused('old'), /gateways\.external/)
      assert.match(await refused('new'), /channels\.new\.enabled is set by a variable of the environment/)
    } finally {
      await app.close()
    }
  })

  it('in use under channels is not uninstalled', async () => {
    const app = await open({})
    const folder = join(app.home, 'plugins', 'capable')
    await writePlugin(folder, { channels: ['capable'] })
    await app.json('/api/config/channels', { method: 'PATCH', json: { work: { plugin: 'capable' } } })
    for (const name of ['capable', 'work']) {
      const { error } = await app.json<{ error: string }>(`/api/plugins/${name}`, { method: 'DELETE', status: 409 })
      assert.match(error, /gatehouse config unset channels\.work$/)
    }
    await app.json('/api/config/channels', { method: 'PATCH', json: {} })
    await app.json('/api/plugins/capable', { method: 'DELETE' })
    await assert.rejects(stat(folder))
  })
})
