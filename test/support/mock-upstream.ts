import { Buffer } from 'node:buffer'
import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import process from 'node:process'
import { anthropicVoice, chatVoice, type Voice } from './mock-voices.ts'

/** What the mock does with one request for an answer. */
export type Behaviour =
  | { kind: 'echo' }
  | { kind: 'text'; text: string }
  /** `count` tokens, one every `gap_ms`; 0 sends them as fast as they are taken. */
  | { kind: 'tokens'; count: number; gap_ms: number }
  | { kind: 'tool'; name: string; arguments: Record<string, unknown>; text?: string }
  | { kind: 'reasoning'; thought: string; text: string }
  | { kind: 'status'; status: number; headers?: Record<string, string>; body?: string }
  /** The body of the answer, as it is; `json` changes its content type. */
  | { kind: 'raw'; chunks: (string | Uint8Array)[]; json?: boolean }
  | { kind: 'malformed' }
  | { kind: 'cut' }
  | { kind: 'error_midway' }
  | { kind: 'hang' }
  | { kind: 'hang_midway' }

export type SeenRequest = {
  method: string
  path: string
  headers: IncomingHttpHeaders
  body: Record<string, unknown>
  /** `performance.now()` when the client went away before the answer was complete. */
  abortedAt?: number
}

export type MockUpstream = {
  /** `http://127.0.0.1:PORT`, to which `/v1` belongs. */
  url: string
  requests: SeenRequest[]
  /** What the next requests get, one each; afterwards the model's name decides again (see `behaviourOf`). */
  script(...behaviours: Behaviour[]): void
  close(): Promise<void>
}

/**
 * A server that speaks OpenAI chat completions and Anthropic Messages, as JSON and as SSE. It does what it is scripted
 * to; without a script the model's name says it. `record: false` keeps nothing, for benchmarks.
 */
