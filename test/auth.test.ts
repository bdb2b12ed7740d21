import assert from 'node:assert/strict'
import { after, afterEach, before, beforeEach, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Hono } from 'hono'
import type { ApiKey, Browser, BrowserPairing } from '../shared/auth.ts'
import type { Problem } from '../shared/problem.ts'
import { browserName } from '../server/auth/browser-sessions.ts'
import { authenticate } from '../server/auth/middleware.ts'
import { authRoutes } from '../server/auth/routes.ts'
import { type Auth, type AuthOptions, createAuth } from '../server/auth/service.ts'
import { createAuthStore } from '../server/auth/store.ts'
import { type BusEvent, createBus } from '../server/bus/bus.ts'
import { migrate } from '../server/db/migrate.ts'
import { type Database, openDatabase } from '../server/db/open.ts'
import type { AppEnv } from '../server/http/env.ts'
import { createGuard, type Guard } from '../server/http/guard.ts'
import { type MethodsOf, methodsOf } from '../server/http/methods.ts'
import { onError, onNotFound } from '../server/http/on-error.ts'
import { requestId } from '../server/http/request-id.ts'
import type { Log } from '../server/system/log.ts'
import { until } from './support/chat-platform.ts'

const silent: Log = { debug() {}, info() {}, warn() {}, error() {} }
const OWNER = 'a-long-token-of-the-environment-0123456789'
const BASE = 'http://localhost:8765'

type Env = { auth: Auth; guard: Guard; app: Hono<AppEnv>; events: BusEvent[]; clock: { now: number } }
let db: Database
/** The tests of a file share one database, emptied before each. */
const TABLES = ['audit', 'login_links', 'browsers', 'api_keys', 'handles', 'sqlite_sequence']

function anApp(
  options: Partial<AuthOptions> & { proxies?: string[]; hosts?: string[]; origins?: string[] } = {},
) {
  const { proxies = [], hosts = [], origins = [], ...more } = options
  const bus = createBus()
  const events: BusEvent[] = []
  bus.subscribe((event) => void events.push(event))
  const clock = { now: Date.parse('2030-01-01T00:00:00Z') }
  const trustedProxies = () => proxies
  const store = createAuthStore(db.kysely)
  const auth = createAuth({ store, now: () => clock.now, log: silent, bus, token: OWNER, trustedProxies, ...more })
  const methods: MethodsOf = (path) => methodsOf(app)(path)
  const guard = createGuard({
    allowedHosts: () => hosts,
    trustedProxies,
    corsOrigins: () => origins,
    methodsOf: methods,
  })
  const isPublic = ({ path }: { path: string }) => /^\/api\/(auth\/(redeem|login)|health)$/.test(path)
  const app = new Hono<AppEnv>()
    .onError(onError(silent))
    .notFound(onNotFound(methods))
    .use(requestId(), guard.middleware, authenticate(auth, { isPublic }))
    .get('/api/health', (c) => c.json({ status: 'ok' }, 200, { vary: 'accept-encoding' }))
    .post('/api/act', (c) => c.json({ by: c.var.caller.name }))
    .route(
      '/api',
      authRoutes(auth, { publicUrl: () => undefined, about: () => ({ agent_name: 'Gate', version: '1' }) }),
    )
  return { auth, guard, app, events, clock }
}

let env: Env

/** One request to the app of this test. */
async function ask(
  method: string,
  path: string,
  options: { body?: unknown; from?: string; [header: string]: unknown } = {},
) {
  const { body, from = '192.0.2.1', ...headers } = options
  const init: RequestInit = { method, headers: { host: 'localhost:8765', ...headers as Record<string, string> } }
  if (body !== undefined) {
    init.body = JSON.stringify(body)
    init.headers = { ...init.headers, 'content-type': 'application/json' }
  }
  return await env.app.request(BASE + path, init, { remoteAddress: from })
}

const bearer = (token: string) => ({ authorization: `Bearer ${token}` })

async function aKey(input: Record<string, unknown> = {}): Promise<{ key: ApiKey; secret: string }> {
  const response = await ask('POST', '/api/keys', {
    body: { name: 'script', scopes: ['read'], ...input },
    ...bearer(OWNER),
  })
  assert.equal(response.status, 201)
  return await response.json() as { key: ApiKey; secret: string }
}

