import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import type { Problem } from '../shared/problem.ts'
import { scripted } from '../server/models/providers/scripted.ts'
import { type TestApp, testApp } from './support/app.ts'

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
