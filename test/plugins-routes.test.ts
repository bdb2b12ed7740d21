import assert from 'node:assert/strict'
import { Buffer } from 'node:buffer'
import { createHmac } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import process from 'node:process'
import { afterEach, describe, it } from 'node:test'
import { pathToFileURL } from 'node:url'
import type { PluginDetail } from '../shared/plugins.ts'
import { type TestApp, testApp } from './support/app.ts'
import { homeWith, program, QUICK, until } from './support/plugins/hosted.ts'

const opened: TestApp[] = []
const open = { auth: 'plugin' as const }
const ROUTES = [
  { path: 'hook', methods: ['GET', 'POST'], ...open },
  { path: 'own', match: 'prefix', auth: 'gateway' },
  { path: 'echo', ...open },
  { path: 'nothing', ...open },
  { path: 'slow', ...open },
  { path: 'bad', match: 'prefix', ...open },
]

/** Of the routes that the program offers, those that are taken. */
const REGISTERED = 15

async function writeAnswering(home: string, manifest: Record<string, unknown> = {}): Promise<void> {
  const folder = join(home, 'plugins', 'answering')
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, 'main.ts'), `import '${pathToFileURL(program('answering.ts'))}'\n`)
  const about = { id: 'answering', name: 'Answering', version: '1.0.0', entry: 'main.ts', runtime: 'node' }
  await writeFile(join(folder, 'plugin.json'), JSON.stringify({ ...about, routes: ROUTES, ...manifest }))
}

/** The app with the plugin that answers requests, switched on. */
async function withAnswering(settings: Record<string, unknown> = {}, server: Record<string, unknown> = {}) {
  const home = await homeWith({ plugins: { ...QUICK, ...settings }, server })
  await writeAnswering(home)
  const app = await testApp({ home, env: { PATH: process.env.PATH! } })
  opened.push(app)
  const get = async () => (await app.json<{ plugin: PluginDetail }>('/api/plugins/answering')).plugin
  const running = () => until(async () => (await get()).registered.length === REGISTERED, 'its routes', 30_000)
  const { surface_hash } = await get()
  await app.json('/api/plugins/answering/enable', { json: { surface_hash } })
  await running()
  /** As a stranger, unless a token says otherwise. */
  const ask = (path: string, init: Parameters<TestApp['request']>[1] = {}) =>
    app.request(`/hooks/plugins/answering/${path}`, { token: null, ...init })
  return { ...app, get, running, ask }
}

const sign = (body: string | Uint8Array): string => createHmac('sha256', 'shared').update(body).digest('hex')

const post = (body: string | Uint8Array<ArrayBuffer>, headers: Record<string, string> = {}) => ({
  method: 'POST',
  body,
  headers: { 'x-signature': sign(body), ...headers },
})

