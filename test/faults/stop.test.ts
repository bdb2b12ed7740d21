import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Turn } from '../../shared/sessions.ts'
import { framesOf, OWNER_TOKEN } from '../support/app.ts'
import { type MockUpstream, startMockUpstream } from '../support/mock-upstream.ts'
import { startServer } from '../support/process.ts'

describe('a server that is asked to stop', () => {
  let home: string
  let mock: MockUpstream
  before(async () => {
    home = await mkdtemp(join(tmpdir(), 'gatehouse-stop-'))
    mock = await startMockUpstream()
  })
  after(async () => {
    await mock.close()
    await rm(home, { recursive: true, force: true })
  })

  it('ends within ten seconds with open streams, a running turn, a waiting one and half an upload, and loses nothing', async () => {
    const env = { OPENAI_API_KEY: 'sk-test', OPENAI_BASE_URL: `${mock.url}/v1` }
    const server = await startServer({ home, env })
    for (let found = ''; !found.includes('openai:echo'); await sleep(20)) {
      found = await (await server.request('/api/models')).text()
    }
    mock.script({ kind: 'hang_midway' })
    const say = async (text: string): Promise<Turn> => {
      const response = await server.request('/api/sessions/s/messages', { json: { text, model: 'openai:echo' } })
      assert.equal(response.status, 202)
      return await response.json() as Turn
    }
    const running = await say('one')
    const stream = await server.request('/api/sessions/s/events?after=0')
    const heard: string[] = []
    const frames = framesOf(stream)
    for await (const { data } of { [Symbol.asyncIterator]: () => frames }) {
      heard.push(data ?? '')
      if (heard.join().includes('two')) break
    }
    const waiting = await say('two')
    const open = await server.request('/api/stream')
    const waits = server.request('/api/sessions/s/messages', {
      json: { text: 'three', model: 'openai:echo' },
      headers: { prefer: 'wait=60' },
    })
    const { port } = new URL(server.url)
    const upload = connect(Number(port), '127.0.0.1')
    upload.on('error', () => {})
    await once(upload, 'connect')
    upload.write(
      `POST /api/upload HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${OWNER_TOKEN}\r\n` +
        'Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 1000000\r\n\r\n' +
        '--b\r\nContent-Disposition: form-data; name="file"; filename="half.txt"\r\n\r\nhalf',
    )
    await sleep(200)

    const begun = performance.now()
    const { code, output } = await server.stop()
    const took = performance.now() - begun
    assert.equal(code, 0, output)
    assert.ok(took < 10_000, `${took} ms`)
    await open.text().catch(() => {})
    const third = await waits.then((response) => response.json(), () => undefined) as Turn | undefined

    const again = await startServer({ home, env })
    const turnOf = async (id: string): Promise<Turn> => await (await again.request(`/api/turns/${id}`)).json() as Turn
    const cut = await turnOf(running.turn_id)
    assert.deepEqual([cut.state, cut.text], ['interrupted', 'one two'])
    let second = await turnOf(waiting.turn_id)
    for (const end = Date.now() + 10_000; second.state !== 'completed' && Date.now() < end; await sleep(50)) {
      second = await turnOf(waiting.turn_id)
    }
    assert.deepEqual([second.state, second.text], ['completed', 'two'])
    if (third?.turn_id) assert.equal((await turnOf(third.turn_id)).input.text, 'three')
    const files = await readdir(join(home, 'uploads'), { recursive: true }).catch(() => [])
    assert.deepEqual(files.filter((name) => /half|\.part$/.test(name)), [])
    assert.equal((await again.stop()).code, 0)
  })

  it('ends in a moment when nothing is going on, also when it is told twice', async () => {
    const server = await startServer({ home })
    const begun = performance.now()
    const ended = server.stop()
    void server.stop()
    assert.equal((await ended).code, 0)
    assert.ok(performance.now() - begun < 5000)
  })
})