/** Logs a browser in by a key and returns its Cookie header. */
async function aBrowser(token = OWNER): Promise<string> {
  const response = await ask('POST', '/api/auth/login', { body: { token } })
  assert.equal(response.status, 200)
  return response.headers.get('set-cookie')!.split(';')[0]!
}

const status = async (pending: Promise<Response>) => (await pending).status

before(async () => {
  db = await openDatabase({ url: ':memory:' })
  await migrate(db)
})

beforeEach(async () => {
  await db.batch(TABLES.map((table) => ({ sql: `delete from ${table}` })))
  env = anApp()
})

afterEach(() => env.auth.stop())

after(() => db.close())

describe('credentials', () => {
  it('are needed, and the answer says so as a problem', async () => {
    const response = await ask('GET', '/api/auth/me')
    assert.equal(response.status, 401)
    assert.equal(response.headers.get('www-authenticate'), 'Bearer')
    assert.match(response.headers.get('content-type')!, /^application\/problem\+json/)
    const problem = await response.json() as Problem
    assert.equal(problem.code, 'unauthorized')
    assert.equal(problem.requestId, response.headers.get('x-request-id'))
  })

  it('are taken from every header alike', async () => {
    const { secret } = await aKey()
    for (
      const headers of [
        bearer(secret),
        { authorization: `bearer ${secret}` },
        { 'x-api-key': secret },
        { 'api-key': secret },
        { 'x-openagent-token': secret },
      ]
    ) {
      assert.equal(await status(ask('GET', '/api/auth/me', headers)), 200, JSON.stringify(headers))
      const wrong = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, `${value}x`]))
      assert.equal(await status(ask('GET', '/api/auth/me', wrong)), 401, JSON.stringify(wrong))
    }
  })

  it('that are wrong, expired and revoked are refused in the same words', async () => {
    const expired = await aKey({ expires_at: env.clock.now / 1000 + 60 })
    const revoked = await aKey()
    assert.equal(await status(ask('DELETE', `/api/keys/${revoked.key.id}`, bearer(OWNER))), 200)
    env.clock.now += 61_000
    const bodies = new Set<string>()
    for (const token of ['nonsense', expired.secret, revoked.secret]) {
      const response = await ask('GET', '/api/auth/me', { ...bearer(token), 'x-request-id': 'same' })
      assert.equal(response.status, 401)
      bodies.add(await response.text())
    }
    assert.equal(bodies.size, 1)
  })

  it('of the environment are the owner with all scopes', async () => {
    const me = await (await ask('GET', '/api/auth/me', bearer(OWNER))).json() as Record<string, unknown>
    assert.deepEqual(me, {
      id: 'env',
      kind: 'key',
      name: 'GATEHOUSE_TOKEN',
      handle: 'owner',
      scopes: ['admin'],
      agent_name: 'Gate',
      version: '1',
    })
  })

  it('of a browser do not count as a token, nor a key as a cookie', async () => {
    const { secret } = await aKey()
    const cookie = await aBrowser()
    assert.equal(await status(ask('GET', '/api/auth/me', bearer(cookie.split('=')[1]!))), 401)
    assert.equal(await status(ask('GET', '/api/auth/me', { cookie: `gatehouse_session=${secret}` })), 401)
  })

  it('may be a device certificate', async () => {
    const device = {
      kind: 'user' as const,
      handle: 'bob',
      id: 'device_1',
      name: 'Phone',
      scopes: new Set(['read' as const]),
    }
    env = anApp({
      verifyCertificate: (request) => Promise.resolve(request.headers.has('x-certificate') ? device : undefined),
    })
    const response = await ask('GET', '/api/auth/me', { 'x-certificate': 'good' })
    assert.equal((await response.json() as { handle: string }).handle, 'bob')
    assert.equal(await status(ask('GET', '/api/auth/me')), 401)
  })
})

