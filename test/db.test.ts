import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import { type Generated, sql } from 'kysely'
import { outsideTransaction } from '../server/db/engine.ts'
import { type Database, openDatabase } from '../server/db/open.ts'
import { isUniqueViolation } from '../server/db/sql-error.ts'
import { startHrana } from './support/hrana.ts'

type Tables = { notes: { id: Generated<number>; title: string; size: number | null; bytes: Uint8Array | null } }

const folder = await mkdtemp(join(tmpdir(), 'gatehouse-db-'))
let files = 0
const newFile = () => join(folder, `${++files}.db`)
const openFile = (file = newFile()) => openDatabase({ url: pathToFileURL(file).href })
const hrana = await startHrana(newFile())

after(async () => {
  await hrana.close()
  await rm(folder, { recursive: true, force: true })
})

const SCHEMA =
  'create table notes (id integer primary key, title text not null unique, size integer, bytes blob, any_value)'

async function withNotes(open: () => Promise<Database>, work: (db: Database) => Promise<void>): Promise<void> {
  const db = await open()
  try {
    await db.run('drop table if exists notes')
    await db.run(SCHEMA)
    await work(db)
  } finally {
    await db.close()
  }
}

const count = async (db: Database) => Number((await db.all('select count(*) as n from notes'))[0]?.n)

const stores: Record<string, () => Promise<Database>> = {
  'a local file': () => openFile(),
  memory: () => openDatabase({ url: ':memory:' }),
  'a remote server': () => openDatabase({ url: hrana.url }),
}

