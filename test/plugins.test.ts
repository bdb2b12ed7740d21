import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { access, chmod, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { afterEach, describe, it } from 'node:test'
import { promisify } from 'node:util'
import { scripted, toolCall } from '../server/models/providers/scripted.ts'
import type { Plugin, PluginConfig, PluginDetail } from '../shared/plugins.ts'
import { framesOf, type TestApp, testApp } from './support/app.ts'
import { homeWith, QUICK, until, writePlugin } from './support/plugins/hosted.ts'

const opened: TestApp[] = []

/** An app with one plugin in its home. */
async function withPlugin(manifest: Record<string, unknown> = {}, more: Parameters<typeof testApp>[0] = {}) {
  const home = more?.home ?? await homeWith({ plugins: QUICK })
  await writePlugin(join(home, 'plugins', 'capable'), manifest)
  const app = await testApp({ ...more, home, env: { PATH: process.env.PATH!, ...more.env } })
  opened.push(app)
  return { ...app, ...verbs(app) }
}

const verbs = (app: TestApp) => {
  const get = async (name = 'capable') => (await app.json<{ plugin: PluginDetail }>(`/api/plugins/${name}`)).plugin
  return {
    get,
    enable: async (name = 'capable') => {
      const { surface_hash } = await get(name)
      await app.json(`/api/plugins/${name}/enable`, { json: { surface_hash } })
      return await until(async () => {
        const plugin = await get(name)
        return plugin.state === 'ready' && plugin
      }, `${name} to be ready`)
    },
    put: (input: unknown, status = 200) =>
      app.json<PluginConfig & { errors: { pointer: string }[]; error: string }>('/api/plugins/capable/config', {
        method: 'PUT',
        json: input,
        status,
      }),
    tool: (name: string) => until(() => app.tools.find(`capable.${name}`), `the tool ${name}`),
    logs: async () =>
      (await app.json<{ lines: { text: string }[] }>('/api/plugins/capable/logs')).lines.map(({ text }) => text),
  }
}

const call = (signal = new AbortController().signal) => ({
  caller: { kind: 'user' as const, handle: 'owner', id: 'x', name: 'x', scopes: new Set(['admin' as const]) },
  session_id: 's',
  turn_id: 't',
  call_id: 'c',
  signal,
})

describe('a plugin in a folder', { timeout: 240_000 }, () => {
  afterEach(() => Promise.all(opened.splice(0).map((app) => app.close())))

  it('is told to open pages when it is decided about, also when nothing starts or stops by that', async () => {
    const app = await withPlugin()
    const { surface_hash, in_configuration } = await app.get()
    assert.equal(in_configuration, false)
    const stop = new AbortController()
    const timer = setTimeout(() => stop.abort(), 20_000)
    const frames = framesOf(await app.request('/api/stream?topics=resources', { signal: stop.signal }))
    assert.equal((await frames.next()).value?.event, 'hello')
    const next = async () => JSON.parse((await frames.next()).value!.data!) as Record<string, string>
    const news = { v: 1, resource: 'plugin', action: 'changed', id: 'capable' }
    await app.json('/api/plugins/capable/accept', { json: { surface_hash } })
    assert.deepEqual(await next(), news)
    await app.put({ config: { room: 3 } })
    assert.deepEqual(await next(), news)
    await app.json('/api/plugins/capable', { method: 'DELETE' })
    assert.deepEqual(await next(), { ...news, action: 'deleted' })
    clearTimeout(timer)
    stop.abort()
  })

  it('is listed and explained without running it, and runs once what it may do was accepted', async () => {
    const app = await withPlugin({ permissions: { net: ['api.example.org'] } })
    const plugin = await app.get()
    assert.deepEqual([plugin.state, plugin.enabled, plugin.accepted, plugin.origin], ['stopped', false, false, 'home'])
    assert.deepEqual(plugin.surface.permissions.net, ['api.example.org'])
    assert.ok(plugin.surface.tools.includes('add (read)'))
    assert.equal(plugin.restricted, false)
    const refused = await app.json<{ error: string }>('/api/plugins/capable/enable', { json: {}, status: 409 })
    assert.match(refused.error, /surface_hash/)
    await app.json('/api/plugins/capable/enable', { json: { surface_hash: 'another' }, status: 409 })
    const running = await app.enable()
    assert.ok(running.pid)
    const { items } = await app.json<{ items: { action: string; target: string }[] }>('/api/audit')
    assert.ok(items.some(({ action, target }) => action === 'plugin.enabled' && target === 'capable'))
  })

  it('asks again when it wants more, and not when it wants less', async () => {
    const app = await withPlugin({ tools: ['add', 'slow'], permissions: { net: ['a.example', 'b.example'] } })
    await app.enable()
    const folder = join(app.home, 'plugins', 'capable')
    await writePlugin(folder, { version: '1.1.0', tools: ['add'], permissions: { net: ['a.example'] } })
    await app.json('/api/plugins/reload', { json: {} })
    await until(async () => {
      const { state, version } = await app.get()
      return state === 'ready' && version === '1.1.0'
    })
    await writePlugin(folder, { version: '1.2.0', tools: ['add'], permissions: { net: ['a.example', 'evil.example'] } })
    await app.json('/api/plugins/reload', { json: {} })
    const plugin = await app.get()
    assert.deepEqual([plugin.state, plugin.accepted, plugin.wider], ['stopped', false, ['reaches evil.example']])
    assert.match(plugin.problem!, /reaches evil\.example/)
    await app.json('/api/plugins/capable/accept', { json: { surface_hash: plugin.surface_hash } })
    await until(async () => (await app.get()).state === 'ready')
  })

  it('is refused before it runs when its program lies elsewhere or others may change it', async () => {
    const app = await withPlugin()
    const folder = join(app.home, 'plugins', 'capable')
    await rm(join(folder, 'main.mjs'))
    await symlink('/etc/hostname', join(folder, 'main.mjs'))
    const { surface_hash } = await app.get()
    await app.json('/api/plugins/capable/enable', { json: { surface_hash } })
    await until(async () => /lies outside its folder/.test((await app.get()).problem ?? ''))
    await rm(join(folder, 'main.mjs'))
    await writePlugin(folder)
    await writeFile(join(folder, 'open.txt'), 'x')
    await chmod(join(folder, 'open.txt'), 0o666)
    await app.json('/api/plugins/capable/restart', { json: {} })
    await until(async () => /open\.txt can be changed by everybody/.test((await app.get()).problem ?? ''))
    const { checks } = await app.json<{ checks: { name: string; level: string; message: string }[] }>(
      '/api/plugins/doctor',
    )
    assert.match(checks.find(({ name }) => name === 'capable')!.message, /open\.txt/)
    assert.equal((await app.get()).pid, null)
  })

  it('with a manifest that can not be used is shown with the reason', async () => {
    const app = await withPlugin({ entry: undefined })
    await writeFile(join(app.home, 'plugins', 'capable', 'plugin.json'), '{"id":"capable","name":"x","version":"1"}')
    const { problem } = await app.get()
    assert.match(problem!, /either entry or command/)
    await app.json('/api/plugins/capable/enable', { json: {}, status: 409 })
  })

  it('has settings that are checked without running it, and secrets that are never shown', async () => {
    const app = await withPlugin({ secrets: [{ name: 'token', label: 'Token' }] })
    assert.equal((await app.get()).configured, false)
    const refused = await app.put({ config: { room: 'x' } }, 400)
    assert.equal(refused.errors[0]!.pointer, '/config/room')
    await app.put({ config: { rom: 1 } }, 400)
    await app.put({ secrets: { other: 'x' } }, 400)
    const shown = await app.put({ config: { room: 7 }, secrets: { token: 'a-very-secret-token' } })
    assert.equal(shown.config.room, 7)
    assert.deepEqual(shown.secrets, { token: { set: true, from: 'store' } })
    await app.enable()
    const output = await (await app.tool('secret')).run({}, call())
    const { config, secrets } = JSON.parse(output.text) as { config: { room: number }; secrets: { token: string } }
    assert.deepEqual([config.room, secrets], [7, { token: 'a-very-secret-token' }])
    const lines = await app.logs()
    assert.ok(lines.some((line) => line.startsWith('my token is')), `${lines}`)
    assert.ok(!JSON.stringify([lines, await app.get(), shown]).includes('a-very-secret-token'))
  })

  it('checks each setting against its own pattern', async () => {
    const text = (pattern: string) => ({ type: 'string', pattern })
    const properties = { id: text('^[0-9]+$'), root: text('^https://'), version: text('^v[0-9]+$') }
    const app = await withPlugin({ config_schema: { type: 'object', properties } })
    await app.put({ config: { id: '7', root: 'https://example.org', version: 'v1' } })
    const { errors } = await app.put({ config: { id: 'seven', root: 'https://example.org', version: '7' } }, 400)
    assert.deepEqual(errors.map(({ pointer }) => pointer), ['/config/id', '/config/version'])
  })

  it('does not start while a setting is missing, and starts as soon as it is there', async () => {
    const properties = { tools: { type: 'array' }, room: { type: 'integer', title: 'Number of the room' } }
    const app = await withPlugin({
      config_schema: { type: 'object', properties, required: ['room'] },
      secrets: [{ name: 'token', label: 'Bot token' }, { name: 'plain' }],
    })
    const { surface_hash } = await app.get()
    await app.json('/api/plugins/capable/enable', { json: { surface_hash } })
    const words = 'Number of the room (room): is missing; Bot token (token): is missing; plain: is missing'
    assert.equal((await app.get()).problem, `its settings are not complete: ${words}`)
    const { error } = await app.put({ config: {} }, 400)
    assert.equal(error, 'Number of the room (room): is missing')
    await app.put({ config: { room: 1 }, secrets: { token: 'now it is', plain: 'too' } })
    await until(async () => (await app.get()).state === 'ready')
  })

  it('offers its tools in the one list, behind the gate', async () => {
    const model = scripted([toolCall('capable_add', { a: 20, b: 22 }), 'It is 42.'])
    const app = await withPlugin({ tools: ['add', { name: 'reaches', effect: 'write' }] }, { model })
    await app.enable()
    await app.put({ config: { tools: ['add', 'reaches', 'undeclared'] } })
    const tool = await app.tool('reaches')
    // Its own word is "read"; the manifest's, which was accepted, counts more.
    assert.deepEqual([tool.effect, tool.source], ['write', 'plugin:capable'])
    await app.tool('add')
    const answer = await app.ask('s', 'add them')
    assert.equal(answer.text, 'It is 42.')
    assert.equal(app.tools.find('capable.undeclared'), undefined)
    await until(async () =>
      (await app.get()).incidents.some(({ message }) => /does not declare the tool undeclared/.test(message))
    )
    await app.json('/api/plugins/capable/disable', { json: {} })
    assert.equal(app.tools.find('capable.add'), undefined)
  })

  it('is called with a deadline, may stream, fail, and be cancelled', async () => {
    const app = await withPlugin({}, { home: await homeWith({ plugins: { ...QUICK, call_timeout_seconds: 1 } }) })
    await app.enable()
    const run = async (name: string, signal?: AbortSignal) => (await app.tool(name)).run({}, call(signal))
    assert.deepEqual(await run('streams'), { ok: true, text: 'one two three' })
    const failed = await run('fails')
    assert.deepEqual([failed.ok, /not today/.test(failed.text)], [false, true])
    const late = await run('slow')
    assert.match(late.text, /did not answer within 1 s.*not known/)
    const stop = new AbortController()
    const { calls } = (await app.get()).counters
    const stopped = run('slow', stop.signal)
    await until(async () => (await app.get()).counters.calls > calls)
    stop.abort(new Error('stopped'))
    await assert.rejects(stopped, /stopped/)
    assert.match((await run('floods')).text, /more chunks than it had credit for/)
    assert.deepEqual((await run('cancelled')).text.split(',').sort(), ['cancelled', 'timeout', 'too many chunks'])
  })

  it('registers commands, services and a web search, and is refused what its manifest does not declare', async () => {
    const app = await withPlugin({ capabilities: ['command', 'service', 'web_search'] })
    await app.put({ config: { tools: [], kinds: ['command', 'service', 'web_search', 'hook'] } })
    await app.enable()
    const command = await until(() => app.plugins.commands().find(({ name }) => name === 'mine'))
    assert.equal(await command.run('hi', {}), 'you said hi')
    const found = await (await app.tool('mine')).run({ query: 'cats' }, call())
    assert.match(found.text, /cats.*example\.org/)
    await until(async () => (await app.get()).registered.length === 3)
    await until(async () =>
      (await app.get()).incidents.some(({ message }) => /"hook" was not registered/.test(message))
    )
  })

  it('has a small store that outlives it', async () => {
    const app = await withPlugin()
    await app.enable()
    assert.equal((await (await app.tool('counts')).run({}, call())).text, '1')
    await app.json('/api/plugins/capable/restart', { json: {} })
    await until(async () => (await app.get()).state === 'ready')
    assert.equal((await (await app.tool('counts')).run({}, call())).text, '2')
  })

  it('keeps within its permissions on Deno, and what it tried is shown', async () => {
    const app = await withPlugin({ runtime: 'deno', tools: ['reaches', 'add'], permissions: { net: ['localhost'] } })
    const plugin = await app.get()
    if (!plugin.restricted) return assert.equal(plugin.runtime, 'deno')
    await app.enable()
    const result = await (await app.tool('reaches')).run({ url: 'https://evil.example/x', file: '/etc/passwd' }, call())
    assert.ok(!result.text.includes('fulfilled'), result.text)
    await until(async () => {
      const denied = (await app.get()).incidents.filter(({ kind }) => kind === 'denied').map(({ message }) => message)
      return denied.includes('tried to reach evil.example:443: refused') &&
        denied.includes('tried to read /etc/passwd: refused')
    }, 'what was refused')
    assert.ok((await app.get()).memory.length > 0)
  })

  it('may reach further hosts that the owner names in the configuration, without being accepted again', async () => {
    const app = await withPlugin({ runtime: 'deno', channels: ['capable'], permissions: { net: ['localhost'] } })
    const { surface_hash } = await app.get()
    await app.json('/api/plugins/capable/accept', { json: { surface_hash } })
    await app.json('/api/config/channels', {
      method: 'PATCH',
      json: { capable: { allow_hosts: ['chat.example:8443'] } },
    })
    const plugin = await app.get()
    assert.deepEqual(plugin.surface.permissions.net, ['chat.example:8443', 'localhost'])
    assert.deepEqual([plugin.accepted, plugin.wider], [true, []])
    const json = { capable: { allow_hosts: ['not a host'] } }
    await app.json('/api/config/channels', { method: 'PATCH', json, status: 400 })
  })

  it('in quarantine is only switched off when it is switched off, and begins anew when it is switched on', async () => {
    const app = await withPlugin({}, { home: await homeWith({ plugins: { ...QUICK, max_crashes: 2 } }) })
    const main = join(app.home, 'plugins', 'capable', 'main.mjs')
    const good = await readFile(main, 'utf8')
    const { surface_hash } = await app.get()
    const enable = () => app.json('/api/plugins/capable/enable', { json: { surface_hash } })
    const quarantined = () => until(async () => (await app.get()).state === 'quarantined', 'quarantine')
    await writeFile(main, 'process.exit(7)')
    await enable()
    await quarantined()
    assert.match((await app.get()).problem!, /crashed 2 times/)
    await app.json('/api/plugins/capable/disable', { json: {} })
    const { state, enabled, problem } = await app.get()
    assert.deepEqual([state, enabled, problem], ['stopped', false, null])
    await enable()
    await quarantined()
    await writeFile(main, good)
    await enable()
    await until(async () => (await app.get()).state === 'ready', 'it to run again')
  })

  it('is not run unrestricted when that is not allowed', async () => {
    const home = await homeWith({ plugins: { ...QUICK, allow_unrestricted: false } })
    const app = await withPlugin({}, { home })
    const { surface_hash } = await app.get()
    await app.json('/api/plugins/capable/enable', { json: { surface_hash } })
    assert.match((await app.get()).problem!, /allow_unrestricted is off/)

    // Programs that it starts are kept to nothing, whatever its own runtime is.
    await writePlugin(join(home, 'plugins', 'starter'), {
      id: 'starter',
      runtime: 'deno',
      permissions: { run: ['sh'] },
    })
    const { plugin } = await app.json<{ plugin: PluginDetail }>('/api/plugins/starter')
    await app.json('/api/plugins/starter/enable', { json: { surface_hash: plugin.surface_hash } })
    const { plugin: starter } = await app.json<{ plugin: PluginDetail }>('/api/plugins/starter')
    assert.match(starter.problem!, /allow_unrestricted is off/)
  })

  it('of a configured path runs at once, and may be switched off', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'gatehouse-path-'))
    await writePlugin(join(folder, 'capable'))
    const home = await homeWith({ plugins: { ...QUICK, paths: [folder] } })
    const app = await testApp({ home, env: { PATH: process.env.PATH! } })
    opened.push(app)
    const { get } = verbs(app)
    await until(async () => (await get()).state === 'ready')
    await app.json('/api/plugins/capable/disable', { json: {} })
    assert.equal((await get()).state, 'stopped')
    await rm(folder, { recursive: true })
  })

  it('can be looked at by who may read, and is decided about by the owner only', async () => {
    const app = await withPlugin()
    const { secret } = await app.json<{ secret: string }>('/api/keys', { json: { name: 'k', scopes: ['read'] } })
    const { plugins } = await app.json<{ plugins: Plugin[] }>('/api/plugins', { token: secret })
    assert.ok(plugins.some(({ name }) => name === 'capable'))
    const { surface_hash } = await app.get()
    for (
      const [path, init] of [
        ['/enable', { json: { surface_hash } }],
        ['/accept', { json: { surface_hash } }],
        ['/config', { method: 'PUT', json: {} }],
        ['/logs', {}],
        ['', { method: 'DELETE' }],
      ] as const
    ) await app.json(`/api/plugins/capable${path}`, { ...init, token: secret, status: 403 })
    await app.json('/api/plugins/install', { json: { folder: '/tmp' }, token: secret, status: 403 })
    await app.json('/api/plugins/nobody', { status: 404 })
  })
})

