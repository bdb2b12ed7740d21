import { Buffer } from 'node:buffer'
import { createServer, type IncomingMessage } from 'node:http'
import { type WebSocket, WebSocketServer } from 'ws'

type Call = { method: string; path: string; body: Record<string, unknown>; raw: string }
type Answer = { status: number; body: unknown; headers?: Record<string, string> }
type Posted = Record<string, unknown> & { id: string; channel_id: string }
type Frame = { op: number; d: Record<string, unknown> }

const ME = { id: '700', username: 'helper', discriminator: '0420', global_name: null, avatar: null, bot: true }

/** As much of Discord's REST API and gateway as the plugin uses, for its tests. */
export async function startDiscord(token: string) {
  const calls: Call[] = []
  const watchers = new Set<() => void>()
  /** Answers to give before the usual ones. */
  const prepared: (Answer & { method: string; path: string })[] = []
  const files = new Map<string, Uint8Array>()
  const channels = new Map<string, Record<string, unknown>>()
  /** What stands in channels, by people and by the bot. */
  const messages: Posted[] = []
  const sockets = new Set<WebSocket>()
  const identified: Record<string, unknown>[] = []
  const resumed: Record<string, unknown>[] = []
  const dispatched: { t: string; s: number; d: unknown }[] = []
  let session = 1
  let sequence = 0
  let lastId = 1000
  /** Closes new connections with this code. */
  let refusing: number | undefined

  const changed = (): void => watchers.forEach((look) => look())
  const found = <T>(find: () => T | undefined, what: string): Promise<T> =>
    new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`${what} did not come`)), 10_000)
      const look = (): void => {
        const value = find()
        if (value === undefined) return
        clearTimeout(timer)
        watchers.delete(look)
        resolve(value)
      }
      watchers.add(look)
      look()
    })

  function post(channel: string, body: Record<string, unknown>): Answer {
    // A nonce that is enforced makes two sends one message.
    const same = body.enforce_nonce && messages.find((message) => message.nonce === body.nonce)
    if (same) return { status: 200, body: same }
    const message = { ...body, id: String(++lastId), channel_id: channel, author: ME }
    messages.push(message)
    return { status: 200, body: message }
  }

  function answer({ method, path, body }: Call, query: URLSearchParams): Answer {
    const [, kind, id = '', what] = path.split('/')
    if (path === '/users/@me') return { status: 200, body: ME }
    if (path === '/applications/@me') return { status: 200, body: { id: '701' } }
    if (path === '/gateway/bot') {
      const session_start_limit = { total: 1000, remaining: 999, reset_after: 60_000, max_concurrency: 1 }
      return { status: 200, body: { url: `ws://127.0.0.1:${port}`, shards: 1, session_start_limit } }
    }
    if (kind === 'channels') {
      const channel = channels.get(id)
      if (!channel) return { status: 404, body: { code: 10003, message: 'Unknown Channel' } }
      if (!what) return { status: 200, body: channel }
      if (what === 'messages' && method === 'POST') return post(id, body)
      if (what === 'messages' && method === 'GET') {
        const later = messages.filter(({ channel_id, id: number }) =>
          channel_id === id && Number(number) > Number(query.get('after'))
        )
        return { status: 200, body: later.slice(0, Number(query.get('limit'))).toReversed() }
      }
      if (method === 'PATCH') return { status: 200, body: { ...body, id: path.split('/')[4], channel_id: id } }
    }
    if (kind === 'webhooks') return { status: 200, body: { id: String(++lastId), channel_id: '1' } }
    if (kind === 'applications') return { status: 200, body: [] }
    return { status: 204, body: undefined }
  }

  const server = createServer(async (request, response) => {
    const url = new URL(request.url!, 'http://x')
    const file = /^\/files\/(.+)$/.exec(url.pathname)?.[1]
    if (file) return void response.end(files.get(file))
    const raw = await textOf(request).catch(() => undefined)
    if (raw === undefined) return // Whoever asked was ended in the middle of it.
    const call = {
      method: request.method!,
      path: decodeURIComponent(url.pathname).replace(/^\/api\/v10/, ''),
      body: bodyOf(raw),
      raw,
    }
    const open = /^\/(interactions|webhooks)\//.test(call.path)
    const at = prepared.findIndex(({ method, path }) => method === call.method && path === call.path)
    const result: Answer = !open && request.headers.authorization !== `Bot ${token}`
      ? { status: 401, body: { message: '401: Unauthorized', code: 0 } }
      : at >= 0
      ? prepared.splice(at, 1)[0]!
      : answer(call, url.searchParams)
    const type = result.body === undefined ? {} : { 'content-type': 'application/json' }
    response.writeHead(result.status, { ...type, ...result.headers })
    response.end(result.body === undefined ? undefined : JSON.stringify(result.body))
    calls.push(call)
    changed()
  })
  const gateway = new WebSocketServer({ server })

  gateway.on('connection', (socket: WebSocket) => {
    if (refusing !== undefined) return socket.close(refusing)
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.on('message', (data) => {
      const frame = JSON.parse(String(data)) as Frame
      if (frame.op === 1) return socket.send(JSON.stringify({ op: 11 }))
      if (frame.d.token !== token) return socket.close(4004)
      if (frame.op === 2) identify(socket, frame.d)
      if (frame.op === 6) resume(socket, frame.d)
      changed()
    })
    socket.send(JSON.stringify({ op: 10, d: { heartbeat_interval: 40_000 } }))
  })

  function dispatch(t: string, d: unknown, to: Iterable<WebSocket> = sockets): void {
    const frame = { op: 0, t, s: ++sequence, d }
    dispatched.push(frame)
    for (const socket of to) socket.send(JSON.stringify(frame))
  }

  function identify(socket: WebSocket, d: Record<string, unknown>): void {
    identified.push(d)
    const session_id = `session-${session}`
    const resume_gateway_url = `ws://127.0.0.1:${port}`
    dispatch('READY', { v: 10, user: ME, session_id, resume_gateway_url, guilds: [], application: { id: '701' } }, [
      socket,
    ])
    const all = [...channels.values()].filter(({ guild_id, hidden }) => guild_id && !hidden)
    dispatch('GUILD_CREATE', {
      id: '900',
      roles: [{ id: '901', name: 'helper', tags: { bot_id: ME.id } }],
      channels: all.filter(({ parent_id }) => !parent_id),
      threads: all.filter(({ parent_id }) => parent_id),
    }, [socket])
  }

  function resume(socket: WebSocket, d: Record<string, unknown>): void {
    resumed.push(d)
    if (d.session_id !== `session-${session}`) return socket.send(JSON.stringify({ op: 9, d: false }))
    for (const frame of dispatched) if (frame.s > Number(d.seq)) socket.send(JSON.stringify(frame))
    dispatch('RESUMED', {}, [socket])
  }

  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }

  return {
    url: `http://127.0.0.1:${port}`,
    calls,
    files,
    prepared,
    messages,
    identified,
    resumed,
    channel: (channel: Record<string, unknown> & { id: string }): void => void channels.set(channel.id, channel),
    refuse: (code: number | undefined): void => void (refusing = code),

    /** Somebody writes; on the gateway too, unless nobody could hear it. Resolves to the number of the message. */
    write(channel_id: string, content: string, more: object = {}): string {
      const message = {
        id: String(++lastId),
        channel_id,
        type: 0,
        author: { id: '42', username: 'ada', global_name: 'Ada L' },
        content,
        timestamp: '2026-03-01T08:15:00.000000+00:00',
        attachments: [],
        embeds: [],
        mentions: [],
        mention_roles: [],
        ...more,
      }
      messages.push(message)
      const guild_id = channels.get(channel_id)?.guild_id
      dispatch('MESSAGE_CREATE', { ...message, ...(guild_id ? { guild_id } : {}) })
      return message.id
    },
    dispatch: (t: string, d: unknown): void => dispatch(t, d),
    /** Cuts the connections as a network does. */
    cut: (): void => sockets.forEach((socket) => socket.terminate()),
    /** Sessions until now can't be resumed any more. */
    forget(): void {
      session++
      dispatched.length = 0
      sequence = 0
    },
    called: (method: string, path: string | RegExp, from = 0): Promise<Call> =>
      found(
        () => calls.slice(from).find((call) => call.method === method && call.path.search(path) === 0),
        `${method} ${path}`,
      ),
    until: <T>(find: () => T | undefined, what: string): Promise<T> => found(find, what),
    async close(): Promise<void> {
      for (const socket of sockets) socket.terminate()
      gateway.close()
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

async function textOf(request: IncomingMessage): Promise<string> {
  const chunks: Uint8Array[] = []
  for await (const chunk of request) chunks.push(chunk as Uint8Array)
  return Buffer.concat(chunks).toString()
}

/** A message with a file has its JSON in a part of its own. */
function bodyOf(raw: string): Record<string, unknown> {
  const json = raw.startsWith('--') ? /name="payload_json"\r\n\r\n(.*)\r\n/.exec(raw)?.[1] : raw
  const value = json ? JSON.parse(json) as unknown : {}
  return Array.isArray(value) ? { list: value } : value as Record<string, unknown>
}
