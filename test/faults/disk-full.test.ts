import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, rmdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { delay, scripted } from '../../server/models/providers/scripted.ts'
import type { Problem } from '../../shared/problem.ts'
import type { RunMessage, Turn } from '../../shared/sessions.ts'
import { type TestApp, testApp, textOf } from '../support/app.ts'
import { startServer } from '../support/process.ts'

/** Pages of the database as it stands; more are refused, as on a full disk. */
async function fill(app: TestApp): Promise<void> {
  const [size] = await app.database.all('pragma page_count')
  await app.database.all(`pragma max_page_count = ${Number(size!.page_count)}`)
  // What is left in the last pages.
  await app.database.run('create table if not exists ballast (bytes)').catch(() => {})
  for (const bytes of [3000, 300, 30]) {
    for (let refused = false; !refused;) {
      await app.database.run('insert into ballast values (zeroblob(?))', [bytes]).catch(() => (refused = true))
    }
  }
}

const empty = async (app: TestApp): Promise<void> => {
  await app.database.all('pragma max_page_count = 1000000')
}

const long = 'word '.repeat(4000)

describe('a full disk', () => {
  it('refuses a message with 503 and what to do, keeps nothing of it, and takes it once there is room', async () => {
    const app = await testApp({ model: scripted() })
    await app.ask('a', 'before')
    await fill(app)
    for (const path of ['/api/sessions/a/messages', '/api/sessions/new/messages']) {
      const response = await app.request(path, {
        method: 'POST',
        json: { text: long },
        headers: { 'idempotency-key': 'k' },
      })
      const problem = await response.json() as Problem
      assert.equal(response.status, 503, JSON.stringify(problem))
      assert.match(problem.detail!, /disk is full.*room/)
      assert.equal(problem.code, 'unavailable')
      assert.ok(Number(response.headers.get('retry-after')) > 0)
    }
    const created = await app.request('/api/keys', {
      method: 'POST',
      json: { name: 'x'.repeat(100), scopes: ['read'] },
    })
    assert.ok([200, 201, 503].includes(created.status))
    assert.equal((await app.request('/api/sessions/new')).status, 404)
    assert.equal((await app.json<{ messages: unknown[] }>('/api/sessions/a/messages')).messages.length, 2)
    assert.deepEqual((await app.json<{ items: unknown[] }>('/api/sessions/a/queue')).items, [])
    assert.equal((await app.request('/api/health')).status, 200)

    await empty(app)
    const turn = await app.json<Turn>('/api/sessions/a/messages', {
      json: { text: long },
      headers: { 'idempotency-key': 'k', prefer: 'wait=20' },
      status: 200,
    })
    assert.deepEqual([turn.state, turn.input.text], ['completed', long])
    assert.deepEqual(await app.database.all('pragma integrity_check'), [{ integrity_check: 'ok' }])
    await app.close()
  })

  it('fills while a turn streams: the reader gets it all, and its end is written once there is room', async () => {
    const said = Array.from({ length: 60 }, (_, i) => `${i} ${'x'.repeat(500)} `)
    const app = await testApp({ model: scripted([said.flatMap((text) => [text, delay(5)]), 'next']) })
    const { turn_id } = await app.json<Turn>('/api/sessions/s/messages', { json: { text: 'go' }, status: 202 })
    const waits = await app.json<Turn>('/api/sessions/s/messages', { json: { text: 'and then' }, status: 202 })
    await app.events('s', 0, (event) => event.type === 'text')
    await fill(app)
    const whole = said.join('')
    const live = await app.events('s', 0, (event) => event.type === 'usage')
    assert.equal(textOf(live), whole)
    // The server goes on, and what it can't write yet it does not call finished.
    await sleep(1500)
    assert.equal((await app.json<Turn>(`/api/turns/${turn_id}`)).state, 'running')
    assert.equal((await app.request('/api/health')).status, 200)

    await empty(app)
    const events = await app.events(
      's',
      0,
      (event) => event.type === 'turn_finished' && event.turn_id === waits.turn_id,
    )
    assert.deepEqual(
      events.filter((event) => event.type === 'turn_finished').map(({ state, text }) => [state, text]),
      [['completed', whole], ['completed', 'next']],
    )
    assert.equal(textOf(events, turn_id), whole)
    const { messages } = await app.json<{ messages: RunMessage[] }>('/api/sessions/s/messages')
    assert.deepEqual(messages.map(({ text }) => text), ['go', whole, 'and then', 'next'])
    await app.close()
  })

  it('keeps an accepted message that could not begin, and answers it once there is room', async () => {
    const model = scripted([[delay(400), 'first'], 'second'])
    const app = await testApp({ model })
    await app.json<Turn>('/api/sessions/q/messages', { json: { text: 'one' }, status: 202 })
    const waits = await app.json<Turn>('/api/sessions/q/messages', { json: { text: long }, status: 202 })
    await sleep(100)
    await fill(app)
    await sleep(1500)
    await empty(app)
    const events = await app.events(
      'q',
      0,
      (event) => event.type === 'turn_finished' && event.turn_id === waits.turn_id,
    )
    assert.deepEqual(
      events.filter((event) => event.type === 'turn_finished').map(({ state, text }) => [state, text]),
      [['completed', 'first'], ['completed', 'second']],
    )
    assert.equal(model.requests.length, 2)
    await app.close()
  })
})

