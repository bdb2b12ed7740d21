import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { Hono } from 'hono'
import type { Caller, Scope } from '../server/auth/principal.ts'
import type { AppEnv } from '../server/http/env.ts'
import { onError } from '../server/http/on-error.ts'
import { createLog } from '../server/system/logs.ts'
import { systemRoutes } from '../server/system/routes.ts'
import { createSystem } from '../server/system/service.ts'
import type { SystemSnapshot } from '../shared/system.ts'

const temporaryHome = () => mkdtemp(join(tmpdir(), 'gatehouse-system-'))

/** A log in a folder of its own, and the way to clean up after it. */
const withLog = (
  body: (world: { home: string; log: ReturnType<typeof createLog>; lines: () => Promise<string[]> }) => Promise<void>,
  options: { rotateAt?: number; stdout?: { isTTY?: boolean; write(text: string): unknown } } = {},
) =>
async () => {
  const home = await temporaryHome()
  const log = createLog({ home, ...options })
  const lines = async () => {
    log.flush()
    return (await readFile(join(home, 'logs', 'gatehouse.jsonl'), 'utf8')).trimEnd().split('\n')
  }
  try {
    await body({ home, log, lines })
  } finally {
    await log.stop()
    await rm(home, { recursive: true, force: true })
  }
}

