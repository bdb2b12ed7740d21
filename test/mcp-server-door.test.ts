import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import type { McpServerInfo } from '../shared/mcp-server.ts'
import { scripted } from '../server/models/providers/scripted.ts'
import { conformanceServer } from './support/mcp-conformance-server.ts'
import { framesOf, OWNER_TOKEN, type TestApp, testApp } from './support/app.ts'

const ROOT = join(import.meta.dirname, '..')
const BOTH = 'application/json, text/event-stream'

let app: TestApp
let url: string
before(async () => {
  app = await testApp({ model: scripted([]) })
  url = await app.listen()
})
after(() => app.close())

type Post = { token?: string; session?: string; headers?: Record<string, string> }

const post = (message: unknown, { token = OWNER_TOKEN, session, headers }: Post = {}): Promise<Response> =>
  fetch(`${url}/mcp`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${token}`,
      'content-type': 'application/json',
      accept: BOTH,
      ...(session ? { 'mcp-session-id': session } : {}),
      ...headers,
    },
    body: typeof message === 'string' ? message : JSON.stringify(message),
  })

const request = (method: string, params: object = {}, id = 1) => ({ jsonrpc: '2.0', id, method, params })
const initialize = (protocolVersion = '2025-11-25') =>
  request('initialize', { protocolVersion, capabilities: {}, clientInfo: { name: 'raw', version: '1' } })

/** The answer that a stream carries. */
async function answerOf(
  response: Response,
): Promise<{ result?: Record<string, unknown>; error?: { message: string } }> {
  for await (const { data } of framesOf(response)) if (data?.startsWith('{')) return JSON.parse(data)
  throw new Error('the stream ended without an answer')
}

async function openSession(options: Post = {}): Promise<string> {
  const response = await post(initialize(), options)
  await answerOf(response)
  return response.headers.get('mcp-session-id')!
}

describe('the door for MCP clients', () => {
  it('answers a request without a session by itself', async () => {
    const response = await post(request('tools/call', { name: 'time_now', arguments: {} }))
    assert.equal(response.headers.get('mcp-session-id'), null)
    assert.ok((await answerOf(response)).result?.content)
    const notification = await post({ jsonrpc: '2.0', method: 'notifications/initialized' })
    assert.equal(notification.status, 202)
  })

  it('speaks the revision that the client asks for, and its own to one that asks for none that it knows', async () => {
    for (
      const [asked, given] of [['2025-06-18', '2025-06-18'], ['2025-11-25', '2025-11-25'], ['1999-01-01', '2025-11-25']]
    ) {
      const { result } = await answerOf(await post(initialize(asked)))
      assert.equal(result?.protocolVersion, given)
    }
    const unknown = await post(request('tools/list'), { headers: { 'mcp-protocol-version': '1999-01-01' } })
    assert.equal(unknown.status, 400)
  })

  it('a session belongs to the key that opened it, and ends when the client, or whoever revokes the key, says so', async () => {
    const mine = await openSession()
    const { key, secret } = await app.json<{ key: { id: string }; secret: string }>('/api/keys', {
      json: { name: 'other', scopes: ['read', 'chat'] },
    })
    const stolen = await post(request('tools/list'), { token: secret, session: mine })
    assert.equal(stolen.status, 404)
    await stolen.body?.cancel()

    const ended = await fetch(`${url}/mcp`, {
      method: 'DELETE',
      headers: { authorization: `Bearer ${OWNER_TOKEN}`, 'mcp-session-id': mine },
    })
    assert.equal(ended.status, 200)
    assert.equal((await post(request('tools/list'), { session: mine })).status, 404)

    const theirs = await openSession({ token: secret })
    const stream = await fetch(`${url}/mcp`, {
      headers: { authorization: `Bearer ${secret}`, 'mcp-session-id': theirs, accept: 'text/event-stream' },
    })
    assert.equal(stream.status, 200)
    await app.json(`/api/keys/${key.id}`, { method: 'DELETE' })
    // Ends, rather than going on for whoever holds a key that is good no more.
    for await (const _ of stream.body as unknown as AsyncIterable<Uint8Array>);
    assert.equal((await post(request('tools/list'), { token: secret, session: theirs })).status, 401)
  })

  it('refuses pages of other sites, and names of this machine that are not ours', async () => {
    const from = async (origin: string) => {
      const response = await post(request('ping'), { headers: { origin } })
      await response.body?.cancel()
      return response.status
    }
    assert.equal(await from('https://evil.example'), 403)
    assert.equal(await from('null'), 403)
    assert.equal(await from('http://localhost:6274'), 200)
    assert.equal(await from(url), 200)
    const rebound = await app.request('/mcp', {
      method: 'POST',
      headers: { host: 'evil.example' },
      json: request('ping'),
    })
    assert.equal(rebound.status, 421)
    const preflight = await app.request('/mcp', {
      method: 'OPTIONS',
      token: null,
      headers: { origin: 'http://localhost:6274', 'access-control-request-method': 'POST' },
    })
    assert.match(preflight.headers.get('access-control-allow-headers')!, /mcp-session-id, mcp-protocol-version/)
  })

  it('says in the words of the protocol what is wrong with a message', async () => {
    const wrong: [unknown, Post, number, RegExp][] = [
      ['{"jsonrpc":', {}, 400, /not valid JSON/],
      [{ hello: 1 }, {}, 400, /JSON-RPC/],
      ['['.repeat(100_000), {}, 400, /nested/],
      [{ jsonrpc: '2.0', id: 1, method: 'x', params: { text: 'x'.repeat(5_000_000) } }, {}, 413, /larger/],
      [request('tools/list'), { headers: { accept: 'application/json' } }, 406, /text\/event-stream/],
      [request('tools/list'), { session: 'nope' }, 404, /initialize/],
    ]
    for (const [message, options, status, words] of wrong) {
      const response = await post(message, options)
      assert.equal(response.status, status, String(words))
      const { error } = await response.json() as { error: { code: number; message: string } }
      assert.match(error.message, words)
    }
    const unknown = await answerOf(await post(request('no/such')))
    assert.match(unknown.error!.message, /Method not found/)
    const stream = await app.request('/mcp', { headers: { accept: 'text/event-stream' } })
    assert.equal(stream.status, 400)
  })

  it('a stream that broke is taken up where it was', async () => {
    const session = await openSession()
    const response = await post(
      request('tools/call', { name: 'ask_agent', arguments: { text: 'slow: 20', wait_seconds: 30 } }, 7),
      {
        session,
        headers: { 'mcp-protocol-version': '2025-11-25' },
      },
    )
    const reader = framesOf(response)
    const { value } = await reader.next()
    const first = (value as { id?: string }).id
    assert.ok(first, 'the first event carries an id to come back with')
    await reader.return(undefined)
    const again = await fetch(`${url}/mcp`, {
      headers: {
        authorization: `Bearer ${OWNER_TOKEN}`,
        'mcp-session-id': session,
        accept: 'text/event-stream',
        'last-event-id': first,
      },
    })
    assert.equal(again.status, 200)
    const { result } = await answerOf(again)
    assert.ok((result!.structuredContent as { text: string }).text.length > 0)
  })

  it('the oldest idle session of a key makes room for a new one', async () => {
    const first = await openSession()
    for (let i = 0; i < 50; i++) await openSession()
    assert.equal((await post(request('ping'), { session: first })).status, 404)
  })
})

it('a session that nobody uses ends by itself, one whose stream is read does not', async () => {
  const server = await conformanceServer({ idleMs: 300 })
  const headers = { 'content-type': 'application/json', accept: BOTH }
  const open = async (): Promise<string> => {
    const response = await fetch(server.url, { method: 'POST', headers, body: JSON.stringify(initialize()) })
    await answerOf(response)
    return response.headers.get('mcp-session-id')!
  }
  try {
    await open()
    const read = await open()
    const stream = await fetch(server.url, { headers: { accept: 'text/event-stream', 'mcp-session-id': read } })
    assert.equal(server.sessions(), 2)
    const waited = Date.now()
    while (server.sessions() > 1 && Date.now() - waited < 10_000) await new Promise((done) => setTimeout(done, 20))
    assert.equal(server.sessions(), 1)
    await stream.body?.cancel()
    while (server.sessions() > 0 && Date.now() - waited < 20_000) await new Promise((done) => setTimeout(done, 20))
    assert.equal(server.sessions(), 0)
  } finally {
    await server.close()
  }
})

describe('what other clients are told', () => {
  it('has settings for the well-known ones, with the address that was asked at and a place for the key', async () => {
    const info = await app.json<McpServerInfo>('/api/mcp-server', { headers: { host: 'localhost:8765' } })
    assert.equal(info.url, 'http://localhost:8765/mcp')
    const ids = info.clients.map(({ id }) => id)
    for (const id of ['claude-code', 'claude-desktop', 'cursor', 'vscode', 'codex', 'gemini-cli', 'windsurf', 'zed']) {
      assert.ok(ids.includes(id), id)
    }
    for (const { id, format, text } of info.clients) {
      if (format === 'json') JSON.parse(text)
      if (id !== 'stdio' && id !== 'claude-desktop') assert.ok(text.includes(info.url), id)
      assert.ok(!text.includes(OWNER_TOKEN), id)
    }
    const local = info.clients.find(({ id }) => id === 'stdio')!.text
    assert.ok(local.includes(app.home) && !local.includes(info.key_placeholder))
  })

  it('tells a client elsewhere nothing of this machine', async () => {
    const proxied = await testApp({
      model: scripted([]),
      env: { GATEHOUSE_SERVER__PUBLIC_URL: 'https://gate.example/' },
    })
    try {
      const info = await proxied.json<McpServerInfo>('/api/mcp-server')
      assert.equal(info.url, 'https://gate.example/mcp')
      assert.ok(!JSON.stringify(info).includes(proxied.home))
    } finally {
      await proxied.close()
    }
  })
})

it('nothing of the SDK is loaded before the first MCP request', () => {
  const eager = globSync('server/**/*.ts', { cwd: ROOT }).filter((file) =>
    /^import (?!type)(?:(?!from ')[^])*from '@modelcontextprotocol/m.test(readFileSync(join(ROOT, file), 'utf8'))
  )
  // Of the terminal; it is loaded when the command runs.
  assert.deepEqual(eager, ['server/cli/mcp-bridge.ts'])
})