/** A file system of a few megabytes; undefined where none may be mounted. */
function smallDisk(megabytes: number): { home: string; unmount(): void } | undefined {
  const home = mkdtempSync(join(tmpdir(), 'gatehouse-disk-'))
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m,mode=0700`, 'tmpfs', home], { stdio: 'ignore' })
  } catch {
    rmdirSync(home)
    return undefined
  }
  return {
    home,
    unmount() {
      execFileSync('umount', ['-l', home])
      rmdirSync(home)
    },
  }
}

describe('a home on a file system without room', () => {
  it('refuses what it cannot keep, leaves no half of a file, goes on, and works again', async (t) => {
    const disk = smallDisk(24)
    if (!disk) return t.skip('no file system may be mounted here')
    const server = await startServer({ home: disk.home })
    try {
      const say = (text: string): Promise<Response> =>
        server.request('/api/sessions/s/messages', { json: { text }, headers: { prefer: 'wait=20' } })
      const upload = (name: string, bytes: number): Promise<Response> => {
        const form = new FormData()
        form.set('file', new File([new Uint8Array(bytes).fill(65)], name))
        return server.request('/api/upload', { method: 'POST', body: form })
      }
      assert.equal((await say('hello')).status, 200)
      assert.equal((await upload('fits.txt', 1000)).status, 200)
      const ballast = join(disk.home, 'ballast')
      try {
        for (let i = 0; i < 200; i++) writeFileSync(ballast, new Uint8Array(200_000), { flag: 'a' })
      } catch { /* full */ }
      try {
        for (let i = 0; i < 400; i++) writeFileSync(ballast, new Uint8Array(1000), { flag: 'a' })
      } catch { /* to the last block */ }

      const statuses = new Set<number>()
      for (let i = 0; i < 40 && !statuses.has(503); i++) {
        const response = await server.request(`/api/sessions/n${i}/messages`, { json: { text: 'x'.repeat(100_000) } })
        statuses.add(response.status)
        await response.body?.cancel()
      }
      assert.ok(statuses.has(503), [...statuses].join())
      assert.ok([...statuses].every((status) => status === 503 || status === 202), [...statuses].join())
      const refused = await upload('too-much.txt', 3_000_000)
      assert.equal(refused.status, 503)
      assert.match(((await refused.json()) as Problem).detail!, /disk/)
      const config = await server.request('/api/config/agent', { method: 'PATCH', json: { max_steps: 7 } })
      assert.ok([200, 503].includes(config.status), `${config.status} ${await config.text()}`)
      assert.equal((await server.request('/api/health')).status, 200)

      rmSync(ballast)
      const again = await say('hello again')
      assert.equal(again.status, 200, await again.clone().text())
      assert.equal(((await again.json()) as Turn).state, 'completed')
      const files = readdirSync(join(disk.home, 'uploads'), { recursive: true }).map(String)
      assert.deepEqual(files.filter((name) => name.includes('too-much') || name.endsWith('.part')), [])
      assert.deepEqual(readdirSync(disk.home).filter((name) => name.endsWith('.tmp')), [])
      assert.equal((await server.stop()).code, 0)
    } finally {
      await server.kill()
      disk.unmount()
    }
  })
})
