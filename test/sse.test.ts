import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { encodeFrame, type SseFrame, sseResponse } from '../server/http/sse.ts'

const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))

describe('server-sent events', () => {
  it('starts with a comment and the retry time, then sends each event', async () => {
    const events = async function* (): AsyncGenerator<SseFrame | Uint8Array> {
      yield { id: '7', event: 'turn', data: '{"a":1}' }
      yield encodeFrame({ data: 'two\nlines' })
      yield { comment: 'sneaky\n\ndata: x' }
    }
    const response = sseResponse(events(), { signal: new AbortController().signal })
    assert.equal(response.headers.get('content-type'), 'text/event-stream; charset=utf-8')
    assert.equal(response.headers.get('cache-control'), 'no-cache, no-transform')
    assert.equal(response.headers.get('x-accel-buffering'), 'no')
    assert.equal(
      await response.text(),
      ': hello\nretry: 2000\n\nid: 7\nevent: turn\ndata: {"a":1}\n\ndata: two\ndata: lines\n\n: sneaky data: x\n\n',
    )
  })

  it('sends heartbeats while idle and lets go of the source when the client goes', async () => {
    let returned = 0
    const events = idle(() => returned++)
    const response = sseResponse(events, { signal: new AbortController().signal, heartbeatMs: 20 })
    const reader = response.body!.getReader()
    const texts: string[] = []
    for (let i = 0; i < 3; i++) texts.push(new TextDecoder().decode((await reader.read()).value))
    assert.deepEqual(texts.slice(1), [': hb\n\n', ': hb\n\n'])
    await reader.cancel()
    assert.equal(returned, 1)
  })

  it('ends and lets go of the source once when the signal aborts', async () => {
    let returned = 0
    const stop = new AbortController()
    const response = sseResponse(idle(() => returned++), { signal: stop.signal })
    const text = response.text()
    stop.abort()
    assert.equal(await text, ': hello\nretry: 2000\n\n')
    assert.equal(returned, 1)
  })

  it('does not pull events that nobody reads', async () => {
    let pulled = 0
    const events = async function* () {
      for (; pulled < 1000; pulled++) yield { data: 'x' }
    }
    const response = sseResponse(events(), { signal: new AbortController().signal, heartbeatMs: 5 })
    const reader = response.body!.getReader()
    await reader.read()
    await sleep(40)
    assert.ok(pulled <= 2, `${pulled} were pulled`)
    await reader.cancel()
  })

  it('breaks off when the source fails, so that a client does not take it for the end', async () => {
    // deno-lint-ignore require-yield
    const events = async function* (): AsyncGenerator<SseFrame> {
      throw new Error('lost')
    }
    const response = sseResponse(events(), { signal: new AbortController().signal })
    await assert.rejects(response.text())
  })
})

/** A source that never has anything. */
const idle = (onReturn: () => void): AsyncIterable<SseFrame> => ({
  [Symbol.asyncIterator]: () => ({
    next: () => new Promise<never>(() => {}),
    return: () => {
      onReturn()
      return Promise.resolve({ done: true, value: undefined })
    },
  }),
})
