import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import process from 'node:process'
import { afterEach, describe, it } from 'node:test'
import type { PluginDetail } from '../shared/plugins.ts'
import { type TestApp, testApp } from './support/app.ts'
import { homeWith, QUICK, until, writePlugin } from './support/plugins/hosted.ts'

const opened: TestApp[] = []

async function open(home: string) {
  const app = await testApp({ home, env: { PATH: process.env.PATH! } })
  opened.push(app)
  const get = async () => (await app.json<{ plugin: PluginDetail }>('/api/plugins/capable')).plugin
  return {
    ...app,
    get,
    enable: async () => app.json('/api/plugins/capable/enable', { json: { surface_hash: (await get()).surface_hash } }),
    asleep: (tool = 'add') =>
      until(
        async () => {
          const plugin = await get()
          return plugin.state === 'stopped' && plugin.pid === null &&
            plugin.registered.some(({ name }) => name === tool) && plugin
        },
        'it to sleep',
        30_000,
      ),
    run: async (name: string, input: Record<string, unknown> = {}, signal = AbortSignal.timeout(30_000)) => {
      const caller = { kind: 'user' as const, handle: 'owner', id: 'x', name: 'x', scopes: new Set(['admin' as const]) }
      const tool = await until(() => app.tools.find(`capable.${name}`), `the tool ${name}`, 30_000)
      return await tool.run(input, { caller, session_id: 's', turn_id: 't', call_id: 'c', signal })
    },
  }
}

const folderOf = (home: string) => join(home, 'plugins', 'capable')

async function sleeper(settings: Record<string, unknown> = {}, manifest: Record<string, unknown> = {}) {
  const home = await homeWith({ plugins: { ...QUICK, idle_seconds: 0.3, ...settings } })
  await writePlugin(folderOf(home), { start: 'demand', tools: ['add', 'slow', 'counts'], ...manifest })
  const app = await open(home)
  await app.enable()
  await app.asleep()
  return app
}

describe('a plugin that is started on demand', { timeout: 240_000 }, () => {
  afterEach(() => Promise.all(opened.splice(0).map((app) => app.close())))

  it('runs once to tell what it offers, sleeps, wakes for a call and sleeps again', async () => {
    const app = await sleeper()
    const before = await app.get()
    assert.deepEqual([before.on_demand, before.pid, before.problem], [true, null, null])
    assert.deepEqual(await app.run('add', { a: 40, b: 2 }), { ok: true, text: '42' })
    assert.equal((await app.get()).restarts, 0)
    await app.asleep()
    assert.equal((await app.run('counts')).text, '1')
    await app.asleep()
    assert.equal((await app.run('counts')).text, '2', 'its store outlives its sleep')
  })

  it('is woken once by many calls, and does not fall asleep over one', async () => {
    const app = await sleeper({ call_timeout_seconds: 2 })
    const answers = await Promise.all([1, 2, 3, 4].map((a) => app.run('add', { a, b: 1 })))
    assert.deepEqual(answers.map(({ text }) => text), ['2', '3', '4', '5'])
    const slow = app.run('slow')
    const pid = await until(async () => (await app.get()).pid)
    assert.match((await slow).text, /did not answer within 2 s/)
    assert.equal((await app.get()).pid, pid)
    await app.asleep()
  })

  it('is not started when the server starts: its tools are known from the last time', async () => {
    const app = await sleeper()
    const { home } = app
    await until(async () =>
      (await app.database.kysely.selectFrom('plugins' as never).select('registered' as never)
        .executeTakeFirst() as { registered?: string } | undefined)?.registered, 'what it registered to be kept')
    await opened.pop()!.stop()
    const main = join(folderOf(home), 'main.mjs')
    await writeFile(main, `process.stderr.write('begun\\n')\n${await readFile(main, 'utf8')}`)
    const again = await open(home)
    const tool = await until(() => again.tools.find('capable.add'), 'the tool')
    assert.deepEqual([tool.description, tool.effect], ['The tool add', 'read'])
    const { state, started_at } = await again.get()
    assert.deepEqual([state, started_at], ['stopped', null])
    const begun = async () =>
      (await again.json<{ lines: { text: string }[] }>('/api/plugins/capable/logs')).lines
        .filter(({ text }) => text === 'begun').length
    assert.equal(await begun(), 0)
    assert.equal((await again.run('add', { a: 1, b: 1 })).text, '2')
    assert.equal(await begun(), 1)
  })

  it('runs again to tell what it offers when it was changed; what it offered before is gone at once', async () => {
    const app = await sleeper()
    await writePlugin(folderOf(app.home), { version: '2.0.0', start: 'demand', tools: ['add'] })
    await app.json('/api/plugins/reload', { json: {} })
    assert.equal(app.tools.find('capable.slow'), undefined)
    const { registered } = await app.asleep()
    assert.deepEqual(registered.map(({ name }) => name), ['add'])
    await app.json('/api/plugins/capable/disable', { json: {} })
    assert.equal(app.tools.find('capable.add'), undefined)
    await app.enable()
    assert.equal((await app.run('add', { a: 2, b: 2 })).text, '4')
  })

  it('that does not start any more fails the call with the reason, and is put into quarantine', async () => {
    const app = await sleeper({ max_crashes: 2, ready_timeout_seconds: 5 })
    await writeFile(join(folderOf(app.home), 'main.mjs'), 'process.exit(7)')
    const { ok, text } = await app.run('add', { a: 1, b: 1 })
    assert.equal(ok, false)
    assert.match(text, /does not run: crashed 2 times in a row; .*exit code 7/)
    assert.equal((await app.get()).state, 'quarantined')
    assert.match((await app.run('add')).text, /does not run/)
  })

  it('stops waiting when the call is cancelled while it wakes', async () => {
    const app = await sleeper()
    await writeFile(join(folderOf(app.home), 'main.mjs'), 'setInterval(() => {}, 1000)')
    const stop = new AbortController()
    const call = app.run('add', {}, stop.signal)
    await until(async () => (await app.get()).state === 'starting')
    stop.abort(new Error('stopped'))
    await assert.rejects(call, /stopped/)
  })

  it('can have neither channels nor hooks nor services, which have to run', async () => {
    const app = await sleeper()
    for (const more of [{ channels: ['chat'] }, { hooks: ['turn.started'] }, { capabilities: ['service'] }]) {
      await writePlugin(folderOf(app.home), { start: 'demand', ...more })
      assert.match((await app.get()).problem!, /start can be demand only/)
    }
  })
})
