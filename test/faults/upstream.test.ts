import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { RunMessage, Turn } from '../../shared/sessions.ts'
import { type TestApp, testApp } from '../support/app.ts'
import { type Behaviour, type MockUpstream, startMockUpstream } from '../support/mock-upstream.ts'

const KEY = 'sk-secret-of-the-tests-0123456789'
/** Seconds; the shortest that may be configured. */
const TURN_TIMEOUT = 5

type Ended = Turn & { asked: number; ms: number }

for (const vendor of ['openai', 'anthropic'] as const) {
  describe(`a turn whose upstream speaks as ${vendor} does`, () => {
    let mock: MockUpstream
    let app: TestApp
    let sessions = 0

    before(async () => {
      mock = await startMockUpstream()
      app = await testApp({
        env: vendor === 'openai'
          ? { OPENAI_API_KEY: KEY, OPENAI_BASE_URL: `${mock.url}/v1` }
          : { ANTHROPIC_API_KEY: KEY, ANTHROPIC_BASE_URL: mock.url },
        flags: { 'agent.turn_timeout_seconds': TURN_TIMEOUT },
      })
      for (let found = ''; !found.includes(`${vendor}:echo`); await sleep(20)) {
        found = await (await app.request('/api/models')).text()
      }
    })
    after(async () => {
      await app.close()
      await mock.close()
    })

    const newSession = (): string => `${vendor}-${++sessions}`

    /** One question and how its turn ended; the upstream behaves as told, once each time that it is asked. */
    async function ask(behaviours: Behaviour[], session = newSession()): Promise<Ended> {
      mock.script(...behaviours)
      const before = mock.requests.length
      const begun = performance.now()
      const turn = await app.ask(session, 'hello', { model: `${vendor}:echo` })
      return { ...turn, asked: mock.requests.length - before, ms: performance.now() - begun } as unknown as Ended
    }

    const failed = (turn: Ended, kind: string): void => {
      assert.deepEqual([turn.state, turn.error?.class], ['failed', kind], JSON.stringify(turn))
      assert.ok(turn.error!.message.length > 10)
      assert.ok(!JSON.stringify(turn).includes(KEY), 'the key is in the answer')
    }

    it('fails at once, and says so, when the key, the request or the quota is refused', async () => {
      const refused = await ask([{ kind: 'status', status: 401, body: `{"error":{"message":"bad key ${KEY}"}}` }])
      failed(refused, 'auth')
      assert.equal(refused.asked, 1)
      const invalid = await ask([{ kind: 'status', status: 400 }])
      failed(invalid, 'invalid')
      assert.equal(invalid.asked, 1)
      const quota = await ask([{ kind: 'status', status: 429, headers: { 'retry-after': '3600' } }])
      failed(quota, 'rate_limited')
      assert.equal(quota.asked, 1)
    })

    it('is asked again after 429, 500, 529 and a broken first byte, and waits as long as it was told', async () => {
      const busy = await ask([{ kind: 'status', status: 429, headers: { 'retry-after': '1' } }])
      assert.deepEqual([busy.state, busy.text, busy.asked], ['completed', 'hello', 2])
      assert.ok(busy.ms >= 950, `${busy.ms} ms`)
      for (const status of [500, 529]) {
        const turn = await ask([{ kind: 'status', status, body: '<html>Bad gateway</html>' }])
        assert.deepEqual([turn.state, turn.text, turn.asked], ['completed', 'hello', 2], JSON.stringify(turn))
      }
      const garbled = await ask([{ kind: 'raw', chunks: ['data: {"cho', Uint8Array.of(0xff, 0xfe, 0), '\n\n'] }])
      assert.deepEqual([garbled.state, garbled.text, garbled.asked], ['completed', 'hello', 2], JSON.stringify(garbled))
    })

    it('keeps what was said, and is not asked again, when the answer breaks in the middle', async () => {
      for (const kind of ['cut', 'malformed', 'error_midway'] as const) {
        const session = newSession()
        const turn = await ask([{ kind }], session)
        assert.deepEqual(
          [turn.state, turn.text, turn.asked],
          ['failed', 'one two', 1],
          `${kind} ${JSON.stringify(turn)}`,
        )
        const { messages } = await app.json<{ messages: RunMessage[] }>(`/api/sessions/${session}/messages`)
        assert.deepEqual(messages.map(({ role, text, state }) => [role, text, state]), [
          ['user', 'hello', undefined],
          ['assistant', 'one two', 'failed'],
        ])
        const next = await ask([], session)
        assert.deepEqual([next.state, next.text], ['completed', 'hello'])
      }
    })

    it('lets go of the upstream at once when it is interrupted, before the first word and after', async () => {
      for (const [kind, text] of [['hang', ''], ['hang_midway', 'one two']] as const) {
        const session = newSession()
        mock.script({ kind })
        const before = mock.requests.length
        const { turn_id } = await app.json<Turn>(`/api/sessions/${session}/messages`, {
          json: { text: 'hello', model: `${vendor}:echo` },
          status: 202,
        })
        if (text) await app.events(session, 0, (event) => event.type === 'text' && event.delta.includes('two'))
        while (mock.requests.length === before) await sleep(5)
        const stopped = performance.now()
        await app.json(`/api/sessions/${session}/interrupt`, { json: {} })
        const turn = await app.json<Turn>(`/api/turns/${turn_id}`)
        assert.deepEqual([turn.state, turn.text], ['interrupted', text])
        const request = mock.requests.at(-1)!
        for (const end = Date.now() + 20_000; request.abortedAt === undefined && Date.now() < end;) await sleep(5)
        assert.ok(request.abortedAt! - stopped < 3000, `${request.abortedAt! - stopped} ms`)
      }
    })

    it('ends by its deadline when the upstream never answers, or stops answering', async () => {
      await Promise.all((['hang', 'hang_midway'] as const).map(async (kind) => {
        mock.script({ kind })
        const turn = await app.ask(newSession(), 'hello', { model: `${vendor}:echo` })
        assert.deepEqual([turn.state, turn.error?.class], ['failed', 'limit'], JSON.stringify(turn))
        assert.ok(['', 'one two'].includes(turn.text))
      }))
      const open = () => mock.requests.slice(-2).filter(({ abortedAt }) => abortedAt === undefined)
      for (const end = Date.now() + 20_000; open().length > 0 && Date.now() < end;) await sleep(5)
      assert.deepEqual(open(), [])
    })
  })
}
