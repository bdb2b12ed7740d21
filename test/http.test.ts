import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, it } from 'node:test'
import type { Problem } from '../shared/problem.ts'
import { scripted } from '../server/models/providers/scripted.ts'
import { OWNER_TOKEN, type TestApp, testApp } from './support/app.ts'

let app: TestApp
before(async () => {
  app = await testApp({ model: scripted() })
})
after(() => app.close())

describe('a method that a path does not take', () => {
  it('answers 405 and names those that it takes, on every surface', async () => {
    const wrong: [string, string, string][] = [
      ['PUT', '/api/keys', 'GET, POST, HEAD, OPTIONS'],
      ['DELETE', '/api/sessions/x/messages', 'GET, POST, HEAD, OPTIONS'],
      ['GET', '/api/chat', 'POST, OPTIONS'],
      ['POST', '/api/health', 'GET, HEAD, OPTIONS'],
      ['POST', '/api/v1/sessions/x', 'GET, DELETE, HEAD, OPTIONS'],
      ['POST', '/livez', 'GET, HEAD, OPTIONS'],
    ]
    for (const [method, path, allow] of wrong) {
      const response = await app.request(path, { method })
      assert.equal(response.status, 405, `${method} ${path}`)
      assert.equal(response.headers.get('allow'), allow, `${method} ${path}`)
      assert.match(response.headers.get('content-type')!, /^application\/problem\+json/)
      const problem = await response.json() as Problem
      assert.equal(problem.code, 'method_not_allowed')
      assert.match(problem.detail, new RegExp(`does not take ${method}; it takes ${allow}`))
    }
  })

  it('is still 404 where there is nothing, and 401 for a stranger', async () => {
    assert.equal((await app.request('/api/nothing', { method: 'PUT' })).status, 404)
    assert.equal((await app.request('/api/keys', { method: 'PUT', token: null })).status, 401)
  })

  it('is told by OPTIONS beforehand', async () => {
    const options = (path: string, headers = {}) => app.request(path, { method: 'OPTIONS', token: null, headers })
    const known = await options('/api/sessions/x/queue')
    assert.equal(known.status, 204)
    assert.equal(known.headers.get('allow'), 'GET, PUT, HEAD, OPTIONS')
    assert.equal((await options('/api/nothing')).status, 404)
    const preflight = { origin: 'https://app.example', 'access-control-request-method': 'POST' }
    assert.equal((await options('/api/nothing', preflight)).status, 204)
  })
})

describe('a request to /ws that is no handshake', () => {
  it('answers 426 and names the protocol, over a real connection too', async () => {
    for (const at of ['http://localhost', await app.listen()]) {
      const ask = (init: RequestInit) => at === 'http://localhost' ? app.request('/ws', init) : fetch(`${at}/ws`, init)
      const headers = { authorization: `Bearer ${OWNER_TOKEN}` }
      const plain = await ask({ headers })
      assert.equal(plain.status, 426)
      assert.equal(plain.headers.get('upgrade'), 'websocket')
      assert.equal((await plain.json() as Problem).code, 'upgrade_required')
      const wrong = await ask({ headers, method: 'POST' })
      assert.equal(wrong.status, 405)
      assert.equal(wrong.headers.get('allow'), 'GET, HEAD, OPTIONS')
      await wrong.body?.cancel()
    }
  })

  it('answers 401 to a stranger', async () => {
    assert.equal((await app.request('/ws', { token: null })).status, 401)
  })
})

describe('a refused field', () => {
  const refused = async (path: string, init: Parameters<TestApp['request']>[1] = {}) => {
    const response = await app.request(path, init)
    assert.equal(response.status, 400, path)
    return (await response.json() as Problem).detail
  }

  it('is named, and what to send instead is said in our words', async () => {
    await app.ask('words', 'hello')
    const post = (path: string, json: unknown) => refused(path, { method: 'POST', json })
    assert.equal(
      await refused('/api/sessions/words/messages?before=zzz'),
      'before: must look like run-msg-123, as in nextCursor',
    )
    assert.equal(await refused('/api/files?path='), 'path: must not be empty')
    assert.equal(await refused('/api/files'), 'path: is missing')
    assert.equal(await refused('/api/sessions?limit=0'), 'limit: must be at least 1')
    assert.equal(
      await post('/api/sessions', { queue_policy: 'lifo' }),
      'queue_policy: must be fifo, merge or interrupt',
    )
    assert.equal(await post('/api/sessions', { title: 7 }), 'title: must be text')
    assert.equal(await post('/api/sessions', { title: 'x'.repeat(201) }), 'title: must have at most 200 characters')
    assert.equal(await post('/api/sessions', []), 'body: must be an object')
    assert.equal(await post('/api/sessions/words/messages', {}), 'text: is missing')
    const attachments = Array.from({ length: 33 }, () => ({ path: '/x' }))
    assert.equal(
      await post('/api/sessions/words/messages', { text: 'x', attachments }),
      'attachments: must have at most 32 entries',
    )
  })
})