describe('API keys', () => {
  it('show their secret once, and never in a list', async () => {
    const { key, secret } = await aKey({ name: 'backup', scopes: ['read', 'chat', 'read'] })
    assert.match(secret, /^gk_[0-9A-Za-z]{43}$/)
    assert.equal(key.prefix, secret.slice(0, 8))
    assert.deepEqual(key.scopes, ['read', 'chat'])
    const response = await ask('GET', '/api/keys', bearer(OWNER))
    const text = await response.text()
    assert.ok(!text.includes(secret))
    assert.ok(!text.includes('hash'))
    assert.equal(JSON.parse(text).keys[0].id, key.id)
  })

  it('are stored only as a hash', async () => {
    const { secret } = await aKey()
    const rows = await db.all('select * from api_keys')
    assert.ok(!JSON.stringify(rows).includes(secret.slice(10)))
  })

  it('can do what their scopes say and no more', async () => {
    const { secret } = await aKey({ scopes: ['read', 'chat'] })
    const response = await ask('POST', '/api/keys', { body: { name: 'x', scopes: ['admin'] }, ...bearer(secret) })
    assert.equal(response.status, 403)
    assert.match((await response.json() as Problem).detail, /"admin"/)
    assert.equal(await status(ask('GET', '/api/audit', bearer(secret))), 403)
  })

  it('may belong to another handle, which comes to be', async () => {
    const { secret, key } = await aKey({ handle: ' Anna ' })
    assert.equal(key.handle, 'anna')
    const me = await (await ask('GET', '/api/auth/me', bearer(secret))).json() as { handle: string }
    assert.equal(me.handle, 'anna')
  })

  it('refuse bad input and name the field', async () => {
    for (
      const [field, body] of [
        ['name', { name: '', scopes: ['read'] }],
        ['scopes', { name: 'x', scopes: [] }],
        ['scopes', { name: 'x', scopes: ['root'] }],
        ['scopes', { name: 'x' }],
        ['handle', { name: 'x', scopes: ['read'], handle: '../x' }],
        ['expires_at', { name: 'x', scopes: ['read'], expires_at: 1000 }],
        ['expires_at', { name: 'x', scopes: ['read'], expires_at: 'tomorrow' }],
        ['expires_at', { name: 'x', scopes: ['read'], expires_at: env.clock.now * 2 }],
        ['expires_at', { name: 'x', scopes: ['read'], expires_at: 1e300 }],
      ] as const
    ) {
      const response = await ask('POST', '/api/keys', { body, ...bearer(OWNER) })
      assert.equal(response.status, 400, JSON.stringify(body))
      const problem = await response.json() as Problem
      assert.match(problem.errors![0]!.pointer, new RegExp(`^/${field}`), JSON.stringify(body))
    }
  })

  it('expire at the second that they were given, in either spelling', async () => {
    const at = env.clock.now + 60_000
    for (const expires_at of [at / 1000, new Date(at).toISOString()]) {
      const { key } = await aKey({ expires_at })
      assert.equal(key.expires_at, at / 1000)
      assert.equal(key.expires_at_iso, new Date(at).toISOString())
    }
  })

  it('note their last use at most once a minute', async () => {
    const { secret } = await aKey()
    const lastUse = async () => {
      await env.auth.stop()
      const { keys } = await (await ask('GET', '/api/keys', bearer(OWNER))).json() as { keys: ApiKey[] }
      return keys[0]!.last_used_at! * 1000
    }
    const first = env.clock.now
    await ask('GET', '/api/auth/me', bearer(secret))
    assert.equal(await lastUse(), first)
    env.clock.now += 59_000
    await ask('GET', '/api/auth/me', bearer(secret))
    assert.equal(await lastUse(), first)
    env.clock.now += 2_000
    await ask('GET', '/api/auth/me', bearer(secret))
    assert.equal(await lastUse(), first + 61_000)
  })

  it('stop working at once when revoked, and open connections hear of it', async () => {
    const { key, secret } = await aKey()
    assert.equal(await status(ask('GET', '/api/auth/me', bearer(secret))), 200)
    assert.equal(await status(ask('DELETE', `/api/keys/${key.id}`, bearer(OWNER))), 200)
    assert.equal(await status(ask('GET', '/api/auth/me', bearer(secret))), 401)
    assert.ok(env.events.some((event) => event.type === 'principal_revoked' && event.id === key.id))
    assert.equal(await status(ask('DELETE', `/api/keys/${key.id}`, bearer(OWNER))), 404)
  })

  it('that expire end their open connections, and those of the browsers that they opened', async () => {
    env = anApp({ sweepMs: 10 })
    const { key, secret } = await aKey({ expires_at: env.clock.now / 1000 + 60 })
    await ask('GET', '/api/auth/me', { cookie: await aBrowser(secret) })
    const ended = () => env.events.filter((event) => event.type === 'principal_revoked').map((event) => event.id)
    await sleep(40)
    assert.deepEqual(ended(), [])
    env.clock.now += 60_000
    await until(ended, (ids) => ids.length === 2)
    assert.ok(ended().includes(key.id))
  })

  it('with any scope may ask who they are', async () => {
    const { secret } = await aKey({ scopes: ['chat'] })
    assert.equal(await status(ask('GET', '/api/auth/me', bearer(secret))), 200)
    assert.equal(await status(ask('GET', '/api/browsers', bearer(secret))), 403)
  })

  it('take the browsers along that they opened', async () => {
    const { key, secret } = await aKey()
    const cookie = await aBrowser(secret)
    assert.equal(await status(ask('GET', '/api/auth/me', { cookie })), 200)
    await ask('DELETE', `/api/keys/${key.id}`, bearer(OWNER))
    assert.equal(await status(ask('GET', '/api/auth/me', { cookie })), 401)
  })

  it('revoked by another process are refused within seconds', async () => {
    const { key, secret } = await aKey()
    assert.equal(await status(ask('GET', '/api/auth/me', bearer(secret))), 200)
    await db.run('delete from api_keys where id = ?', [key.id])
    env.clock.now += 11_000
    assert.equal(await status(ask('GET', '/api/auth/me', bearer(secret))), 401)
  })
})