describe('routes of plugins', { timeout: 240_000 }, () => {
  afterEach(() => Promise.all(opened.splice(0).map((app) => app.close())))

  it('answer strangers where the manifest says that the plugin checks them, and get every byte that was sent', async () => {
    const app = await withAnswering()
    const text = '{"a": "ä\\u0000" ,\r\n"b":1}\ufeff'
    assert.equal((await app.ask('hook', post(text))).status, 202)
    const bytes = new Uint8Array(Array.from({ length: 300 }, (_, i) => i % 256))
    assert.equal((await app.ask('hook', post(bytes))).status, 202)
    assert.equal((await app.ask('hook', { ...post(text), headers: { 'x-signature': 'wrong' } })).status, 401)
    for (const body of [text, bytes, '\ufeffBOM', '"'.repeat(500_000)]) {
      const echoed = new Uint8Array(await (await app.ask('echo', { method: 'POST', body })).arrayBuffer())
      assert.ok(Buffer.from(body as string).equals(Buffer.from(echoed)), 'the same bytes come back')
    }
    const challenge = await app.ask('hook?hub.mode=subscribe&challenge=1158201444')
    assert.equal(await challenge.text(), '1158201444')
    assert.equal((await app.ask('hook?challenge=x', { method: 'HEAD' })).status, 200)
    assert.equal((await app.ask('nothing')).status, 204)
  })

  it('are only for the owner where the manifest says so, and never get what lets somebody in', async () => {
    const app = await withAnswering()
    type Seen = { path: string; query: string; headers: Record<string, string>; context: Record<string, string> }
    const seen = await app.json<Seen>('/hooks/plugins/answering/own/deep/er?a=%20b', {
      method: 'PUT',
      headers: { 'x-mine': 'yes', cookie: 'gatehouse_session=x', 'x-api-key': 'another' },
      body: 'x',
    })
    assert.deepEqual([seen.path, seen.query, seen.headers['x-mine']], ['own/deep/er', 'a=%20b', 'yes'])
    assert.equal(seen.context.handle, 'owner')
    for (const name of ['authorization', 'cookie', 'x-api-key']) assert.equal(seen.headers[name], undefined, name)
    const { secret } = await app.json<{ secret: string }>('/api/keys', {
      json: { name: 'k', scopes: ['read', 'chat'] },
    })
    assert.equal((await app.ask('own', { token: secret })).status, 403)
    assert.equal((await app.ask('own/opened')).status, 404)
  })

  it('tell a stranger nothing of what is there: another plugin, another path and the owner’s routes are the same', async () => {
    const app = await withAnswering()
    const problems = await Promise.all(
      ['answering/own', 'answering/none', 'other/own', 'answering', 'answering/hook/below', 'answering/%2e%2e/hook']
        .map(async (path) => {
          const response = await app.request(`/hooks/plugins/${path}`, { token: null })
          const { detail, code } = await response.json() as Record<string, string>
          return [response.status, code, detail!.replace(/ \/\S+/, '')]
        }),
    )
    assert.deepEqual(problems, problems.map(() => [404, 'not_found', 'There is no GET']))
    const wrong = await app.ask('own', { token: 'gk_wrong' })
    assert.equal(wrong.status, 404)
    const method = await app.ask('hook', { method: 'DELETE' })
    assert.deepEqual([method.status, method.headers.get('allow')], [405, 'GET, POST'])
  })

  it('take no notice of a token, which is the plugin’s to judge, nor of the site that a request comes from', async () => {
    const app = await withAnswering()
    for (let i = 0; i < 30; i++) {
      const response = await app.ask(
        'hook',
        post('x', { authorization: 'Bearer of-the-platform', origin: 'https://x.example' }),
      )
      assert.equal(response.status, 202)
    }
    assert.equal((await app.request('/api/auth/me')).status, 200, 'the sender is not locked out by its own token')
  })

  it('can’t reach beyond their answer: no cookie, no policy, no script of this origin', async () => {
    const app = await withAnswering()
    const response = await app.ask('bad/headers')
    const headers = Object.fromEntries(response.headers)
    assert.equal(response.status, 200)
    assert.match(await response.text(), /<script>/)
    for (
      const name of [
        'set-cookie',
        'access-control-allow-origin',
        'access-control-allow-credentials',
        'clear-site-data',
        'transfer-encoding',
        'x-accel-redirect',
        'service-worker-allowed',
        'etag',
        'location',
      ]
    ) assert.equal(headers[name], undefined, name)
    assert.equal(headers['content-security-policy'], "sandbox; default-src 'none'")
    assert.equal(headers['x-content-type-options'], 'nosniff')
    assert.equal(headers['cache-control'], 'no-store')
    assert.equal(headers['content-type'], 'text/html')
    assert.equal(headers['x-hook-secret'], 'echoed')
    assert.match((await app.ask('bad/script')).headers.get('content-type')!, /^text\/plain/)
  })

  it('answer 502, 503 or 504 when the plugin does not do its part, and the owner reads why', async () => {
    const app = await withAnswering({ request_timeout_seconds: 1 })
    const status = async (path: string) => (await app.ask(`bad/${path}`)).status
    for (const path of ['status', 'text', 'body']) assert.equal(await status(path), 502, path)
    const failed = await app.ask('bad/fails')
    assert.equal(failed.status, 502)
    assert.doesNotMatch(await failed.text(), /secret of the plugin/)
    assert.deepEqual(await Promise.all([status('hangs'), status('huge')]), [504, 502])
    const died = await app.ask('bad/dies')
    assert.equal(died.status, 503)
    assert.ok(Number(died.headers.get('retry-after')) >= 1)
    const { lines } = await app.json<{ lines: { text: string }[] }>('/api/plugins/answering/logs')
    const text = lines.map((line) => line.text).join('\n')
    assert.match(text, /GET \/answering\/bad\/status from \S*: 502 bad_answer: status must be at least 200/)
    assert.match(text, /secret of the plugin/)
    await app.running()
    // Such a line is dropped, and nothing more of it is read for a while.
    assert.match(String(await status('line')), /^50[34]$/)
    await until(async () => (await app.ask('hook', post('again'))).status === 202, 'it to be there again', 30_000)
  })

  it('let a sender come again while the plugin is not running, and forget the address when it is switched off', async () => {
    const app = await withAnswering({ restart_delay_ms: 30_000, max_crashes: 2 })
    assert.equal((await app.ask('bad/dies')).status, 503)
    const response = await app.ask('hook', post('x'))
    assert.deepEqual([response.status, response.headers.get('retry-after')], [503, '10'])
    await app.json('/api/plugins/answering/disable', { json: {} })
    assert.equal((await app.ask('hook', post('x'))).status, 404)
  })

  it('refuse a body that is too large, and a flood, while everybody else is served', async () => {
    const app = await withAnswering({ requests_per_second: 20, request_timeout_seconds: 5 })
    assert.equal((await app.ask('echo', { method: 'POST', body: 'x'.repeat(512 * 1024 + 1) })).status, 413)
    const answers = await Promise.all(Array.from({ length: 300 }, () => app.ask('slow')))
    const refused = answers.filter(({ status }) => status === 429 || status === 503)
    const served = answers.filter(({ status }) => status === 200)
    assert.equal(refused.length + served.length, 300)
    assert.ok(served.length >= 10 && served.length <= 60, `${served.length} were served`)
    assert.ok(refused.every(({ headers }) => Number(headers.get('retry-after')) >= 1))
    const most = await Promise.all(served.map(async (answer) => (await answer.json() as { most: number }).most))
    assert.ok(Math.max(...most) <= 32, `${Math.max(...most)} at once`)
    assert.equal((await app.request('/api/auth/me')).status, 200)
    await until(async () => (await app.ask('hook', post('x'))).status === 202, 'the flood to be forgotten')
  })

  it('are known to the plugin by their public address, and it hears when that changes', async () => {
    const app = await withAnswering({}, { public_url: 'https://gate.example/behind/' })
    const told = async () => await (await app.ask('hook', post('x'))).json() as { own: string; address: string }
    const own = 'https://gate.example/behind/hooks/plugins/answering'
    const { own: first, address } = await told()
    assert.deepEqual([first, address], [own, `${own}/hook`])
    assert.equal(
      (await app.ask('hook', { ...post('x'), headers: { 'x-signature': sign('x'), host: 'gate.example' } })).status,
      202,
    )
    assert.equal((await app.ask('hook', { headers: { host: 'evil.example' } })).status, 421)
    await app.json('/api/config/server', { method: 'PATCH', json: { public_url: 'https://new.example' } })
    await until(async () => {
      const response = await app.ask('hook', post('x'))
      return response.status === 202 && (await response.json() as { own: string }).own.includes('new.example')
    }, 'the new address')
  })

  it('are part of what the owner accepts; one that is not declared, or stands in the way of another, is refused', async () => {
    const app = await withAnswering()
    const { surface, registered, incidents } = await until(async () => {
      const plugin = await app.get()
      return plugin.incidents.filter(({ kind }) => kind === 'refused').length >= 3 && plugin
    }, 'three to be refused')
    assert.deepEqual(surface.routes.find(({ path }) => path === 'hook'), {
      path: 'hook',
      match: 'exact',
      methods: ['GET', 'POST'],
      auth: 'plugin',
    })
    const names = registered.map(({ name }) => name)
    for (const name of ['undeclared', 'opened', 'again']) assert.ok(!names.includes(name), name)
    const reasons = incidents.map(({ message }) => message).join('\n')
    assert.match(reasons, /does not declare the http_route undeclared/)
    assert.match(reasons, /does not declare the http_route opened/)
    assert.match(reasons, /stand in the way of the http_route hook/)

    await writeAnswering(app.home, { version: '1.1.0', routes: ROUTES.slice(1, 3) })
    await app.json('/api/plugins/reload', { json: {} })
    assert.deepEqual((await app.get()).wider, [])
    await writeAnswering(app.home, {
      routes: [...ROUTES, { path: 'more', match: 'prefix', methods: ['POST'], ...open }],
    })
    await app.json('/api/plugins/reload', { json: {} })
    const wider = await app.get()
    assert.deepEqual([wider.accepted, wider.state], [false, 'stopped'])
    assert.deepEqual(wider.wider, [
      'receives POST from anybody on the internet at /hooks/plugins/…/more and below',
    ])
    assert.equal((await app.ask('hook', post('x'))).status, 404)
  })

  it('that overlap, or are no plain path, make the manifest invalid', async () => {
    const app = await withAnswering()
    for (
      const routes of [
        [{ path: 'a', match: 'prefix', ...open }, { path: 'a/b', auth: 'gateway' }],
        [{ path: 'a', ...open }, { path: 'a', methods: ['POST'], ...open }],
        [{ path: '../api', ...open }],
        [{ path: 'a/./b', ...open }],
        [{ path: '/a', ...open }],
        [{ path: 'a%2fb', ...open }],
        [{ path: 'a' }],
        [{ path: 'a', methods: [], ...open }],
      ]
    ) {
      await writeAnswering(app.home, { routes })
      const { problem } = await app.get()
      assert.match(problem ?? '', /routes/, JSON.stringify(routes))
    }
  })
})
