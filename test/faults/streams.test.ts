import assert from 'node:assert/strict'
import { connect, type Socket } from 'node:net'
import process from 'node:process'
import { after, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { Hono } from 'hono'
import { type BusEvent, createBus } from '../../server/bus/bus.ts'
import type { AppEnv } from '../../server/http/env.ts'
import { operation } from '../../server/http/operation.ts'
import { sseResponse } from '../../server/http/sse.ts'
import { streamSignal } from '../../server/http/stream-signal.ts'
import type { ModelProvider } from '../../server/models/provider.ts'
import type { Turn } from '../../shared/sessions.ts'
import { OWNER_TOKEN, type TestApp, testApp, textOf } from '../support/app.ts'
import { openSocket } from '../support/ws.ts'

const MB = 1024 * 1024
setFlagsFromString('--expose-gc')
const gc = runInNewContext('gc') as () => void

/** Bytes in use after everything that can go has gone. */
async function used(): Promise<number> {
  for (let i = 0; i < 3; i++) {
    gc()
    await sleep(20)
  }
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

const active = (kind: string): number => process.getActiveResourcesInfo().filter((name) => name === kind).length

/** Answers with `pieces` deltas of `size` bytes. */
const talkative = (pieces: number, size: number): ModelProvider => ({
  listModels: () => Promise.resolve([]),
  async *stream() {
    for (let i = 0; i < pieces; i++) {
      yield { type: 'text', delta: `${i} `.padEnd(size, 'x') }
      if (i % 50 === 0) await sleep(1)
    }
    yield { type: 'finish', reason: 'stop', usage: { input_tokens: 1, output_tokens: pieces } }
  },
})

/** A client over plain TCP that reads only when it is told to. */
async function open(url: string, path: string): Promise<Socket> {
  const { hostname, port, host } = new URL(url)
  const socket = connect(Number(port), hostname)
  socket.on('error', () => {})
  await new Promise((resolve) => socket.once('connect', resolve))
  socket.write(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\nAuthorization: Bearer ${OWNER_TOKEN}\r\n\r\n`)
  return socket
}

const until = async (fits: () => boolean, what: () => string): Promise<void> => {
  for (const end = Date.now() + 15_000; Date.now() < end; await sleep(20)) if (fits()) return
  assert.fail(what())
}

describe('clients that open a stream', () => {
  let app: TestApp
  let url: string
  before(async () => {
    app = await testApp({ model: talkative(2500, 2000) })
    url = await app.listen()
    for (const session_id of ['s', 'big']) await app.json('/api/sessions', { json: { session_id } })
  })
  after(() => app.close())

  async function openAndDrop(count: number): Promise<void> {
    const sockets: Socket[] = []
    for (let begun = 0; begun < count; begun += 100) {
      sockets.push(
        ...await Promise.all(Array.from({ length: 100 }, async (_, i) => {
          const socket = await open(
            url,
            i % 2 ? '/api/sessions/s/events' : '/api/stream?topics=sessions,resources,system',
          )
          await new Promise((resolve) => socket.once('data', resolve))
          return socket
        })),
      )
    }
    assert.equal(sockets.length, count)
    // Some say goodbye, some vanish.
    sockets.forEach((socket, i) => i % 2 ? socket.destroy() : socket.resetAndDestroy())
  }

  it('and drop it, a thousand of them, leave no socket, no timer and no memory behind', async () => {
    await openAndDrop(200)
    await until(() => active('TCPSocketWrap') < 10, () => process.getActiveResourcesInfo().join())
    await sleep(100)
    const timers = active('Timeout')
    const memory = await used()
    await openAndDrop(1000)
    const left = () => `${active('TCPSocketWrap')} sockets and ${active('Timeout')} timers are left, before ${timers}`
    await until(() => active('TCPSocketWrap') < 10 && active('Timeout') <= timers + 5, left)
    const grown = await used() - memory
    assert.ok(grown < 5 * MB, `${(grown / MB).toFixed(1)} MB more`)
    assert.equal((await app.request('/api/health')).status, 200)
  })

  it('as a WebSocket and drop it are no longer counted, and leave no memory behind', async () => {
    const clients = async (): Promise<number> =>
      (await app.json<{ connected_clients: number }>('/api/health')).connected_clients
    const openAndDropSockets = async (count: number): Promise<void> => {
      const address = `${url.replace('http', 'ws')}/ws`
      const sockets = await Promise.all(
        Array.from({ length: count }, () => openSocket(address, { authorization: `Bearer ${OWNER_TOKEN}` })),
      )
      assert.equal(await clients(), count)
      sockets.forEach((socket, i) => i % 2 ? socket.drop() : socket.close())
      for (const end = Date.now() + 10_000; await clients() > 0 && Date.now() < end;) await sleep(20)
      assert.equal(await clients(), 0)
    }
    await openAndDropSockets(50)
    const timers = active('Timeout')
    const memory = await used()
    await openAndDropSockets(300)
    await until(() => active('Timeout') <= timers + 5, () => `${active('Timeout')} timers are left, before ${timers}`)
    const grown = await used() - memory
    assert.ok(grown < 5 * MB, `${(grown / MB).toFixed(1)} MB more`)
  })

  it('and never read cost little while five megabytes pass, slow nobody down, and find everything when they read', async () => {
    const stalled = await Promise.all(
      Array.from({ length: 30 }, (_, i) => open(url, i % 2 ? '/api/sessions/big/events?after=0' : '/api/stream')),
    )
    const memory = await used()
    const { turn_id } = await app.json<Turn>('/api/sessions/big/messages', { json: { text: 'go' }, status: 202 })
    const reader = app.events('big', 0, (event) => event.type === 'turn_finished')
    let peak = 0
    const watch = setInterval(() => (peak = Math.max(peak, process.memoryUsage().arrayBuffers)), 20)
    const events = await reader
    clearInterval(watch)
    const text = textOf(events, turn_id)
    assert.equal(text.length, 5_000_000)
    assert.ok(peak < 100 * MB, `${(peak / MB).toFixed(0)} MB of buffers`)
    const grown = await used() - memory
    assert.ok(grown < 60 * MB, `${(grown / MB).toFixed(0)} MB more`)

    // One that wakes up gets the rest.
    for (const late of stalled.slice(0, 2)) {
      let bytes = 0
      late.on('data', (chunk: Uint8Array) => (bytes += chunk.byteLength))
      await until(() => bytes > 5_000_000, () => `${bytes} bytes came`)
    }
    stalled.forEach((socket) => socket.destroy())
  })
})

describe('what listens for the end of an answer', () => {
  it('goes with the answer, whether that was a stream, was none, failed, or was left by its client', async () => {
    const bus = createBus()
    let listening = 0
    const counted = {
      ...bus,
      subscribe(listener: (event: BusEvent) => void) {
        const unsubscribe = bus.subscribe(listener)
        listening++
        return () => {
          listening--
          unsubscribe()
        }
      },
    }
    const doc = { id: 'x', summary: 'x', scope: 'public' } as const
    const routes = new Hono<AppEnv>()
      .use((c, next) => {
        c.set('caller', { kind: 'user', handle: 'owner', id: 'me', name: 'me', scopes: new Set(['admin']) })
        return next()
      })
      .get('/short', operation(doc), (c) => {
        streamSignal(c, counted)
        return c.text('done')
      })
      .get('/fails', operation(doc), (c) => {
        streamSignal(c, counted)
        throw new Error('refused')
      })
      .get('/stream', operation(doc), (c) => {
        const signal = streamSignal(c, counted)
        const events = (async function* () {
          yield { data: 'one' }
          if (c.req.query('endless')) await new Promise((resolve) => signal.addEventListener('abort', resolve))
        })()
        return sseResponse(events, { signal })
      })
      .onError((_, c) => c.text('failed', 500))

    for (const path of ['/short', '/fails', '/stream']) {
      await (await routes.request(path)).text()
      assert.equal(listening, 0, path)
    }
    const abort = new AbortController()
    const response = await routes.request('/stream?endless=1', { signal: abort.signal })
    assert.equal(listening, 1)
    const reader = response.body!.getReader()
    await reader.read()
    abort.abort()
    await sleep(5)
    assert.equal(listening, 0)
    const again = await routes.request('/stream?endless=1')
    await again.body!.cancel()
    assert.equal(listening, 0)
  })
})