describe('the first start', () => {
  const codeOf = (link: string | undefined) => /^http:\/\/localhost:8765\/login#code=(.+)$/.exec(link ?? '')?.[1] ?? ''

  it('prints a link that makes one browser the owner', async () => {
    const code = codeOf(await env.auth.links.first(BASE + '/'))
    assert.ok(code.length >= 22)
    const response = await ask('POST', '/api/auth/redeem', { body: { code }, 'user-agent': 'X11; Linux Firefox/140.0' })
    assert.equal(response.status, 200)
    assert.deepEqual(await response.json(), { handle: 'owner', scopes: ['admin'] })
    const cookie = response.headers.get('set-cookie')!
    assert.match(cookie, /^gatehouse_session=\w{43}; Path=\/; HttpOnly; SameSite=Strict; Max-Age=7776000$/)
    const me = await (await ask('GET', '/api/auth/me', { cookie: cookie.split(';')[0] })).json() as Record<
      string,
      unknown
    >
    assert.equal(me.name, 'Firefox on Linux')
    assert.equal(await env.auth.links.first(BASE), undefined)
  })

  it('lets one code be used once, also by two browsers at once', async () => {
    const code = codeOf(await env.auth.links.first(BASE))
    const answers = await Promise.all([1, 2, 3].map(() => status(ask('POST', '/api/auth/redeem', { body: { code } }))))
    assert.deepEqual(answers.sort(), [200, 401, 401])
  })

  it('ends a code after 15 minutes, and at the next start', async () => {
    const early = codeOf(await env.auth.links.first(BASE))
    const late = codeOf(await env.auth.links.first(BASE))
    assert.equal(await status(ask('POST', '/api/auth/redeem', { body: { code: early } })), 401)
    env.clock.now += 15 * 60_000
    assert.equal(await status(ask('POST', '/api/auth/redeem', { body: { code: late } })), 401)
  })

  it('is over while the owner has a key with all scopes, so that nobody is locked out for ever', async () => {
    await aKey({ scopes: ['read'] })
    await aKey({ scopes: ['admin'], handle: 'anna' })
    assert.ok(await env.auth.links.first(BASE))
    await aKey({ scopes: ['admin'], expires_at: env.clock.now / 1000 + 60 })
    assert.equal(await env.auth.links.first(BASE), undefined)
    env.clock.now += 60_000
    assert.ok(await env.auth.links.first(BASE))
  })
})

