import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { after, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import * as v from 'valibot'
import type { Problem } from '../../shared/problem.ts'
import type { RunMessage, Turn } from '../../shared/sessions.ts'
import { docOf, type OperationDoc } from '../../server/http/operation.ts'
import { scripted } from '../../server/models/providers/scripted.ts'
import { OWNER_TOKEN, type TestApp, testApp, textOf } from '../support/app.ts'

type Route = { method: string; path: string; doc: OperationDoc }
type Schema = v.GenericSchema<unknown, unknown>

/** Names that look for a way out of their folder, their query, their object or their line. */
const TRICKS = [
  '..%2f..%2fetc%2fpasswd',
  '%2e%2e%2f',
  '..%5c..%5cwindows',
  '%00',
  'a%00b',
  '%0d%0aset-cookie:%20x=1',
  'a%0ab',
  '%ff%fe',
  '%c0%ae%c0%ae%2f',
  '%',
  '%zz',
  '%ed%a0%80',
  '__proto__',
  'constructor',
  'hasOwnProperty',
  "'%20or%201=1--",
  '%F0%9F%92%A5',
  '%e2%80%ae',
  'NaN',
  '-1',
  '1e999',
  '99999999999999999999',
  'x'.repeat(5000),
]

const JUNK: unknown[] = [null, 12.5, -1, 'x', '', true, [], {}, [[]], { a: 1 }, 'x'.repeat(100_000), '\ud800', 'a\0b']

/** Operations that ask a server of somebody else once their input is good; junk has no business there. */
const ASKS_ELSEWHERE = new Set(['installPlugin'])

/** Words of the validator, which tell a caller nothing. */
const VALIDATOR = /Invalid [\w ]+: (Expected|Received)/

const encoder = new TextEncoder()
const nested = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth)

