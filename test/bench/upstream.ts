import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import process from 'node:process'
import { now } from './load/clock.ts'

// A model that answers `tokens <count> <gap in ms>` with so many tokens, each of them the time at which it was sent,
// so that a reader knows how long it was on its way. A gap of 0 sends all of them at once.

const piece = (content: string): string =>
  `data: ${
    JSON.stringify({
      id: 'c',
      object: 'chat.completion.chunk',
      model: 'bench',
      choices: [{ index: 0, delta: { content } }],
    })
  }\n\n`

const stamp = (): string => piece(`${now().toFixed(2)} `)

function finish(response: ServerResponse, count: number): void {
  const usage = { prompt_tokens: 10, completion_tokens: count, total_tokens: count + 10 }
  response.write(
    `data: ${
      JSON.stringify({ id: 'c', model: 'bench', choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] })
    }\n\n` +
      `data: ${JSON.stringify({ id: 'c', model: 'bench', choices: [], usage })}\n\n`,
  )
  response.end('data: [DONE]\n\n')
}

const server = createServer(async (request, response) => {
  if (request.method === 'GET') {
    response.writeHead(200, { 'content-type': 'application/json' })
    response.end(JSON.stringify({ object: 'list', data: [{ id: 'bench', object: 'model' }] }))
    return
  }
  let text = ''
  for await (const chunk of request) text += chunk
  const body = JSON.parse(text) as { messages: { role: string; content: unknown }[] }
  const asked = JSON.stringify(body.messages.findLast((message) => message.role === 'user')?.content ?? '')
  const [, count = '8', gap = '0'] = /tokens (\d+) (\d+)/.exec(asked) ?? []
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  if (gap === '0') {
    response.write(stamp().repeat(Number(count)))
    return finish(response, Number(count))
  }
  let sent = 0
  const send = (): void => {
    response.write(stamp())
    if (++sent < Number(count)) return
    clearInterval(timer)
    finish(response, sent)
  }
  const timer = setInterval(send, Number(gap))
  response.on('close', () => clearInterval(timer))
  send()
})
server.keepAliveTimeout = 60_000
server.listen(Number(process.env.PORT), '127.0.0.1')
await once(server, 'listening')
process.on('SIGTERM', () => process.exit(0))