describe('browsers', () => {
  it('get a Secure cookie when a trusted proxy says https, and only then', async () => {
    env = anApp({ proxies: ['10.0.0.0/8'] })
    const login = { body: { token: OWNER }, 'x-forwarded-proto': 'https', 'x-forwarded-for': '203.0.113.7' }
    const trusted = await ask('POST', '/api/auth/login', { ...login, from: '10.0.0.2' })
    assert.match(trusted.headers.get('set-cookie')!, /; Secure$/)
    const stranger = await ask('POST', '/api/auth/login', { ...login, from: '192.0.2.9' })
    assert.doesNotMatch(stranger.headers.get('set-cookie')!, /Secure/)
    const { browsers } = await (await ask('GET', '/api/browsers', bearer(OWNER))).json() as { browsers: Browser[] }
    assert.deepEqual(browsers.map((browser) => browser.address).sort(), ['192.0.2.9', '203.0.113.7'])
  })

  it('may write from our own pages and not from others', async () => {
    const cookie = await aBrowser()
    const act = (headers: Record<string, string>) => status(ask('POST', '/api/act', { cookie, ...headers }))
    assert.equal(await act({ origin: BASE, 'sec-fetch-site': 'same-origin' }), 200)
    assert.equal(await act({ origin: BASE }), 200)
    assert.equal(await act({}), 200, 'a program with a cookie jar')
    assert.equal(await act({ origin: 'http://evil.test' }), 403)
    assert.equal(await act({ origin: 'http://localhost:9999' }), 403)
    assert.equal(await act({ origin: 'https://localhost:8765' }), 403)
    assert.equal(await act({ origin: 'null' }), 403)
    assert.equal(await act({ origin: BASE, 'sec-fetch-site': 'cross-site' }), 403)
    assert.equal(await act({ 'sec-fetch-site': 'same-site' }), 403)
    assert.equal(await act({ origin: 'http://evil.test', authorization: 'Basic eDp5' }), 403)
  })

  it('may write through a trusted proxy that ends TLS', async () => {
    env = anApp({ proxies: ['loopback'], hosts: ['gate.example'] })
    const cookie = await aBrowser()
    const headers = { cookie, host: 'gate.example', origin: 'https://gate.example', 'x-forwarded-proto': 'https' }
    assert.equal(await status(ask('POST', '/api/act', { ...headers, from: '127.0.0.1' })), 200)
    assert.equal(await status(ask('POST', '/api/act', { ...headers, from: '192.0.2.1' })), 403)
  })

  it('can not be logged in by a page of another site', async () => {
    const response = await ask('POST', '/api/auth/login', { body: { token: OWNER }, origin: 'http://evil.test' })
    assert.equal(response.status, 403)
    assert.equal(response.headers.get('set-cookie'), null)
  })

  it('stay logged in with use and are logged out after 90 days without', async () => {
    const used = await aBrowser()
    const unused = await aBrowser()
    const day = 24 * 3600_000
    for (let days = 0; days < 120; days += 60) {
      env.clock.now += 60 * day
      const response = await ask('GET', '/api/auth/me', { cookie: used })
      assert.equal(response.status, 200)
      assert.match(response.headers.get('set-cookie')!, /Max-Age=7776000/)
      await env.auth.stop()
    }
    assert.equal(await status(ask('GET', '/api/auth/me', { cookie: unused })), 401)
  })

  it('do not outlive the key that opened them', async () => {
    const { secret } = await aKey({ expires_at: env.clock.now / 1000 + 3600 })
    const cookie = await aBrowser(secret)
    env.clock.now += 3599_000
    assert.equal(await status(ask('GET', '/api/auth/me', { cookie })), 200)
    env.clock.now += 2_000
    assert.equal(await status(ask('GET', '/api/auth/me', { cookie })), 401)
  })

  it('that the token of the environment opened end when that is changed or taken away', async () => {
    const cookie = await aBrowser()
    const { secret } = await aKey({ scopes: ['admin'] })
    const other = await aBrowser(secret)
    const me = (cookie: string) => status(ask('GET', '/api/auth/me', { cookie }))
    assert.deepEqual([await me(cookie), await me(other)], [200, 200])
    for (const token of [OWNER, `${OWNER}-changed`, undefined]) {
      env.auth.stop()
      env = anApp({ token })
      assert.deepEqual([await me(cookie), await me(other)], [token === OWNER ? 200 : 401, 200])
    }
  })

  it('are listed with the current one marked, and log out one or all others', async () => {
    const [mine, second, third] = [await aBrowser(), await aBrowser(), await aBrowser()]
    const list = async () =>
      (await (await ask('GET', '/api/browsers', { cookie: mine })).json() as { browsers: Browser[] }).browsers
    const before = await list()
    assert.equal(before.length, 3)
    assert.equal(before.filter((browser) => browser.current).length, 1)
    const other = before.find((browser) => !browser.current)!
    assert.equal(await status(ask('DELETE', `/api/browsers/${other.id}`, { cookie: mine })), 200)
    const removed = await ask('DELETE', '/api/browsers/others', { cookie: mine })
    assert.deepEqual(await removed.json(), { ok: true, removed: 1 })
    assert.deepEqual((await list()).map((browser) => browser.current), [true])
    for (const cookie of [second, third]) assert.equal(await status(ask('GET', '/api/auth/me', { cookie })), 401)
    const logout = await ask('POST', '/api/auth/logout', { cookie: mine })
    assert.match(logout.headers.get('set-cookie')!, /^gatehouse_session=; .*Max-Age=0/)
    assert.equal(await status(ask('GET', '/api/auth/me', { cookie: mine })), 401)
  })

  it('of an owner can not be logged out by a key that may only read', async () => {
    await aBrowser()
    const { secret } = await aKey()
    const { browsers } = await (await ask('GET', '/api/browsers', bearer(secret))).json() as { browsers: Browser[] }
    assert.equal(await status(ask('DELETE', `/api/browsers/${browsers[0]!.id}`, bearer(secret))), 404)
    assert.deepEqual(await (await ask('DELETE', '/api/browsers/others', bearer(secret))).json(), {
      ok: true,
      removed: 0,
    })
  })

  it('of another handle are not seen without admin', async () => {
    await aBrowser()
    const { secret } = await aKey({ handle: 'anna' })
    assert.deepEqual(await (await ask('GET', '/api/browsers', bearer(secret))).json(), { browsers: [] })
  })

  it('are named after what their user sees', () => {
    const chrome =
      'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36'
    assert.equal(browserName(chrome), 'Chrome on Windows')
    assert.equal(browserName(chrome + ' Edg/140.0'), 'Edge on Windows')
    assert.equal(
      browserName('Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) Version/19 Safari/604.1'),
      'Safari on iPhone',
    )
    assert.equal(browserName(''), 'A browser')
  })
})