for (const [name, open] of Object.entries(stores)) {
  describe(`the database in ${name}`, () => {
    const using = (work: (db: Database) => Promise<void>) => () => withNotes(open, work)

    it(
      'gives back what was stored, in the types that features expect',
      using(async (db) => {
        const bytes = new Uint8Array([9, 1, 2, 3, 9]).subarray(1, 4)
        const insert = 'insert into notes (title, size, bytes, any_value) values (?, ?, ?, ?)'
        await db.run(insert, ['one', 7, bytes, 'text'])
        const [row] = await db.all('select * from notes')
        assert.deepEqual(row, { id: 1, title: 'one', size: 7, bytes: new Uint8Array([1, 2, 3]), any_value: 'text' })
        await db.run('update notes set any_value = ?', [5])
        assert.deepEqual((await db.all('select typeof(any_value) as type from notes'))[0], { type: 'integer' })
      }),
    )

    it(
      'turns booleans, dates and undefined into what SQL has',
      using(async (db) => {
        const when = new Date('2026-01-02T03:04:05.678Z')
        const [row] = await db.all('select ? as a, ? as b, ? as c, ? as d', [true, false, when, undefined])
        assert.deepEqual(row, { a: 1, b: 0, c: when.toISOString(), d: null })
      }),
    )

    it(
      'refuses values that SQL can not hold, names the parameter, and lives on',
      using(async (db) => {
        const bad = [{}, [1], () => 1, Symbol('x'), NaN, Infinity, 2n ** 63n, new Date(NaN)]
        for (const value of bad) {
          await assert.rejects(db.all('select ?, ?', [1, value]), { name: 'TypeError', message: /^SQL parameter 2 / })
          await assert.rejects(db.run('insert into notes (title, size) values (?, ?)', ['x', value]), TypeError)
        }
        await assert.rejects(db.all('select ?, ?', [1]), /has 2 parameters and was given 1/)
        assert.equal(await count(db), 0)
      }),
    )

    it(
      'gives integers beyond 2^53 as bigint, never rounded',
      using(async (db) => {
        const big = 2n ** 53n + 1n
        await db.run('insert into notes (title, size) values (?, ?)', ['big', big])
        await db.run('insert into notes (title, size) values (?, ?)', ['edge', Number.MAX_SAFE_INTEGER])
        const rows = await db.all('select size from notes order by id')
        assert.deepEqual(rows, [{ size: big }, { size: Number.MAX_SAFE_INTEGER }])
        const insert = 'insert into notes (title, size) values (?, ?) returning size'
        assert.deepEqual(await db.all(insert, ['min', -(2n ** 63n)]), [{ size: -(2n ** 63n) }])
      }),
    )

    it(
      'sends writes that look like reads to the writer',
      using(async (db) => {
        const withInsert =
          "with t(x) as (values ('a'), ('b')) insert into notes (title) select x from t returning title"
        assert.deepEqual(await db.all(withInsert), [{ title: 'a' }, { title: 'b' }])
        assert.deepEqual(await db.all("/* c */ update notes set size = 3 where title = 'a' returning size"), [{
          size: 3,
        }])
        const withSelect = 'with t as (select max(size) as x from notes) select x from t'
        assert.deepEqual(await db.all(withSelect), [{ x: 3 }])
        assert.equal((await db.all('pragma table_info(notes)')).length, 5)
      }),
    )

    it(
      'refuses transactions that are spelt in SQL',
      using(async (db) => {
        for (const text of ['begin', '-- x\ncommit', 'savepoint a', 'rollback']) {
          await assert.rejects(db.run(text), /go through transaction\(\)/)
        }
      }),
    )

    it(
      'tells Kysely how many rows changed and which id was given',
      using(async (db) => {
        const notes = db.kysely.withTables<Tables>()
        const inserted = await notes.insertInto('notes').values({ title: 'a' }).executeTakeFirstOrThrow()
        assert.equal(inserted.insertId, 1n)
        assert.equal(inserted.numInsertedOrUpdatedRows, 1n)
        const updated = await notes.updateTable('notes').set({ size: 1 }).executeTakeFirstOrThrow()
        assert.equal(updated.numUpdatedRows, 1n)
        const returned = await notes.insertInto('notes').values({ title: 'b' }).returning('id').executeTakeFirst()
        assert.deepEqual(returned, { id: 2 })
      }),
    )

    it(
      'keeps all of a transaction or nothing',
      using(async (db) => {
        const notes = db.kysely.withTables<Tables>()
        await assert.rejects(
          notes.transaction().execute(async (trx) => {
            await trx.insertInto('notes').values({ title: 'gone' }).execute()
            throw new Error('changed my mind')
          }),
          /changed my mind/,
        )
        assert.equal(await count(db), 0)
        await assert.rejects(
          db.batch([{ sql: "insert into notes (title) values ('x')" }, { sql: 'insert into nowhere values (1)' }]),
        )
        assert.equal(await count(db), 0)
        await db.batch([1, 2, 3].map((n) => ({ sql: 'insert into notes (title) values (?)', parameters: [`n${n}`] })))
        assert.equal(await count(db), 3)
      }),
    )

    it(
      'rolls back to a savepoint and keeps what came before',
      using(async (db) => {
        const trx = await db.kysely.withTables<Tables>().startTransaction().execute()
        await trx.insertInto('notes').values({ title: 'kept' }).execute()
        const saved = await trx.savepoint('half').execute()
        await saved.insertInto('notes').values({ title: 'dropped' }).execute()
        await saved.rollbackToSavepoint('half').execute()
        await trx.commit().execute()
        assert.deepEqual(await db.all('select title from notes'), [{ title: 'kept' }])
      }),
    )

    it(
      'runs 50 transactions at once, one after the other',
      using(async (db) => {
        const notes = db.kysely.withTables<Tables>()
        await db.run("insert into notes (title, size) values ('counter', 0)")
        await Promise.all(Array.from({ length: 50 }, () =>
          notes.transaction().execute(async (trx) => {
            const { size } = await trx.selectFrom('notes').select('size').executeTakeFirstOrThrow()
            await trx.updateTable('notes').set({ size: size! + 1 }).execute()
          })))
        assert.deepEqual(await db.all('select size from notes'), [{ size: 50 }])
      }),
    )

    it(
      'serves 100 mixed calls that arrive during a transaction',
      using(async (db) => {
        const notes = db.kysely.withTables<Tables>()
        const calls: Promise<unknown>[] = []
        await notes.transaction().execute(async (trx) => {
          await trx.insertInto('notes').values({ title: 'first' }).execute()
          for (let i = 0; i < 50; i++) {
            calls.push(outsideTransaction(() => db.run('insert into notes (title) values (?)', [`n${i}`])))
            calls.push(outsideTransaction(() => notes.selectFrom('notes').selectAll().execute()))
          }
          await sleep(20)
          await trx.insertInto('notes').values({ title: 'last' }).execute()
        })
        await Promise.all(calls)
        assert.equal(await count(db), 52)
        assert.deepEqual(await db.all("select id from notes where title = 'last'"), [{ id: 2 }])
      }),
    )

    it(
      'throws at once for a write through the database inside a transaction',
      using(async (db) => {
        const notes = db.kysely.withTables<Tables>()
        const nested: (() => Promise<unknown>)[] = [
          () => notes.insertInto('notes').values({ title: 'x' }).execute(),
          () => notes.transaction().execute(async () => {}),
          () => db.run("insert into notes (title) values ('x')"),
          () => db.batch([{ sql: "insert into notes (title) values ('x')" }]),
        ]
        await notes.transaction().execute(async (trx) => {
          for (const write of nested) {
            await assert.rejects(write, /inside a transaction, where it would wait for itself/)
          }
          await trx.insertInto('notes').values({ title: 'y' }).execute()
        })
        assert.deepEqual(await db.all('select title from notes'), [{ title: 'y' }])
      }),
    )

    it(
      'refuses one of many writes at once without harm to the others',
      using(async (db) => {
        const titles = ['a', 'b', 'a', 'c']
        const settled = await Promise.allSettled(
          titles.map((title) => db.run('insert into notes (title) values (?)', [title])),
        )
        assert.deepEqual(settled.map(({ status }) => status), ['fulfilled', 'fulfilled', 'rejected', 'fulfilled'])
        assert.equal(await count(db), 3)
        assert.ok(settled[2]?.status === 'rejected' && isUniqueViolation(settled[2].reason))
      }),
    )

    it(
      'sees new columns in a statement that it ran before',
      using(async (db) => {
        await db.run("insert into notes (title) values ('a')")
        await db.all('select * from notes where id = ?', [1])
        await db.run('alter table notes add column extra text')
        const [row] = await db.all('select * from notes where id = ?', [1])
        assert.equal(row?.extra, null)
      }),
    )

    it(
      'lists its tables to Kysely',
      using(async (db) => {
        const tables = await db.kysely.introspection.getTables()
        assert.ok(tables.some((table) => table.name === 'notes' && table.columns.length === 5))
        assert.deepEqual((await sql<{ one: number }>`select 1 as one`.execute(db.kysely)).rows, [{ one: 1 }])
      }),
    )

    it('finishes what runs when it is closed, and refuses what comes later', async () => {
      const db = await open()
      await db.run('drop table if exists notes')
      await db.run(SCHEMA)
      const writing = Promise.all(
        Array.from({ length: 20 }, (_, i) => db.run('insert into notes (title) values (?)', [`n${i}`])),
      )
      const reading = db.all('select count(*) as n from notes')
      const closing = db.close()
      await Promise.all([writing, reading])
      await closing
      await assert.rejects(db.all('select 1'), /The database is closed/)
      await assert.rejects(db.run('select 1'), /The database is closed/)
      await db.close()
    })
  })
}