describe('bad input', () => {
  let app: TestApp
  let routes: Route[]

  before(async () => {
    app = await testApp({ model: scripted() })
    routes = app.app.routes.flatMap(({ method, path, handler }) => {
      const doc = docOf(handler)
      return doc ? [{ method, path, doc }] : []
    })
  })
  after(() => app.close())

  /** A path with its parameters filled in: by a trick, or by what their pattern wants. */
  const plain = (path: string, by?: string): string =>
    path.replace(/:\w+(\{[^}]*\})?/g, (_, pattern?: string) => by ?? (/\\d|0-9/.test(pattern ?? '') ? '1' : 'x'))

  async function answer({ method, path }: Route, init: RequestInit = {}): Promise<{ status: number; text: string }> {
    const abort = new AbortController()
    const late = new Promise<never>((_, reject) => {
      setTimeout(() => reject(new Error(`${method} ${path.slice(0, 200)} did not answer`)), 10_000).unref()
    })
    const response = await Promise.race([app.request(path, { ...init, method, signal: abort.signal }), late])
    // A stream goes on for ever; that it began is all that is asked here.
    if (response.headers.get('content-type')?.startsWith('text/event-stream')) {
      abort.abort()
      return { status: response.status, text: '' }
    }
    return { status: response.status, text: await Promise.race([response.text(), late]) }
  }

  /** Fails unless the answer is a refusal that says what is wrong. */
  async function refused(route: Route, init: RequestInit, statuses?: number[]): Promise<Problem> {
    const { status, text } = await answer(route, init)
    const what = `${route.method} ${route.path.slice(0, 200)} answered ${status}: ${text.slice(0, 300)}`
    assert.ok(statuses ? statuses.includes(status) : status >= 400 && status < 500, what)
    const problem = JSON.parse(text) as Problem
    assert.ok(JSON.stringify(problem).length > 20, what)
    assert.doesNotMatch(text, VALIDATOR, what)
    return problem
  }

  const send = (body: string | Uint8Array, type = 'application/json'): RequestInit => ({
    body: body as BodyInit,
    headers: { 'content-type': type },
  })

  it('finds routes to try', () => {
    assert.ok(routes.length > 50, `${routes.length} routes`)
    assert.ok(routes.filter(({ doc }) => doc.body).length > 15)
  })

  it('is refused in every body: broken, of another type, not UTF-8, too deep, too large, not an object', async () => {
    for (const route of routes.filter(({ doc }) => doc.body)) {
      const to = { ...route, path: plain(route.path) }
      await refused(to, send('{"a":'), [400])
      await refused(to, send('<a/>', 'text/html'), [415])
      await refused(to, send(Uint8Array.of(0x7b, 0x22, 0xff, 0xfe, 0x22, 0x3a, 0x31, 0x7d)), [400])
      await refused(to, send(`{"a":${nested(65)}}`), [400])
      await refused(to, send(nested(100_000)), [400, 413])
      const limit = route.doc.limit ?? 2 * 1024 * 1024
      if (limit <= 8 * 1024 * 1024) await refused(to, send(encoder.encode(`"${'x'.repeat(limit)}"`)), [413])
      for (const body of ['null', '[]', '1', '"x"', 'true']) {
        const { status } = await answer(to, send(body))
        assert.ok(status < 500, `${route.method} ${route.path} answered ${status} to ${body}`)
      }
    }
  })

  it('is refused in every field of every body, and the field is named', async () => {
    for (const route of routes) {
      const entries = route.doc.body && entriesOf(route.doc.body)
      if (!entries) continue
      const to = { ...route, path: plain(route.path) }
      for (const [name, schema] of Object.entries(entries)) {
        for (const value of JUNK) {
          const body = send(JSON.stringify({ [name]: value }))
          if (v.safeParse(schema, value).success) {
            if (ASKS_ELSEWHERE.has(route.doc.id)) continue
            const { status, text } = await answer(to, body)
            assert.ok(status < 500, `${route.method} ${route.path} ${name}=${short(value)}: ${status} ${text}`)
            continue
          }
          const problem = await refused(to, body, [400, 413, 422])
          const pointers = (problem.errors ?? []).map(({ pointer }) => pointer.split('/')[1])
          if (problem.errors) assert.ok(pointers.includes(name), `${route.path} ${name}: ${JSON.stringify(problem)}`)
        }
      }
    }
  })

  it('is refused in every parameter of every path', async () => {
    for (const route of routes.filter(({ path }) => path.includes(':'))) {
      for (const trick of TRICKS) {
        const to = { ...route, path: plain(route.path, trick) }
        const { status, text } = await answer(to, route.doc.body ? send('{}') : {})
        const what = `${route.method} ${to.path.slice(0, 200)} answered ${status}: ${text.slice(0, 200)}`
        assert.ok(status < 500, what)
        assert.ok(!text.includes('root:'), what)
        if (route.method === 'GET') assert.ok(status >= 400 || text === '' || !trick.includes('%2f'), what)
      }
    }
  })

  it('is refused, or harmless, in every query', async () => {
    for (const route of routes.filter(({ doc }) => doc.query)) {
      const names = Object.keys(entriesOf(route.doc.query!) ?? {})
      for (const name of names) {
        for (const trick of TRICKS) {
          const to = { ...route, path: `${plain(route.path)}?${name}=${trick}` }
          const { status, text } = await answer(to, route.doc.body ? send('{}') : {})
          assert.doesNotMatch(text, VALIDATOR)
          // These lie elsewhere: not reaching them is no fault of the input.
          const unreached = status === 502 && /^\/api\/(marketplace\/|plugins\/browse$)/.test(route.path)
          assert.ok(
            status < 500 || unreached,
            `${route.method} ${to.path.slice(0, 200)} answered ${status}: ${text.slice(0, 300)}`,
          )
        }
      }
    }
  })

  it('is kept to the character where it is text, however odd, but for a NUL, which shows as U+FFFD', async () => {
    const odd = [
      'a\0b',
      '\u2028x\u2029',
      '\u202eabc',
      'e\u0301',
      '\ufeffx',
      '👩‍👩‍👧',
      '\x7f\x1b[31m',
      'a\r\nb\rc',
      '<script>',
      '[IMAGE:/etc/passwd]',
    ]
    for (const [i, text] of odd.entries()) {
      const { turn_id, state } = await app.ask(`odd-${i}`, text)
      assert.equal(state, 'completed')
      const turn = await app.json<Turn>(`/api/turns/${turn_id}`)
      const { messages } = await app.json<{ messages: RunMessage[] }>(`/api/sessions/odd-${i}/messages`)
      const events = await app.events(`odd-${i}`, 0, (event) => event.type === 'turn_finished')
      const kept = text.replaceAll('\0', '\ufffd')
      assert.deepEqual([turn.input.text, messages[0]?.text], [kept, kept])
      assert.deepEqual([messages[1]?.text, textOf(events)], [turn.text, turn.text])
    }
  })

  it('says the same everywhere where it is half a character', async () => {
    const { turn_id } = await app.ask('half', 'half \ud83d of one')
    const turn = await app.json<Turn>(`/api/turns/${turn_id}`)
    const { messages } = await app.json<{ messages: RunMessage[] }>('/api/sessions/half/messages')
    const events = await app.events('half', 0, (event) => event.type === 'turn_finished')
    assert.equal(messages[0]?.text, turn.input.text)
    assert.deepEqual([messages[1]?.text, textOf(events)], [turn.text, turn.text])
  })

  it('that stops in the middle of a body is no fault of the server', async () => {
    const { hostname, port } = new URL(await app.listen())
    for (const length of ['Content-Length: 100', 'Transfer-Encoding: chunked']) {
      const socket = connect(Number(port), hostname)
      socket.on('error', () => {})
      await once(socket, 'connect')
      socket.write(
        `POST /api/sessions/torn/messages HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${OWNER_TOKEN}\r\n` +
          `Content-Type: application/json\r\n${length}\r\n\r\n${length.includes('chunked') ? '40\r\n' : ''}{"text":"ha`,
      )
      await sleep(50)
      socket.resetAndDestroy()
    }
    await sleep(100)
    const entries = await app.json<{ event: string }[]>('/api/logs?limit=200')
    assert.deepEqual(entries.filter(({ event }) => event === 'http.failed'), [])
    assert.equal((await app.request('/api/sessions/torn')).status, 404)
  })

  it('leaves nothing behind that cannot be listed and opened', async () => {
    const { sessions } = await app.json<{ sessions: { session_id: string }[] }>('/api/sessions?limit=200')
    for (const { session_id } of sessions) {
      await app.json(`/api/sessions/${encodeURIComponent(session_id)}/messages`)
    }
    assert.equal(({} as Record<string, unknown>).a, undefined)
    await app.json('/api/health')
  })
})

const short = (value: unknown): string => (JSON.stringify(value) ?? 'undefined').slice(0, 60)

/** The properties of an object schema, through wrappers and pipes. */
function entriesOf(schema: Schema): Record<string, Schema> | undefined {
  const { wrapped, entries } = schema as { wrapped?: Schema; entries?: Record<string, Schema> }
  return entries ?? (wrapped ? entriesOf(wrapped) : undefined)
}
