import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { migrate } from '../server/db/migrate.ts'
import { openDatabase } from '../server/db/open.ts'
import { splitStatements, statementFacts } from '../server/db/sql-text.ts'
import { startHrana } from './support/hrana.ts'

const folder = await mkdtemp(join(tmpdir(), 'gatehouse-migrate-'))
let folders = 0

after(() => rm(folder, { recursive: true, force: true }))

/** Writes migrations into a new folder, or over those of `into`. */
async function migrations(files: Record<string, string>, into = join(folder, String(++folders))): Promise<string> {
  await mkdir(into, { recursive: true })
  for (const [name, text] of Object.entries(files)) await writeFile(join(into, name), text)
  return into
}

const NOTES = 'create table notes (id integer primary key, title text) strict;\n'
const LOGGED = `
  create table log (text);
  create trigger noted after insert on notes begin
    insert into log values (case when new.title = ';' then 'end;' else new.title end); -- one; statement
    insert into log values ('done');
  end;
`

describe('migrations', () => {
  it('are applied once, in order, each as a whole', async () => {
    const db = await openDatabase({ url: ':memory:' })
    const files = await migrations({ '0002-log.sql': LOGGED, '0001-notes.sql': NOTES, 'README.md': 'not one' })
    assert.deepEqual(await migrate(db, files), ['0001-notes', '0002-log'])
    const reads = db.stats().reads
    assert.deepEqual(await migrate(db, files), [])
    assert.equal(db.stats().reads - reads, 1)
    await db.run("insert into notes (title) values (';')")
    assert.deepEqual(await db.all('select text from log'), [{ text: 'end;' }, { text: 'done' }])
    await migrations({ '0003-more.sql': 'alter table notes add column size integer' }, files)
    assert.deepEqual(await migrate(db, files), ['0003-more'])
    await db.close()
  })

  it('keep nothing of one that fails, and name it', async () => {
    const db = await openDatabase({ url: ':memory:' })
    const files = await migrations({
      '0001-notes.sql': `${NOTES} create table other (x); insert into nowhere values (1);`,
    })
    await assert.rejects(migrate(db, files), {
      name: 'DatabaseRefused',
      message: 'The migration 0001-notes failed: no such table: nowhere. Nothing of it was kept.',
    })
    assert.deepEqual(await db.all("select name from sqlite_master where type = 'table'"), [])
    await db.close()
  })

  it('that were changed after they landed are refused; other line ends are no change', async () => {
    const db = await openDatabase({ url: ':memory:' })
    const files = await migrations({ '0001-notes.sql': NOTES })
    await migrate(db, files)
    await migrations({ '0001-notes.sql': NOTES.replaceAll('\n', '\r\n') }, files)
    assert.deepEqual(await migrate(db, files), [])
    await migrations({ '0001-notes.sql': NOTES + '-- better' }, files)
    await assert.rejects(migrate(db, files), { name: 'DatabaseRefused', message: /0001-notes was changed/ })
    await db.close()
  })

  it('of a newer program than this one are refused', async () => {
    const db = await openDatabase({ url: ':memory:' })
    await migrate(db, await migrations({ '0001-notes.sql': NOTES, '0002-log.sql': LOGGED }))
    const older = await migrations({ '0001-notes.sql': NOTES })
    await assert.rejects(migrate(db, older), { name: 'DatabaseRefused', message: /"0002-log".* newer version/ })
    await db.close()
  })

  it('with a gap, a number twice, a bad name or a transaction of their own are refused before anything runs', async () => {
    const db = await openDatabase({ url: ':memory:' })
    const refused: [Record<string, string>, RegExp][] = [
      [{ '0001-a.sql': NOTES, '0003-b.sql': '' }, /Migration 2 is missing/],
      [{ '0001-a.sql': NOTES, '0001-b.sql': '' }, /number 1: 0001-a and 0001-b/],
      [{ '1-a.sql': NOTES }, /must be named like/],
      [{ '0001-a.sql': 'begin; select 1; commit' }, /says "begin"/],
    ]
    for (const [files, message] of refused) {
      await assert.rejects(migrate(db, await migrations(files)), { name: 'DatabaseRefused', message })
    }
    assert.deepEqual(await db.all("select name from sqlite_master where type = 'table'"), [])
    await db.close()
  })

  it('are applied once when two instances start on one server', async () => {
    const server = await startHrana(join(folder, 'server.db'))
    const [one, two] = await Promise.all([openDatabase({ url: server.url }), openDatabase({ url: server.url })])
    const files = await migrations({ '0001-notes.sql': NOTES, '0002-log.sql': LOGGED })
    const applied = await Promise.all([migrate(one, files), migrate(two, files)])
    assert.deepEqual(applied.flat().sort(), ['0001-notes', '0002-log'])
    assert.equal((await one.all('select * from migrations')).length, 2)
    await Promise.all([one.close(), two.close()])
    await server.close()
  })
})

describe('SQL text', () => {
  it('is split at semicolons outside strings, names, comments and trigger bodies', () => {
    const script = `
      -- first; comment
      insert into "a;b" values ('it''s; fine', [c;d]); /* ; */ ;
      create temp trigger t after update on x begin select case when 1 then 2 end; select 3; end;
      select 'end'`
    assert.deepEqual(splitStatements(script), [
      `insert into "a;b" values ('it''s; fine', [c;d])`,
      'create temp trigger t after update on x begin select case when 1 then 2 end; select 3; end',
      `select 'end'`,
    ])
    assert.deepEqual(splitStatements(' ; -- nothing\n'), [])
  })

  it('counts as a read only when it surely is one', () => {
    const kinds: [string, string][] = [
      ['select 1', 'read'],
      ['-- insert\n SELECT 1', 'read'],
      ["with a as (select 'delete') select * from a", 'read'],
      ['with recursive a(x) as (select 1 union select x from a) update t set x = 1', 'write'],
      ['with a as (select 1) replace into t select * from a', 'write'],
      ['pragma table_info(t)', 'read'],
      ['pragma main.table_info(t)', 'read'],
      ['pragma user_version = 3', 'write'],
      ['pragma wal_checkpoint', 'write'],
      ['insert into t values (1) returning x', 'write'],
      ['vacuum', 'write'],
      ['end', 'control'],
    ]
    for (const [text, kind] of kinds) assert.equal(statementFacts(text).kind, kind, text)
    assert.equal(statementFacts('select ?, \'?\', /* ? */ "?", ?').parameters, 2)
    assert.equal(statementFacts('select ?1, ?1').parameters, undefined)
  })
})