describe('a POST with an Idempotency-Key', () => {
  let next = 0
  const post = (path: string, json: unknown, key = `key-${next}`, more: { token?: string } = {}) =>
    app.request(path, { method: 'POST', json, headers: { 'idempotency-key': key }, ...more })
  beforeEach(() => void next++)

  it('that is sent again acts once and gets the first answer, whatever it makes', async () => {
    await app.ask('branched', 'question')
    const { messages } = await app.json<{ messages: { id: string }[] }>('/api/sessions/branched/messages')
    const acts: [string, unknown][] = [
      ['/api/keys', { name: 'once', scopes: ['read'] }],
      ['/api/sessions', { title: 'once' }],
      ['/api/sessions/branched/branch', { message_id: messages[0]!.id }],
      ['/api/sessions/branched/retry', {}],
      ['/api/v1/sessions', { agent: 'gatehouse' }],
    ]
    for (const [path, json] of acts) {
      next++
      const first = await post(path, json)
      const body = await first.text()
      assert.ok(first.ok, `${path}: ${body}`)
      assert.equal(first.headers.get('idempotent-replayed'), null)
      const second = await post(path, json)
      assert.equal(second.headers.get('idempotent-replayed'), 'true', path)
      assert.deepEqual([second.status, await second.text()], [first.status, body])
      for (const name of ['content-type', 'cache-control', 'location']) {
        assert.equal(second.headers.get(name), first.headers.get(name), `${path} ${name}`)
      }
    }
    const { keys } = await app.json<{ keys: { name: string }[] }>('/api/keys')
    assert.equal(keys.filter(({ name }) => name === 'once').length, 1)
  })

  it('acts once when several arrive together, and tells the others that it runs', async () => {
    const json = { name: 'together', scopes: ['read'] }
    const answers = await Promise.all(Array.from({ length: 5 }, () => post('/api/keys', json)))
    for (const { status } of answers) assert.ok([201, 409].includes(status), String(status))
    const { keys } = await app.json<{ keys: { name: string }[] }>('/api/keys')
    assert.equal(keys.filter(({ name }) => name === 'together').length, 1)
  })

  it('refuses the key for another request, and knows it only from the same principal', async () => {
    const made = await (await post('/api/keys', { name: 'first', scopes: ['admin'] })).json() as { secret: string }
    assert.equal((await post('/api/keys', { name: 'second', scopes: ['admin'] })).status, 422)
    assert.equal((await post('/api/sessions', { name: 'first', scopes: ['admin'] })).status, 422)
    const other = await post('/api/keys', { name: 'first', scopes: ['admin'] }, undefined, { token: made.secret })
    assert.equal(other.headers.get('idempotent-replayed'), null)
    assert.notEqual((await other.json() as { secret: string }).secret, made.secret)
    assert.equal((await post('/api/sessions', {}, 'not a key')).status, 400)
  })

  it('keeps no refusal: the key is free for what is mended elsewhere', async () => {
    assert.equal((await post('/api/sessions/later/retry', {})).status, 404)
    await app.ask('later', 'question')
    assert.equal((await post('/api/sessions/later/retry', {})).status, 202)
  })

  it('has its answer sealed in the database, for a day', async () => {
    const { secret } = await (await post('/api/keys', { name: 'sealed', scopes: ['read'] })).json() as {
      secret: string
    }
    const rows = await app.database.all('select * from kept_answers')
    assert.ok(!JSON.stringify(rows).includes(secret))
    await app.database.run('update kept_answers set at = at - 86400001')
    const again = await post('/api/keys', { name: 'sealed', scopes: ['read'] })
    assert.equal(again.headers.get('idempotent-replayed'), null)
    const [{ n }] = await app.database.all('select count(*) as n from kept_answers') as [{ n: number }]
    assert.equal(n, 1)
  })

  it('that a stop cut off is not sent again blindly', async () => {
    await post('/api/keys', { name: 'cut', scopes: ['read'] })
    await app.database.run('update kept_answers set answer = null')
    const again = await post('/api/keys', { name: 'cut', scopes: ['read'] })
    assert.equal(again.status, 409)
    assert.match((await again.json() as Problem).detail, /Look at what it did/)
  })

  it('reaches the same answer of POST /api/chat, also without a session id', async () => {
    const chat = () => post('/api/chat', { message: 'hello once' })
    const [first, second] = await Promise.all([chat(), chat()])
    const [a, b] = [await first!.json(), await second!.json()] as { session_id: string; response: string }[]
    assert.deepEqual([a!.session_id, a!.response], [b!.session_id, b!.response])
    const { messages } = await app.json<{ messages: unknown[] }>(`/api/sessions/${a!.session_id}/messages`)
    assert.equal(messages.length, 2)
    assert.equal((await post('/api/chat', { message: 'another' })).status, 422)
  })
})
