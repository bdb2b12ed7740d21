import process from 'node:process'
import { Hono } from 'hono'
import { listen } from './listen.ts'

// Bare Hono: what a server of this stack costs before it does anything. No authentication, no log, no storage.
const upstream = process.env.UPSTREAM ?? ''
const readers = new Set<ReadableStreamDefaultController<Uint8Array>>()
const encoder = new TextEncoder()
let published = 0

const app = new Hono()
app.get('/health', (c) => c.json({ ok: true }))

app.get('/json/:id', (c) =>
  c.json({
    session_id: c.req.param('id'),
    title: 'A session',
    model: null,
    pinned: false,
    message_count: 2,
    created_at: 1_700_000_000,
    last_active_at: 1_700_000_000,
  }))

app.post('/v1/chat/completions', async (c) => {
  const answer = await fetch(`${upstream}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: await c.req.text(),
  })
  return new Response(answer.body, { headers: { 'content-type': 'text/event-stream' } })
})

app.get('/events', () => {
  let reader: ReadableStreamDefaultController<Uint8Array>
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      reader = controller
      readers.add(reader)
      reader.enqueue(encoder.encode(': hello\n\n'))
    },
    cancel: () => void readers.delete(reader),
  })
  return new Response(body, { headers: { 'content-type': 'text/event-stream' } })
})

app.post('/publish', async (c) => {
  const frame = encoder.encode(`id: ${++published}\ndata: ${JSON.stringify(await c.req.json())}\n\n`)
  for (const reader of readers) reader.enqueue(frame)
  return c.json({ ok: true })
})

await listen(app)
