import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import { lockHome } from '../server/db/lock.ts'
import { openDatabase } from '../server/db/open.ts'

const folder = await mkdtemp(join(tmpdir(), 'gatehouse-db-'))
let files = 0
const newPath = () => join(folder, String(++files))
const openFile = (path = newPath()) => openDatabase({ url: pathToFileURL(path).href })
const children = new Set<ChildProcess>()

after(async () => {
  for (const child of children) child.kill('SIGKILL')
  await rm(folder, { recursive: true, force: true })
})

type Program = { command: string; args: string[] }
const own: Program = { command: process.execPath, args: process.versions.deno ? ['run', '-A', '--no-check'] : [] }
const installed = (name: string) => join(import.meta.dirname, '../node_modules/.bin', name)

/** Starts `support/db-child.ts`; `lines` yields what it says. */
function start(args: string[], { command, args: flags } = own) {
  const script = join(import.meta.dirname, 'support/db-child.ts')
  const child = spawn(command, [...flags, script, ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
  children.add(child)
  const exited = once(child, 'close').then(() => children.delete(child))
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  return { child, exited, lines, next: async () => (await lines.next()).value as string | undefined }
}

describe('a local database', () => {
  it('is readable by its owner only, and keeps its log beside it in WAL mode', async () => {
    const path = newPath()
    const db = await openFile(path)
    assert.equal((await stat(path)).mode & 0o777, 0o600)
    assert.deepEqual(await db.all('pragma journal_mode'), [{ journal_mode: 'wal' }])
    assert.deepEqual(await db.all('pragma synchronous'), [{ synchronous: 2 }])
    assert.deepEqual(await db.all('pragma foreign_keys'), [{ foreign_keys: 1 }])
    await db.run('create table t (x)')
    await db.checkpoint()
    assert.equal((await stat(`${path}-wal`)).size, 0)
    await db.run('insert into t values (1)')
    await db.close()
    const left = await stat(`${path}-wal`).catch(() => ({ size: 0 }))
    assert.equal(left.size, 0)
  })

  it('answers reads during a write transaction from the last commit, at once', async () => {
    const db = await openFile()
    await db.run('create table t (id integer primary key)')
    await db.run('insert into t values (1)')
    await db.kysely.transaction().execute(async (trx) => {
      await trx.withTables<{ t: { id: number } }>().insertInto('t').values({ id: 2 }).execute()
      const begun = performance.now()
      assert.deepEqual(await db.all('select id from t where id = ?', [2]), [])
      assert.deepEqual(await db.all('select count(*) as n from t'), [{ n: 1 }])
      await sleep(50)
      assert.ok(performance.now() - begun < 1000)
    })
    assert.deepEqual(await db.all('select id from t where id = ?', [2]), [{ id: 2 }])
    assert.deepEqual(await db.all('select count(*) as n from t'), [{ n: 2 }])
    await db.close()
  })

  it('sees each commit, also after a query plan was asked for', async () => {
    const db = await openFile()
    await db.run('create table t (id integer primary key)')
    for (let id = 1; id <= 10; id++) {
      await db.all('explain query plan select * from t')
      await db.run('insert into t values (?)', [id])
      assert.deepEqual(await db.all('select id from t where id = ?', [id]), [{ id }])
      assert.deepEqual(await db.all('select count(*) as n from t'), [{ n: id }])
    }
    await db.close()
  })

  it('lets the event loop go on while it scans', async () => {
    const db = await openFile()
    await db.run('create table t (id integer primary key, text)')
    await db.run(`
      with recursive n(i) as (select 1 union all select i + 1 from n where i < 200000)
      insert into t (text) select hex(randomblob(40)) from n`)
    let ticks = 0
    const timer = setInterval(() => ticks++, 1)
    await db.all("select count(*) as n from t where text like '%ABCDEF%' or text like '%123456%'")
    await db.all('select * from t')
    clearInterval(timer)
    assert.ok(ticks >= 5, `${ticks} ticks`)
    await db.close()
  })

  it('waits for another process that holds the database, without blocking', async () => {
    const path = newPath()
    const db = await openFile(path)
    await db.run('create table t (id integer primary key)')
    const holder = start(['hold', path, '300'])
    assert.equal(await holder.next(), 'holding')
    let ticks = 0
    const timer = setInterval(() => ticks++, 5)
    await db.run('insert into t values (1)').finally(() => clearInterval(timer))
    assert.ok(db.stats().busy > 0)
    assert.ok(ticks > 5, `${ticks} ticks`)
    await holder.exited
    assert.deepEqual(await db.all('select * from t'), [{ id: 1 }])
    await db.close()
  })

  it('loses no acknowledged row when the process is killed amid commits', async () => {
    const path = newPath()
    const setup = await openFile(path)
    await setup.run('create table acknowledged (id integer primary key)')
    await setup.close()
    for (let round = 0; round < 2; round++) {
      const { child, exited, lines } = start(['write', path])
      const ids: number[] = []
      for await (const line of { [Symbol.asyncIterator]: () => lines }) {
        ids.push(Number(line))
        if (ids.length === 200 + round * 37) child.kill('SIGKILL')
      }
      await exited
      const db = await openFile(path)
      const kept = new Set((await db.all('select id from acknowledged')).map((row) => row.id))
      // The last line may have been cut off by the kill.
      assert.deepEqual(ids.slice(0, -1).filter((id) => !kept.has(id)), [])
      assert.deepEqual(await db.all('pragma integrity_check'), [{ integrity_check: 'ok' }])
      await db.close()
    }
  })

  it('refuses what does not fit on a full disk, keeps the rest, and works again when there is room', async () => {
    const db = await openFile()
    await db.run('create table t (id integer primary key, text)')
    const [size] = await db.all('pragma page_count')
    await db.run(`pragma max_page_count = ${Number(size?.page_count) + 20}`)
    const big = 'x'.repeat(20_000)
    const insert = { sql: 'insert into t (text) values (?)', parameters: [big] }
    await assert.rejects(db.batch(Array.from({ length: 20 }, () => insert)), { code: 'SQLITE_FULL' })
    assert.deepEqual(await db.all('select count(*) as n from t'), [{ n: 0 }])
    const tables = db.kysely.withTables<{ t: { text: string } }>()
    await assert.rejects(
      tables.transaction().execute(async (trx) => {
        for (let i = 0; i < 20; i++) await trx.insertInto('t').values({ text: big }).execute().catch(() => {})
      }),
      /rolled the transaction back/,
    )
    assert.deepEqual(await db.all('select count(*) as n from t'), [{ n: 0 }])
    const settled = await Promise.allSettled(Array.from({ length: 20 }, () => db.run(insert.sql, [big])))
    const kept = settled.filter(({ status }) => status === 'fulfilled').length
    assert.ok(kept > 0 && kept < 20)
    assert.deepEqual(await db.all('select count(*) as n from t'), [{ n: kept }])
    await db.run('pragma max_page_count = 100000')
    await db.run(insert.sql, [big])
    await db.close()
  })

  it('waits for the disk with each commit but those that ask not to, and with one in a hundred of these', async () => {
    const db = await openFile()
    await db.run('create table t (x)')
    const waits = async () => (await db.all('pragma synchronous'))[0]!.synchronous === 2
    const note = () => db.batch([{ sql: 'insert into t values (1)' }], { sync: false })
    await note()
    assert.equal(await waits(), false)
    await assert.rejects(db.batch([{ sql: 'insert into nowhere values (1)' }], { sync: false }))
    await db.run('insert into t values (2)')
    assert.equal(await waits(), true)
    const waited: number[] = []
    for (let i = 0; i < 250; i++) {
      await note()
      if (await waits()) waited.push(i)
    }
    assert.deepEqual(waited, [100, 201])
    assert.deepEqual(await db.all('select count(*) as n from t'), [{ n: 252 }])
    await db.close()
  })

  it('undoes a transaction whose commit fails, and lets the next writer in', async () => {
    const db = await openFile()
    await db.run('create table parent (id integer primary key)')
    await db.run('create table child (id references parent deferrable initially deferred)')
    const orphan = { sql: 'insert into child values (7)' }
    await assert.rejects(db.batch([orphan]), /FOREIGN KEY constraint failed/)
    const writes = [
      db.run('insert into parent values (1)'),
      db.run(orphan.sql),
      db.run('insert into parent values (2)'),
    ]
    const settled = await Promise.allSettled(writes)
    assert.deepEqual(settled.map(({ status }) => status), ['fulfilled', 'rejected', 'fulfilled'])
    assert.deepEqual(await db.all('select count(*) as n from parent'), [{ n: 2 }])
    assert.deepEqual(await db.all('select count(*) as n from child'), [{ n: 0 }])
    await db.close()
  })

  it('keeps memory flat over many different statements', async () => {
    const db = await openFile()
    const run = async (from: number) => {
      for (let i = from; i < from + 5000; i++) await db.all(`select ${i} as n`)
    }
    await run(0)
    const before = process.memoryUsage().rss
    // A statement that is never freed holds about 5 KB: these would hold 200 MB.
    for (let from = 5000; from < 45_000; from += 5000) await run(from)
    assert.ok(process.memoryUsage().rss - before < 170 * 1024 * 1024)
    await db.close()
  })
})

describe('the lock on a home', () => {
  const newHome = async () => {
    const home = newPath()
    await mkdir(home)
    return home
  }

  it('refuses a second process, names the first, and is free again after kill -9', async () => {
    const home = await newHome()
    const first = start(['lock', home])
    assert.equal(await first.next(), 'locked')
    await assert.rejects(lockHome(home), {
      name: 'DatabaseRefused',
      message: `${home} is in use by the process ${first.child.pid}. ` +
        'Stop it first, or start with another home folder.',
    })
    first.child.kill('SIGKILL')
    await first.exited
    const lock = await lockHome(home)
    await assert.rejects(lockHome(home), /is in use by the process/)
    lock.release()
    lock.release()
    ;(await lockHome(home)).release()
  })

  it('goes to exactly one of several that start at once', async () => {
    const home = await newHome()
    const starters = [1, 2, 3].map(() => start(['lock', home]))
    const said = await Promise.all(starters.map(({ next }) => next()))
    assert.equal(said.filter((line) => line === 'locked').length, 1, said.join('\n'))
    assert.equal(said.filter((line) => line?.startsWith('refused: ')).length, 2)
    for (const { child, exited } of starters) {
      child.kill('SIGKILL')
      await exited
    }
  })

  it('holds between Node, Deno and Bun', async () => {
    const home = await newHome()
    const lock = await lockHome(home)
    const others: Program[] = [
      { command: installed('node'), args: [] },
      { command: installed('deno'), args: ['run', '-A', '--no-check'] },
      { command: installed('bun'), args: [] },
    ]
    for (const other of others) {
      const contender = start(['lock', home], other)
      assert.match((await contender.next()) ?? '', new RegExp(`^refused: .* process ${process.pid}\\b`))
      await contender.exited
    }
    lock.release()
  })

  it('takes over from a process that is dead, or whose number another process has now', async () => {
    const home = await newHome()
    for (const owner of [{ pid: 999_999_999, started: '1' }, { pid: process.ppid, started: '1' }, 'torn']) {
      await writeFile(join(home, '.lock.pid'), JSON.stringify(owner).slice(0, owner === 'torn' ? 3 : undefined))
      ;(await lockHome(home)).release()
    }
  })
})