export async function startMockUpstream(
  { port = 0, record = true }: { port?: number; record?: boolean } = {},
): Promise<MockUpstream> {
  const requests: SeenRequest[] = []
  const queue: Behaviour[] = []
  const server = createServer((request, response) => {
    answer(request, response, queue, record ? requests : undefined).catch((error) => {
      if (!response.headersSent) response.writeHead(400)
      response.end(String(error))
    })
  })
  server.keepAliveTimeout = 30_000
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    script: (...behaviours) => void queue.push(...behaviours),
    close: async () => {
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
}

export const MODELS = ['echo', 'tokens:100@10', 'tool:time_now', 'reasoning', 'status:401', 'cut', 'hang']

/**
 * The behaviour that a model's name asks for: `echo`, `tokens:200@10` (200 tokens, one each 10 ms), `tool:NAME`,
 * `reasoning`, `status:429`, `malformed`, `cut`, `error_midway`, `hang`, `hang_midway`; any other name echoes.
 */
export function behaviourOf(model: string): Behaviour {
  const [name = '', detail = ''] = model.split(':')
  switch (name) {
    case 'tokens': {
      const [count, gap] = detail.split('@')
      return { kind: 'tokens', count: Number(count) || 100, gap_ms: Number(gap) || 0 }
    }
    case 'tool':
      return { kind: 'tool', name: detail || 'time_now', arguments: {} }
    case 'status':
      return { kind: 'status', status: Number(detail) || 500 }
    case 'reasoning':
      return { kind: 'reasoning', thought: 'Let me think.', text: 'Done thinking.' }
    case 'malformed':
    case 'cut':
    case 'error_midway':
    case 'hang':
    case 'hang_midway':
      return { kind: name }
    default:
      return { kind: 'echo' }
  }
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  queue: Behaviour[],
  requests: SeenRequest[] | undefined,
): Promise<void> {
  const path = (request.url ?? '/').split('?')[0] ?? '/'
  const chunks: Uint8Array[] = []
  for await (const chunk of request) chunks.push(chunk)
  const text = Buffer.concat(chunks).toString()
  const body = (text ? JSON.parse(text) : {}) as Record<string, unknown>
  const seen: SeenRequest = { method: request.method ?? '', path, headers: request.headers, body }
  requests?.push(seen)
  response.on('close', () => {
    if (!response.writableFinished) seen.abortedAt = performance.now()
  })
  if (request.method === 'GET') return list(path, request, response)
  const voice = path.endsWith('/chat/completions')
    ? chatVoice(body)
    : path.endsWith('/messages')
    ? anthropicVoice(body)
    : undefined
  if (!voice) return json(response, 404, { error: { message: `no route ${path}` } })
  await perform(queue.shift() ?? behaviourOf(String(body.model)), voice, body, response)
}

function list(path: string, request: IncomingMessage, response: ServerResponse): void {
  if (path === '/api/tags') return json(response, 200, { models: MODELS.map((name) => ({ name, model: name })) })
  if (!path.endsWith('/models')) return json(response, 404, { error: { message: `no route ${path}` } })
  if (request.headers['x-api-key'] === 'bad' || request.headers.authorization === 'Bearer bad') {
    return json(response, 401, { error: { message: 'Incorrect API key provided: bad', code: 'invalid_api_key' } })
  }
  json(response, 200, { object: 'list', data: MODELS.map((id) => ({ id, object: 'model', owned_by: 'mock' })) })
}

async function perform(
  behaviour: Behaviour,
  voice: Voice,
  body: Record<string, unknown>,
  response: ServerResponse,
): Promise<void> {
  const stream = body.stream === true
  switch (behaviour.kind) {
    case 'status':
      response.writeHead(behaviour.status, { 'content-type': 'application/json', ...behaviour.headers })
      response.end(behaviour.body ?? JSON.stringify(voice.error(behaviour.status)))
      return
    case 'hang':
      return
    case 'raw':
      response.writeHead(200, { 'content-type': behaviour.json ? 'application/json' : 'text/event-stream' })
      for (const chunk of behaviour.chunks) {
        response.write(chunk)
        await new Promise((resolve) => setTimeout(resolve, 2))
      }
      response.end()
      return
  }
  const script = written(behaviour, voice, lastUserText(body))
  if (!stream) return json(response, 200, voice.whole(script.text, script.thought, script.tool))
  response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-store' })
  response.write(voice.start())
  if (behaviour.kind === 'tokens') return tokens(behaviour, voice, response)
  for (const piece of script.pieces) response.write(piece)
  if (behaviour.kind === 'hang_midway') return
  if (behaviour.kind === 'cut') {
    // The bytes must leave before the connection goes.
    setTimeout(() => response.destroy(), 10)
    return
  }
  if (behaviour.kind === 'malformed') return void response.end('data: {"choices":[{"delta":{"content":"bro\n\n')
  if (behaviour.kind === 'error_midway') return void response.end(voice.errorEvent('The server had an error'))
  response.end(voice.finish(script.tool !== undefined, count(script.text)))
}

type Script = {
  text: string
  thought: string
  tool?: { name: string; arguments: Record<string, unknown> }
  pieces: string[]
}

function written(behaviour: Behaviour, voice: Voice, asked: string): Script {
  switch (behaviour.kind) {
    case 'text':
      return { text: behaviour.text, thought: '', pieces: words(behaviour.text).map(voice.text) }
    case 'tokens':
      return { text: 'word '.repeat(behaviour.count), thought: '', pieces: [] }
    case 'tool': {
      const tool = { name: behaviour.name, arguments: behaviour.arguments }
      const text = behaviour.text ?? ''
      return {
        text,
        thought: '',
        tool,
        pieces: [...words(text).map(voice.text), ...voice.tool(tool.name, tool.arguments)],
      }
    }
    case 'reasoning':
      return {
        text: behaviour.text,
        thought: behaviour.thought,
        pieces: [...words(behaviour.thought).map(voice.reasoning), ...words(behaviour.text).map(voice.text)],
      }
    case 'echo':
      return { text: asked, thought: '', pieces: words(asked).map(voice.text) }
    default:
      return { text: 'one two', thought: '', pieces: ['one ', 'two'].map(voice.text) }
  }
}

/** One timer a stream; the piece is encoded once, for a thousand of these run in one process. */
function tokens(
  behaviour: { count: number; gap_ms: number },
  voice: Voice,
  response: ServerResponse,
): Promise<void> | void {
  const piece = Buffer.from(voice.text('word '))
  const end = (): void => void response.end(voice.finish(false, behaviour.count))
  let left = behaviour.count
  if (behaviour.gap_ms > 0) {
    const timer = setInterval(() => {
      if (left-- > 0) return void response.write(piece)
      clearInterval(timer)
      end()
    }, behaviour.gap_ms)
    response.on('close', () => clearInterval(timer))
    return
  }
  const flood = (): void => {
    while (left-- > 0) {
      if (!response.write(piece)) {
        response.once('drain', flood)
        return
      }
    }
    end()
  }
  flood()
}

const words = (text: string): string[] => text.match(/\s*\S+\s*|\s+/g) ?? []
const count = (text: string): number => words(text).length

function json(response: ServerResponse, status: number, body: unknown): void {
  const bytes = Buffer.from(JSON.stringify(body))
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': bytes.byteLength })
  response.end(bytes)
}

function lastUserText(body: Record<string, unknown>): string {
  const messages = Array.isArray(body.messages) ? body.messages as { role?: string; content?: unknown }[] : []
  const content = messages.findLast((message) => message.role === 'user')?.content
  if (typeof content === 'string') return content
  if (!Array.isArray(content)) return ''
  return content.map((part: { text?: string; type?: string }) => part.text ?? `[${part.type}]`).join(' ')
}

if (import.meta.main) {
  const mock = await startMockUpstream({ port: Number(process.argv[2]) || 0, record: false })
  console.log(mock.url)
}
