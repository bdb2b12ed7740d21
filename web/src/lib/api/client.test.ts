import { Hono } from 'hono'
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { explain, fieldError } from '../errors.ts'
import { api, ApiError, type Fetch, onSignedOut } from './client.ts'

/** A small server that answers as ours does. */
const server = new Hono()
  .get('/ok', (c) => c.json({ q: c.req.query(), ifMatch: c.req.header('if-match') ?? null }, 200, { etag: '"7"' }))
  .post('/echo', async (c) => c.json({ type: c.req.header('content-type'), body: await c.req.json() }))
  .delete('/gone', (c) => c.body(null, 204))
  .get('/signed-out', (c) => c.json({ detail: 'Sign in first', code: 'unauthorized' }, 401))
  .get('/busy', (c) => c.json({ detail: 'Too many', code: 'rate_limited' }, 429, { 'retry-after': '7' }))
  .get('/broken', (c) => c.text('<html>bad gateway</html>', 502, { 'x-request-id': 'r-1' }))
  .post('/refused', (c) =>
    c.json({
      detail: 'name: must not be empty',
      code: 'invalid_input',
      requestId: 'r-2',
      errors: [{ pointer: '/name', message: 'must not be empty' }],
    }, 400))

const fetchOf = ((input: string, init?: RequestInit) => server.request(input, init)) as Fetch
const client = api(fetchOf)
const refusal = async (asked: Promise<unknown>): Promise<ApiError> => {
  const error = await asked.then(() => undefined, (reason: unknown) => reason)
  assert.ok(error instanceof ApiError, `${error}`)
  return error
}

describe('the API client', () => {
  it('leaves empty parts out of the query and sends the tag that it is given', async () => {
    const answer = await client.get('/ok', { query: { a: 1, b: '', c: null, d: undefined }, ifMatch: '"7"' })
    assert.deepEqual(answer, { q: { a: '1' }, ifMatch: '"7"' })
  })

  it('reads the tag of an answer', async () => {
    assert.equal((await client.getTagged('/ok')).etag, '"7"')
  })

  it('sends JSON and takes an answer without a body', async () => {
    const echoed = await client.post<{ type: string; body: unknown }>('/echo', { name: 'Ä' })
    assert.match(echoed.type, /^application\/json/)
    assert.deepEqual(echoed.body, { name: 'Ä' })
    assert.equal(await client.delete('/gone'), undefined)
  })

  it('a refused form names its fields, in the message and beside the field', async () => {
    const error = await refusal(client.post('/refused'))
    assert.equal(error.code, 'invalid_input')
    assert.equal(fieldError(error, 'name'), 'must not be empty')
    assert.equal(fieldError(error, 'other'), undefined)
    assert.deepEqual(explain(error).fields, [])
    assert.equal(explain(error).requestId, undefined)
  })

  it('an answer that is no JSON is an error with its status and request id', async () => {
    const error = await refusal(client.get('/broken'))
    assert.equal(error.status, 502)
    assert.equal(explain(error).requestId, 'r-1')
  })

  it('a limit says how long to wait', async () => {
    assert.equal(explain(await refusal(client.get('/busy'))).mend, 'Try again in 7 s.')
  })

  it('a 401 leads to the login page, unless the caller handles it', async () => {
    let times = 0
    onSignedOut(() => times++)
    await refusal(client.get('/signed-out', { stay: true }))
    assert.equal(times, 0)
    await refusal(client.get('/signed-out'))
    assert.equal(times, 1)
    onSignedOut(() => {})
  })

  it('a server that is away and one that is silent are told apart', async () => {
    const away = api(() => Promise.reject(new TypeError('fetch failed')))
    assert.equal((await refusal(away.get('/ok'))).code, 'network')
    const silent = api((_, init) =>
      new Promise((_, reject) => init!.signal!.addEventListener('abort', () => reject(init!.signal!.reason)))
    )
    assert.equal((await refusal(silent.get('/ok', { timeout: 20 }))).code, 'timeout')
  })

  it('a request that its caller stopped stays a stop', async () => {
    const stop = new AbortController()
    const pending = api((_, init) =>
      new Promise((_, reject) => init!.signal!.addEventListener('abort', () => reject(init!.signal!.reason)))
    ).get('/ok', { signal: stop.signal })
    stop.abort()
    await assert.rejects(pending, { name: 'AbortError' })
  })
})
