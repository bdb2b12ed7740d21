import process from 'node:process'
import { Hono } from 'hono'
import Database from 'libsql'
import { listen } from './listen.ts'

// What a stored turn and a page of a transcript cost at least: Hono, prepared statements, one model call.
const upstream = process.env.UPSTREAM ?? ''
const db = new Database(process.env.DATABASE ?? ':memory:')
db.exec('pragma journal_mode = wal')
db.exec('pragma synchronous = full')
db.exec('create table if not exists limit_turns (id integer primary key, input text not null, answer text) strict')
const ask = db.prepare('insert into limit_turns (input) values (?)')
const answer = db.prepare('update limit_turns set answer = ? where id = ?')

const app = new Hono()
app.get('/health', (c) => c.json({ ok: true }))

app.post('/turn', async (c) => {
  const { text } = await c.req.json<{ text: string }>()
  const { lastInsertRowid } = ask.run([text])
  const response = await fetch(`${upstream}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'bench', stream: true, messages: [{ role: 'user', content: text }] }),
  })
  let said = ''
  for (const line of (await response.text()).split('\n')) {
    if (!line.startsWith('data: {')) continue
    said += (JSON.parse(line.slice(6)) as { choices: { delta?: { content?: string } }[] }).choices[0]?.delta?.content ??
      ''
  }
  answer.run([said, lastInsertRowid])
  return c.json({ text: said })
})

const page = process.env.DATABASE && process.env.SESSION
  ? db.prepare(
    `select mid, turn_id, role, step, text, data, at from messages
     where sid = (select sid from sessions where id = ?) and hidden = 0 order by mid desc limit 50`,
  )
  : undefined
app.get('/page/:id', (c) => c.json({ messages: page!.all([c.req.param('id')]) }))

await listen(app)