describe('the log', () => {
  it(
    'writes JSON lines that only the owner may read, and none below its level',
    withLog(async ({ home, log, lines }) => {
      log.debug('a.b', 'too small')
      log.info('turn.started', 'A turn began', { session: 's1' })
      log.setLevel('error')
      log.warn('turn.slow', 'also too small')
      const [line, ...more] = (await lines()).map((text) => JSON.parse(text))
      assert.deepEqual(more, [])
      assert.deepEqual({ ...line, ts: 0 }, {
        ts: 0,
        level: 'info',
        event: 'turn.started',
        message: 'A turn began',
        session: 's1',
      })
      assert.ok(Math.abs(line.ts - Date.now() / 1000) < 5)
      assert.equal((await stat(join(home, 'logs', 'gatehouse.jsonl'))).mode & 0o077, 0)
    }),
  )

  it(
    'never holds a secret, whatever field it hides in',
    withLog(async ({ log, lines }) => {
      log.hide('correct-horse-battery')
      log.error('x.y', 'failed for correct-horse-battery with Bearer abcdef123456', {
        api_key: 'k1-plain',
        headers: { Authorization: 'Basic plain1234', accept: 'text/html' },
        url: 'https://user:hunter22@example.org/?token=plain-in-url&page=2',
        list: [`sk-${'a1'.repeat(12)}`, `bot 123456789:${'b2'.repeat(18)}`, 'ok'],
        error: new Error('cause: correct-horse-battery'),
        input_tokens: 42,
      })
      const [text = ''] = await lines()
      assert.doesNotMatch(text, /correct-horse|abcdef123456|k1-plain|plain1234|hunter22|plain-in-url|a1a1|b2b2/)
      const entry = JSON.parse(text)
      assert.equal(entry.input_tokens, 42)
      assert.equal(entry.headers.accept, 'text/html')
      assert.match(entry.url, /page=2/)
    }),
  )

  it(
    'takes anything without throwing',
    withLog(async ({ log, lines }) => {
      const cycle: Record<string, unknown> = { n: 1n, f: () => 1, bytes: new Uint8Array(3), when: new Date(NaN) }
      cycle.self = cycle
      log.info('odd.fields', 'x'.repeat(20_000), { cycle, ts: 'mine', level: 'mine' })
      const entry = JSON.parse((await lines())[0]!)
      assert.equal(entry.level, 'info')
      assert.ok(entry.message.length < 9000)
      assert.equal(entry.cycle.n, '1')
    }),
  )

  it('goes on when its folder can not be written', async () => {
    const home = await temporaryHome()
    await writeFile(join(home, 'logs'), 'a file where the folder should be')
    const log = createLog({ home })
    log.info('a.b', 'kept in memory')
    log.flush()
    assert.equal((await log.recent()).length, 1)
    await log.stop()
    await rm(home, { recursive: true })
  })

  it('shows readable lines on a terminal and lets no text steer it', async () => {
    const shown: string[] = []
    await withLog(async ({ log }) => {
      log.warn('model.said', 'red \x1b[31m and\x07 bell', { n: 1 })
      assert.match(shown[0]!, /^\d\d:\d\d:\d\d \x1b\[33mwarn \x1b\[0m model\.said  red \[31m and bell  n=1\n$/)
    }, { stdout: { isTTY: true, write: (text) => shown.push(text) } })()
  })

  it('shows JSON elsewhere', async () => {
    const shown: string[] = []
    await withLog(async ({ log }) => {
      log.info('a.b', 'hello')
      assert.equal(JSON.parse(shown[0]!).message, 'hello')
    }, { stdout: { write: (text) => shown.push(text) } })()
  })

  it(
    'puts full files aside and keeps five of them',
    withLog(async ({ home, log }) => {
      for (let i = 0; i < 8; i++) {
        log.info('fill.up', 'x'.repeat(300), { i })
        await log.stop()
        log.info('fill.up', 'y', { i })
        await new Promise((resolve) => setTimeout(resolve, 230))
      }
      await log.stop()
      const files = (await readdir(join(home, 'logs'))).sort()
      assert.deepEqual(files, ['gatehouse.jsonl', ...[1, 2, 3, 4, 5].map((i) => `gatehouse.jsonl.${i}`)])
    }, { rotateAt: 100 }),
  )

  it('remembers what an earlier run wrote, and skips torn lines', async () => {
    const home = await temporaryHome()
    await mkdir(join(home, 'logs'))
    const old = JSON.stringify({ ts: 5, level: 'error', event: 'old.run', message: 'before' })
    await writeFile(join(home, 'logs', 'gatehouse.jsonl'), `${old}\n{"ts":6,"level":"inf`)
    const log = createLog({ home })
    log.info('new.run', 'after')
    assert.deepEqual((await log.recent()).map(({ event }) => event), ['old.run', 'new.run'])
    await log.stop()
    await rm(home, { recursive: true })
  })

  it(
    'keeps the newest entries in memory, and hands each to its listeners',
    withLog(async ({ log }) => {
      let heard = 0
      const leave = log.subscribe(() => heard++)
      for (let i = 0; i < 3000; i++) log.info('many', String(i))
      leave()
      log.info('many', 'last')
      assert.equal(heard, 3000)
      const all = await log.recent({ lines: 2000 })
      assert.equal(all.length, 2000)
      assert.equal(all.at(-1)?.message, 'last')
    }),
  )
})

const caller = (scope: Scope): Caller => ({
  kind: 'key',
  handle: 'owner',
  id: 'k1',
  name: 'a script',
  scopes: new Set([scope]),
})

/** The routes on a small app; without a scope the caller is a stranger. */
async function setup(scope?: Scope, unready: () => Promise<string[]> = async () => []) {
  const home = await temporaryHome()
  const logs = createLog({ home })
  const restarts: string[] = []
  const system = createSystem({
    home,
    version: '1.2.3',
    runtime: { name: 'node', version: '24.0.0' },
    counts: () => ({ connected_clients: 3, active_turns: 2, queued_turns: 1, database_bytes: 4096 }),
    every: 50,
  })
  const app = new Hono<AppEnv>()
  app.onError(onError(logs))
  app.use(async (c, next) => {
    if (scope) c.set('caller', caller(scope))
    await next()
  })
  app.route(
    '/',
    systemRoutes({
      home,
      build: { version: '1.2.3', commit: 'abc', build_date: '2026-01-02' },
      system,
      logs,
      agentName: () => 'Ada',
      connectedClients: () => 3,
      unready,
      restart: ({ name }) => void restarts.push(name),
    }),
  )
  return {
    home,
    logs,
    system,
    restarts,
    get: (path: string) => app.request(path),
    send: (method: string, path: string) => app.request(path, { method }),
    close: async () => {
      system.stop()
      await logs.stop()
      await rm(home, { recursive: true, force: true })
    },
  }
}

type World = Awaited<ReturnType<typeof setup>>

const test = (
  title: string,
  scope: Scope | undefined,
  body: (world: World) => Promise<void>,
  unready?: () => Promise<string[]>,
) =>
  it(title, async () => {
    const world = await setup(scope, unready)
    try {
      await body(world)
    } finally {
      await world.close()
    }
  })

describe('health', () => {
  test('a stranger learns the status and the version and nothing else', undefined, async ({ get }) => {
    assert.deepEqual(await (await get('/api/health')).json(), { status: 'ok', version: '1.2.3' })
    assert.equal(await (await get('/livez')).text(), 'ok')
    assert.deepEqual(await (await get('/version')).json(), {
      version: '1.2.3',
      commit: 'abc',
      build_date: '2026-01-02',
      variant: 'full',
    })
    const ready = await (await get('/readyz')).json()
    assert.equal(ready.status, 'ok')
    assert.match(ready.workspace_hash, /^[0-9a-f]{64}$/)
  })

  test('a reader learns the name and the number of clients', 'read', async ({ get }) => {
    assert.deepEqual(await (await get('/api/health')).json(), {
      status: 'ok',
      version: '1.2.3',
      agent: 'Ada',
      connected_clients: 3,
    })
  })

  test('a server that is not ready says so, and why only to those who may know', undefined, async ({ get }) => {
    const response = await get('/readyz')
    assert.equal(response.status, 503)
    assert.deepEqual(await response.json(), { status: 'unavailable' })
  }, async () => ['The disk is full'])

  test('a check that fails counts as not ready', 'read', async ({ get }) => {
    const response = await get('/readyz')
    assert.equal(response.status, 503)
    assert.deepEqual(await response.json(), { status: 'unavailable', reasons: ['no database'] })
  }, async () => {
    throw new Error('no database')
  })
})

describe('the system', () => {
  test('a snapshot has every field, with numbers that make sense', 'read', async ({ get }) => {
    const snapshot: SystemSnapshot = await (await get('/api/system')).json()
    assert.deepEqual(Object.keys(snapshot).sort(), [
      'cpu',
      'disks',
      'gatehouse',
      'host',
      'memory',
      'network',
      'processes',
      'swap',
      'timestamp',
    ])
    const { cpu, memory, disks, gatehouse, processes, host } = snapshot
    assert.equal(host.openagent_version, '1.2.3')
    assert.equal(host.loadavg.length, 3)
    assert.ok(cpu.cores_logical >= 1 && cpu.per_core_pct.length >= 1)
    assert.ok([cpu.usage_pct, ...cpu.per_core_pct].every((value) => value >= 0 && value <= 100))
    assert.ok(memory.total_bytes > memory.used_bytes && memory.percent > 0 && memory.percent <= 100)
    assert.ok(disks.length > 0 && disks.every((disk) => disk.total_bytes > 0 && disk.percent <= 100))
    assert.ok(processes.length <= 25)
    assert.equal(gatehouse.pid, process.pid)
    assert.equal(gatehouse.database_bytes, 4096)
    assert.ok(gatehouse.rss_bytes > 1_000_000)
  })

  it('snapshots come by themselves while somebody listens, and not after', async () => {
    const world = await setup('read')
    let heard = 0
    const leave = world.system.subscribe(() => {
      if (++heard === 3) leave()
    })
    for (let i = 0; i < 600 && heard < 3; i++) await new Promise((resolve) => setTimeout(resolve, 50))
    await new Promise((resolve) => setTimeout(resolve, 300))
    assert.equal(heard, 3)
    await world.close()
  })

  test('a server on its own says so', 'read', async ({ get, home }) => {
    assert.deepEqual(await (await get('/api/network/info')).json(), {
      role: 'standalone',
      network_id: null,
      network_name: null,
      node_id: null,
    })
    const info = await (await get('/api/agent-info')).json()
    assert.deepEqual([info.name, info.agent_dir, info.role, info.version], ['Ada', home, 'standalone', '1.2.3'])
  })

  test('an administrator restarts it, a reader does not', 'admin', async ({ send, restarts }) => {
    assert.deepEqual(await (await send('POST', '/api/restart')).json(), { ok: true })
    assert.deepEqual(restarts, ['a script'])
    const reader = await setup('read')
    assert.equal((await reader.send('POST', '/api/restart')).status, 403)
    assert.equal((await reader.get('/api/logs')).status, 403)
    assert.deepEqual(reader.restarts, [])
    await reader.close()
  })
})

describe('the log over HTTP', () => {
  test('entries are a bare list, oldest first, chosen by event, level and text', 'admin', async ({ get, logs }) => {
    logs.info('turn.started', 'one')
    logs.error('turn.failed', 'two', { session: 'Kitchen' })
    logs.warn('plugin.slow', 'three')
    const events = async (query: string) =>
      (await (await get(`/api/logs${query}`)).json()).map((entry: { event: string }) => entry.event)
    assert.deepEqual(await events(''), ['turn.started', 'turn.failed', 'plugin.slow'])
    assert.deepEqual(await events('?lines=1'), ['plugin.slow'])
    assert.deepEqual(await events('?event=turn.'), ['turn.started', 'turn.failed'])
    assert.deepEqual(await events('?level=warn'), ['turn.failed', 'plugin.slow'])
    assert.deepEqual(await events('?q=kitchen'), ['turn.failed'])
    assert.equal((await get('/api/logs?lines=many')).status, 400)
    assert.equal((await get('/api/logs?lines=0')).status, 400)
  })

  test('emptied, it tells only who emptied it', 'admin', async ({ send, get, logs, home }) => {
    logs.info('turn.started', 'one')
    logs.flush()
    assert.deepEqual(await (await send('DELETE', '/api/logs')).json(), { ok: true })
    const left = await (await get('/api/logs')).json()
    assert.deepEqual(left.map((entry: { event: string; by: string }) => [entry.event, entry.by]), [[
      'log.cleared',
      'a script',
    ]])
    logs.flush()
    assert.doesNotMatch(await readFile(join(home, 'logs', 'gatehouse.jsonl'), 'utf8'), /turn\.started/)
  })
})