describe('installing a plugin', { timeout: 120_000 }, () => {
  afterEach(() => Promise.all(opened.splice(0).map((app) => app.close())))

  it('from a folder copies it; it is not switched on by that, and can be removed with all that was its own', async () => {
    const app = await testApp({ home: await homeWith({ plugins: QUICK }), env: { PATH: process.env.PATH! } })
    opened.push(app)
    const { get, enable } = verbs(app)
    const source = await mkdtemp(join(tmpdir(), 'gatehouse-source-'))
    await writePlugin(source)
    const { plugin } = await app.json<{ plugin: PluginDetail }>('/api/plugins/install', { json: { folder: source } })
    assert.deepEqual([plugin.enabled, plugin.origin, plugin.installed_from], [false, 'home', source])
    await rm(source, { recursive: true })
    const { pid } = await enable()
    await app.json('/api/plugins/capable', { method: 'DELETE' })
    await app.json('/api/plugins/capable', { status: 404 })
    assert.deepEqual(await readdir(join(app.home, 'plugins')), [])
    assert.throws(() => process.kill(pid!, 0))
    await assert.rejects(get())
  })

  it('refuses what is no plugin, and leaves nothing behind', async () => {
    const app = await testApp({ home: await homeWith({ plugins: QUICK }), env: { PATH: process.env.PATH! } })
    opened.push(app)
    const source = await mkdtemp(join(tmpdir(), 'gatehouse-source-'))
    await app.json('/api/plugins/install', { json: { folder: source }, status: 422 })
    await app.json('/api/plugins/install', { json: { folder: 'relative' }, status: 400 })
    await app.json('/api/plugins/install', { json: {}, status: 400 })
    await app.json('/api/plugins/install', { json: { npm: 'a'.repeat(301) }, status: 400 })
    await mkdir(join(source, 'sub'))
    await writePlugin(source, { entry: '../outside.mjs' })
    await app.json('/api/plugins/install', { json: { folder: source }, status: 422 })
    assert.deepEqual(await readdir(join(app.home, 'plugins')), [])
    await rm(source, { recursive: true })
  })

  it('from an archive keeps its integrity, and refuses other bytes than were meant', async () => {
    const app = await testApp({ home: await homeWith({ plugins: QUICK }), env: { PATH: process.env.PATH! } })
    opened.push(app)
    const { archive, integrity, folder } = await packed()
    const wrong = `sha512-${'A'.repeat(86)}==`
    await app.json('/api/plugins/install', { json: { archive, integrity: wrong }, status: 422 })
    const { plugin } = await app.json<{ plugin: PluginDetail }>('/api/plugins/install', {
      json: { archive, integrity },
    })
    assert.deepEqual([plugin.integrity, plugin.installed_from], [integrity, archive])
    await verbs(app).enable()
    await rm(folder, { recursive: true })
  })

  it('from npm pins its version, and runs none of its scripts', async () => {
    const { archive, integrity, folder } = await packed()
    const registry = createServer((request, response) => {
      if (request.url!.endsWith('.tgz')) return void readFile(archive).then((bytes) => response.end(bytes))
      const tarball = `http://127.0.0.1:${(registry.address() as AddressInfo).port}/capable.tgz`
      const version = { name: 'capable', version: '1.0.0', dist: { tarball, integrity } }
      response.setHeader('content-type', 'application/json')
      response.end(
        JSON.stringify({ name: 'capable', 'dist-tags': { latest: '1.0.0' }, versions: { '1.0.0': version } }),
      )
    })
    await new Promise<void>((resolve) => registry.listen(0, '127.0.0.1', resolve))
    const { port } = registry.address() as AddressInfo
    const home = await homeWith({ plugins: QUICK })
    const npm = { npm_config_registry: `http://127.0.0.1:${port}/`, npm_config_cache: join(home, 'npm-cache') }
    const app = await testApp({ home, env: { PATH: process.env.PATH!, ...npm } })
    opened.push(app)
    try {
      const { plugin } = await app.json<{ plugin: PluginDetail }>('/api/plugins/install', { json: { npm: 'capable' } })
      assert.deepEqual([plugin.installed_from, plugin.integrity], ['capable@1.0.0', integrity])
      await assert.rejects(access(join(home, 'script-ran')))
      await verbs(app).enable()
      await app.json('/api/plugins/install', { json: { npm: 'capable@9.9.9' }, status: 502 })
    } finally {
      registry.closeAllConnections()
      registry.close()
      await rm(folder, { recursive: true })
    }
  })
})

/** The capable plugin as `npm pack` makes it, with a script that must not run. */
async function packed(): Promise<{ archive: string; integrity: string; folder: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'gatehouse-pack-'))
  const source = join(folder, 'source')
  await writePlugin(source)
  const scripts = { install: 'touch ../../script-ran', preinstall: 'touch ../../script-ran' }
  await writeFile(join(source, 'package.json'), JSON.stringify({ name: 'capable', version: '1.0.0', scripts }))
  await promisify(execFile)('npm', ['pack', '--ignore-scripts', '--pack-destination', folder], { cwd: source })
  const archive = join(folder, 'capable-1.0.0.tgz')
  const integrity = `sha512-${createHash('sha512').update(await readFile(archive)).digest('base64')}`
  return { archive, integrity, folder }
}