describe('pairing a second browser', () => {
  async function aPairing(body: Record<string, unknown> = {}) {
    const response = await ask('POST', '/api/pairings/browser', { body, ...bearer(OWNER) })
    assert.equal(response.status, 201)
    return await response.json() as BrowserPairing
  }

  it('gives a link, a code to type and a picture', async () => {
    const pairing = await aPairing()
    assert.match(pairing.code, /^[0-9A-Z]{4}-[0-9A-Z]{4}$/)
    assert.match(pairing.url, /^http:\/\/localhost:8765\/login#code=\w{22}$/)
    assert.match(pairing.qr, /^<svg /)
    assert.equal(pairing.expires_at * 1000, env.clock.now + 600_000)
  })

  it('works by link or by code, carelessly typed, and once', async () => {
    const { code, url } = await aPairing({ scopes: ['read'] })
    const typed = ` ${code.toLowerCase().replace('-', ' ').replaceAll('0', 'o').replaceAll('1', 'l')}`
    const response = await ask('POST', '/api/auth/redeem', { body: { code: typed } })
    assert.deepEqual(await response.json(), { handle: 'owner', scopes: ['read'] })
    const link = url.split('code=')[1]
    assert.equal(await status(ask('POST', '/api/auth/redeem', { body: { code: link } })), 401)
  })

  it('ends after ten minutes', async () => {
    const { code } = await aPairing()
    env.clock.now += 600_000
    assert.equal(await status(ask('POST', '/api/auth/redeem', { body: { code } })), 401)
  })

  it('is for administrators', async () => {
    const { secret } = await aKey({ scopes: ['chat'] })
    assert.equal(await status(ask('POST', '/api/pairings/browser', { body: {}, ...bearer(secret) })), 403)
  })
})

describe('wrong tries', () => {
  const wrong = (from: string, token = 'wrong') => ask('GET', '/api/auth/me', { ...bearer(token), from })

  it('are answered 429 with Retry-After from the eleventh of an address on, for a minute', async () => {
    for (let i = 0; i < 10; i++) assert.equal(await status(wrong('198.51.100.1')), 401)
    const response = await wrong('198.51.100.1')
    assert.equal(response.status, 429)
    assert.equal(response.headers.get('retry-after'), '60')
    assert.equal(await status(wrong('198.51.100.2')), 401)
    env.clock.now += 60_000
    assert.equal(await status(wrong('198.51.100.1')), 401)
  })

  it('do not lock out a right key, and a right key does not clear them', async () => {
    for (let i = 0; i < 11; i++) await wrong('198.51.100.1')
    assert.equal(await status(wrong('198.51.100.1', OWNER)), 200)
    assert.equal(await status(wrong('198.51.100.1')), 429)
  })

  it('make a token that could be guessed wait, except from this machine itself', async () => {
    env = anApp({ token: 'short' })
    for (const from of ['198.51.100.1', '127.0.0.1']) for (let i = 0; i < 101; i++) await wrong(from)
    assert.equal(await status(wrong('198.51.100.1', 'short')), 429)
    assert.equal(await status(wrong('127.0.0.1')), 429)
    assert.equal(await status(wrong('127.0.0.1', 'short')), 200)
  })

  it('of codes block short codes and not the login by key', async () => {
    const { code, url } = await env.auth.links.pair(
      { kind: 'key', handle: 'owner', id: 'x', name: 'x', scopes: new Set(['admin']) },
      BASE,
      {},
    )
    for (let i = 0; i < 10; i++) await ask('POST', '/api/auth/redeem', { body: { code: 'AAAA-AAAA' } })
    assert.equal(await status(ask('POST', '/api/auth/redeem', { body: { code } })), 429)
    assert.equal(await status(ask('POST', '/api/auth/login', { body: { token: OWNER } })), 200)
    assert.equal(await status(ask('POST', '/api/auth/redeem', { body: { code: url.split('code=')[1] } })), 200)
  })

  it('count one IPv6 network as one address', async () => {
    for (let i = 0; i < 10; i++) await wrong(`2001:db8:1:2::${i + 1}`)
    assert.equal(await status(wrong('2001:db8:1:2:ffff::1')), 429)
    assert.equal(await status(wrong('2001:db8:1:3::1')), 401)
  })

  it('of an outdated cookie are no guesses', async () => {
    const cookie = `gatehouse_session=${'x'.repeat(43)}`
    for (let i = 0; i < 20; i++) assert.equal(await status(ask('GET', '/api/auth/me', { cookie })), 401)
  })
})

describe('the audit log', () => {
  type Page = {
    items: { id: number; action: string; actor_name: string; address: string }[]
    nextCursor: string | null
  }
  const audit = async (query = '') => await (await ask('GET', `/api/audit${query}`, bearer(OWNER))).json() as Page

  it('tells who did what, without a secret', async () => {
    const { key, secret } = await aKey()
    await aBrowser(secret)
    await ask('GET', '/api/auth/me', bearer('wrong-secret-value'))
    await ask('DELETE', `/api/keys/${key.id}`, bearer(OWNER))
    const { items } = await audit()
    assert.deepEqual(items.map((item) => item.action), [
      'key.removed',
      'login.failed',
      'login.succeeded',
      'key.created',
    ])
    assert.equal(items[0]!.actor_name, 'GATEHOUSE_TOKEN')
    assert.equal(items[0]!.address, '192.0.2.1')
    const text = JSON.stringify(items)
    for (const hidden of [secret, OWNER, 'wrong-secret-value']) assert.ok(!text.includes(hidden))
  })

  it('pages by cursor and selects by action', async () => {
    for (let i = 0; i < 5; i++) await aKey()
    await aBrowser()
    const seen: number[] = []
    for (let cursor: string | null = ''; cursor !== null;) {
      const page: Page = await audit(`?limit=2${cursor && `&cursor=${cursor}`}`)
      seen.push(...page.items.map((item) => item.id))
      cursor = page.nextCursor
    }
    assert.deepEqual(seen, [6, 5, 4, 3, 2, 1])
    assert.equal((await audit('?action=key.')).items.length, 5)
    assert.equal((await audit('?action=login.succeeded')).items.length, 1)
    assert.equal(await status(ask('GET', '/api/audit?cursor=nope', bearer(OWNER))), 400)
    assert.equal(await status(ask('GET', '/api/audit?limit=9999', bearer(OWNER))), 400)
  })
})

describe('the guard', () => {
  const health = (headers: Record<string, string>) => ask('GET', '/api/health', headers)

  it('answers to loopback names, addresses and configured names', async () => {
    env = anApp({ hosts: ['gate.example', 'https://public.example/base', '*.ts.net'] })
    for (
      const host of [
        'localhost',
        'LOCALHOST:1',
        'a.localhost',
        '127.0.0.1:8765',
        '[::1]:8765',
        '192.168.1.9',
        'gate.example:80',
        'public.example',
        'pi.ts.net',
      ]
    ) {
      assert.equal(await status(health({ host })), 200, host)
    }
  })

  it('refuses a name that a stranger pointed at this address', async () => {
    for (const host of ['evil.test', 'localhost.evil.test', '127.0.0.1.evil.test', 'evil.test:8765']) {
      const response = await health({ host })
      assert.equal(response.status, 421, host)
      assert.equal((await response.json() as Problem).code, 'misdirected')
      assert.equal(response.headers.get('x-content-type-options'), 'nosniff')
    }
  })

  it('puts security headers on every answer, errors included', async () => {
    for (
      const response of [
        await health({}),
        await ask('GET', '/api/auth/me'),
        await ask('GET', '/api/none', bearer(OWNER)),
      ]
    ) {
      assert.equal(response.headers.get('x-content-type-options'), 'nosniff')
      assert.equal(response.headers.get('x-frame-options'), 'DENY')
      assert.equal(response.headers.get('referrer-policy'), 'no-referrer')
      assert.equal(response.headers.get('cross-origin-resource-policy'), 'same-origin')
      assert.equal(response.headers.get('access-control-allow-origin'), null)
    }
  })

  it('lets pages elsewhere use a token, never a cookie', async () => {
    const response = await ask('GET', '/api/auth/me', { ...bearer(OWNER), origin: 'https://app.example' })
    assert.equal(response.headers.get('access-control-allow-origin'), '*')
    assert.equal(response.headers.get('access-control-allow-credentials'), null)
    assert.match(
      response.headers.get('access-control-expose-headers')!,
      /x-request-id.*retry-after.*etag.*x-ratelimit-/,
    )
  })

  it('answers a preflight without a credential and allows what the OpenAI clients send', async () => {
    const response = await ask('OPTIONS', '/api/keys', {
      origin: 'https://app.example',
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'authorization, x-stainless-os, x-evil',
    })
    assert.equal(response.status, 204)
    assert.match(response.headers.get('access-control-allow-methods')!, /PATCH/)
    const allowed = response.headers.get('access-control-allow-headers')!
    assert.match(allowed, /authorization.*if-match.*x-stainless-os/)
    assert.ok(!allowed.includes('x-evil'))
  })

  it('answers only configured origins when there are some', async () => {
    env = anApp({ origins: ['https://app.example'] })
    const origin = (name: string) => health({ origin: name })
    const allowed = await origin('https://app.example')
    assert.equal(allowed.headers.get('access-control-allow-origin'), 'https://app.example')
    assert.equal(allowed.headers.get('vary'), 'accept-encoding, Origin')
    assert.equal((await origin('https://evil.test')).headers.get('access-control-allow-origin'), null)
  })

  it('takes a sane request id and makes one otherwise', async () => {
    assert.equal((await health({ 'x-request-id': 'abc-123' })).headers.get('x-request-id'), 'abc-123')
    for (const bad of ['has space', 'x'.repeat(200), 'semi;colon']) {
      assert.match((await health({ 'x-request-id': bad })).headers.get('x-request-id')!, /^[0-9a-f-]{36}$/)
    }
  })

  it('lets a WebSocket in from our pages and programs, not from other sites', () => {
    const upgrade = (headers: Record<string, string>) =>
      env.guard.checkUpgrade(
        new Request(`${BASE}/ws`, { headers: { host: 'localhost:8765', ...headers } }),
        { remoteAddress: '127.0.0.1' },
      )?.status
    assert.equal(upgrade({ cookie: 'gatehouse_session=x', origin: BASE }), undefined)
    assert.equal(upgrade({ cookie: 'gatehouse_session=x' }), undefined)
    assert.equal(upgrade({ cookie: 'gatehouse_session=x', origin: 'http://evil.test' }), 403)
    assert.equal(upgrade({ origin: 'http://evil.test' }), 403)
    assert.equal(upgrade({ origin: 'tauri://localhost', ...bearer('x') }), undefined)
    assert.equal(upgrade({ host: 'evil.test', ...bearer('x') }), 421)
  })
})
