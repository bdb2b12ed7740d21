import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ask, collect, textOf } from '../../test/contract/model-provider.ts'
import { type Answer, fail, scripted } from './providers/scripted.ts'
import { type Retry, streamWithRetries } from './retry.ts'

const LIMITS = { tries: 4, base_ms: 2, total_ms: 1000 }

async function run(answers: Answer[], signal = new AbortController().signal, limits = LIMITS) {
  const retries: Retry[] = []
  const provider = scripted(answers)
  const events = await collect(
    streamWithRetries({ provider }, ask('hi'), signal, (retry) => retries.push(retry), limits),
  )
  return { events, retries, tries: provider.requests.length }
}

describe('retries of a model call', () => {
  it('what passes by itself is tried again, and each try is told', async () => {
    const { events, retries } = await run([fail('overloaded'), fail('rate_limited', 5), fail('network'), 'at last'])
    assert.equal(textOf(events), 'at last')
    assert.deepEqual(retries.map((retry) => [retry.attempt, retry.class]), [[2, 'overloaded'], [3, 'rate_limited'], [
      4,
      'network',
    ]])
    assert.equal(retries[1]?.after_ms, 5)
    assert.ok(!events.some((event) => event.type === 'failed'))
  })

  it('after four tries the failure is final', async () => {
    const { events, tries } = await run(Array.from({ length: 6 }, () => fail('overloaded')))
    assert.equal(tries, 4)
    assert.deepEqual(events.map((event) => event.type), ['failed'])
  })

  for (const kind of ['auth', 'context_overflow', 'invalid', 'limit', 'internal'] as const) {
    it(`a failure of class ${kind} is not tried again`, async () => {
      assert.equal((await run([fail(kind), 'never'])).tries, 1)
    })
  }

  it('nothing is tried again once something was said', async () => {
    const { events, tries } = await run([['half', fail('network')], 'never'])
    assert.equal(tries, 1)
    assert.deepEqual(events.map((event) => event.type), ['text', 'failed'])
  })

  it('an upstream that asks for more time than there is gets no other try', async () => {
    const { events, tries } = await run([fail('rate_limited', 60_000), 'never'])
    assert.equal(tries, 1)
    assert.equal(events[0]?.type === 'failed' && events[0].retry_after_ms, 60_000)
  })

  it('an abort ends the waiting at once', async () => {
    const controller = new AbortController()
    setTimeout(() => controller.abort(), 20)
    const started = performance.now()
    const { events } = await run([fail('rate_limited', 30_000), 'never'], controller.signal, {
      ...LIMITS,
      total_ms: 60_000,
    })
    assert.ok(performance.now() - started < 10_000)
    assert.equal(events.at(-1)?.type, 'failed')
  })
})
