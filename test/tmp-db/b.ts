import { openDatabase } from '../../server/db/open.ts'
import { mkdtempSync } from 'node:fs'
const rt = process.versions.bun ? 'bun' : process.versions.deno ? 'deno' : 'node'
const dir = mkdtempSync('/tmp/dbp/m')
const rss = () => (process.memoryUsage().rss / 1e6).toFixed(0)
const m0 = rss(), d = await openDatabase({ url: `file:${dir}/a.db` })
await d.all('select 1'); const m1 = rss()
await d.run('create table m(id integer primary key, session text, text text) strict'); await d.run('create index ms on m(session, id)')
for (let i = 0; i < 60; i++) await d.batch(Array.from({ length: 5000 }, (_, k) => ({ sql: 'insert into m(session,text) values(?,?)', parameters: [`s${(i * 5000 + k) % 500}`, 'x'.repeat(300)] })))
const m2 = rss()
const db = d.kysely.withTables<{ m: { id: number; session: string; text: string } }>()
const page = 'select * from m where session = ? and id < ? order by id desc limit 50'
const times: number[] = [], kt: number[] = []
for (let i = 0; i < 2000; i++) { let t = performance.now(); await d.all(page, [`s${i % 500}`, 290000 - i]); times.push(performance.now() - t); t = performance.now(); await db.selectFrom('m').selectAll().where('session', '=', `s${i % 500}`).where('id', '<', 290000 - i).orderBy('id', 'desc').limit(50).execute(); kt.push(performance.now() - t) }
const q = (a: number[], p: number) => a.sort((x, y) => x - y)[Math.floor(a.length * p)]!
// load
const gaps: number[] = []; let last = performance.now(), stop = false
const tick = () => { const n = performance.now(); gaps.push(n - last); last = n; if (!stop) setImmediate(tick) }
await new Promise((r) => setTimeout(r, 50)); last = performance.now(); tick()
const end = performance.now() + 6000; let w = 0, r = 0, s = 0
const writer = async () => { while (performance.now() < end) { await Promise.all(Array.from({ length: 10 }, () => d.run('insert into m(session,text) values(?,?)', ['live', 'y'.repeat(300)]))); w += 10; await new Promise((r) => setTimeout(r, 9)) } }
const reader = async () => { while (performance.now() < end) { await db.selectFrom('m').selectAll().where('session', '=', `s${r % 500}`).where('id', '<', 290000).orderBy('id', 'desc').limit(50).execute(); r++; await new Promise((r) => setTimeout(r, 2)) } }
const scanner = async () => { while (performance.now() < end) { await d.all("select count(*) c from m where text like '%z%'"); s++ } }
await Promise.all([writer(), reader(), reader(), scanner()]); stop = true
const secs = 6
console.log(rt, { rssStart: m0, rssOpen: m1, rssAfter300k: m2, rssEnd: rss(), pageRaw: q(times, .5).toFixed(3), pageKysely: q(kt, .5).toFixed(3), writes: w / secs, reads: r / secs, scans: s / secs, gapP999: q(gaps, .999).toFixed(1), gapMax: q(gaps, 1 - 1e-9).toFixed(1), ticks: gaps.length }, JSON.stringify(d.stats()))
await d.close()
