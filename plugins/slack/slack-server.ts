import { Buffer } from 'node:buffer'
import { createServer, type IncomingMessage } from 'node:http'
import { type WebSocket, WebSocketServer } from 'ws'
import { type Answer, faultOf, ME, no, type Posted } from './slack-methods.ts'

type Call = { method: string; token: string; args: Record<string, string> }
type Prepared = { method: string; status?: number; headers?: Record<string, string>; body?: Answer; cut?: boolean }
type Envelope = { envelope_id: string; type: string; payload: Record<string, unknown>; retry_attempt?: number }
type Channel = { id: string; member: boolean }

/** As much of Slack as the plugin uses, for its tests: the Web API, the socket mode, and where files are. */
export async function startSlack({ bot, app, retryMs = 3000 }: { bot: string; app: string; retryMs?: number }) {
  const calls: Call[] = []
  const watchers = new Set<() => void>()
  /** Answers to give before the usual ones; `cut` does what was asked, and breaks the connection. */
  const prepared: Prepared[] = []
  const channels = new Map<string, Channel>()
  const users = new Map<string, { name: string; profile: { display_name: string } }>()
  const messages: Posted[] = []
  /** Names of the bot's reactions, by the message. */
  const reactions = new Map<string, string[]>()
  const files = new Map<string, { bytes: Uint8Array; name: string; type: string }>()
  const uploads = new Map<string, { name: string; length: number; bytes?: Uint8Array; shares: Posted[] }>()
  const fetched: { path: string; authorization: string | undefined }[] = []
  const tickets = new Set<string>()
  const sockets = new Set<WebSocket>()
  /** Sockets that are open, but where nothing is heard any more. */
  const deaf = new Set<WebSocket>()
  const acked: { envelope_id: string; payload?: Record<string, unknown> }[] = []
  const resent: string[] = []
  const open = new Map<string, ReturnType<typeof setTimeout>>()
  let appId = ME.app
  let count = 0
  let connections = 0
  let microseconds = 1_772_352_900_000_000

  const changed = (): void => watchers.forEach((look) => look())
  const found = <T>(find: () => T | undefined, what: string): Promise<T> =>
    new Promise((resolve, reject) => {
      const end = (): void => {
        clearTimeout(timer)
        watchers.delete(look)
      }
      const timer = setTimeout(() => {
        end()
        reject(new Error(`${what} did not come`))
      }, 20_000)
      const look = (): void => {
        const value = find()
        if (value === undefined) return
        end()
        resolve(value)
      }
      watchers.add(look)
      look()
    })

  function nextTs(at = microseconds): string {
    microseconds = Math.max(at, microseconds) + 1
    const text = String(microseconds)
    return `${text.slice(0, -6)}.${text.slice(-6)}`
  }

  /** Channels that the bot may use. */
  function fault({ channel = '' }: Record<string, string>): Answer | undefined {
    const known = channels.get(channel)
    if (!known) return no('channel_not_found')
    return known.member ? undefined : no('not_in_channel')
  }

  function page(list: Posted[], { oldest = '0', limit = '100', cursor = '0' }: Record<string, string>): Answer {
    const later = list.filter(({ ts }) => Number(ts) > Number(oldest)).toReversed()
    const from = Number(cursor)
    const next = from + Number(limit)
    return {
      ok: true,
      messages: later.slice(from, next).map(({ channel: _, ...message }) => message),
      response_metadata: { next_cursor: next < later.length ? String(next) : '' },
    }
  }

  const methods: Record<string, (args: Record<string, string>) => Answer> = {
    'auth.test': () => ({ ok: true, user_id: ME.user, user: ME.name, bot_id: ME.bot, team: 'Tests' }),
    'bots.info': () => ({ ok: true, bot: { id: ME.bot, app_id: ME.app } }),
    'users.info': ({ user = '' }) => users.has(user) ? { ok: true, user: users.get(user) } : no('user_not_found'),
    'conversations.open': ({ users = '' }) => ({ ok: true, channel: { id: `D0${users.slice(2)}` } }),
    'conversations.info': ({ channel = '' }) =>
      channels.has(channel)
        ? { ok: true, channel: { id: channel, is_member: channels.get(channel)!.member } }
        : no('channel_not_found'),
    'reactions.add': (args) => {
      const { timestamp = '', name = '' } = args
      const there = reactions.get(timestamp) ?? []
      if (there.includes(name)) return no('already_reacted')
      reactions.set(timestamp, [...there, name])
      return fault(args) ?? { ok: true }
    },
    'reactions.remove': (args) => {
      const { timestamp = '', name = '' } = args
      const there = reactions.get(timestamp) ?? []
      if (!there.includes(name)) return no('no_reaction')
      reactions.set(timestamp, there.filter((one) => one !== name))
      return fault(args) ?? { ok: true }
    },
    'apps.connections.open': () => {
      const ticket = `ticket-${++count}`
      tickets.add(ticket)
      return { ok: true, url: `ws://127.0.0.1:${port}/link/?ticket=${ticket}` }
    },
    'chat.postMessage': (args) => {
      const problem = fault(args) ?? faultOf(args, { maxText: 40_000 })
      if (problem) return problem
      const message = {
        type: 'message',
        channel: args.channel!,
        ts: nextTs(Date.now() * 1000),
        user: ME.user,
        bot_id: ME.bot,
        text: args.text ?? '',
        ...(args.thread_ts ? { thread_ts: args.thread_ts } : {}),
        ...(args.blocks ? { blocks: JSON.parse(args.blocks) as unknown } : {}),
        ...(args.metadata ? { metadata: JSON.parse(args.metadata) as unknown } : {}),
      }
      messages.push(message)
      return { ok: true, channel: message.channel, ts: message.ts }
    },
    'chat.postEphemeral': (args) => fault(args) ?? { ok: true },
    'chat.update': (args) => {
      const message = messages.find(({ ts, channel }) => ts === args.ts && channel === args.channel)
      if (!message) return no('message_not_found')
      if (message.bot_id !== ME.bot) return no('cant_update_message')
      const problem = faultOf(args, { maxText: 4000 })
      if (problem) return problem
      Object.assign(message, {
        text: args.text,
        ...(args.blocks ? { blocks: JSON.parse(args.blocks) as unknown } : {}),
      })
      return { ok: true, ts: message.ts }
    },
    'chat.delete': (args) => {
      const at = messages.findIndex(({ ts, channel }) => ts === args.ts && channel === args.channel)
      if (at < 0) return no('message_not_found')
      messages.splice(at, 1)
      return { ok: true }
    },
    'conversations.history': (args) =>
      fault(args) ??
        page(
          messages.filter(({ channel, ts, thread_ts }) => channel === args.channel && (thread_ts ?? ts) === ts),
          args,
        ),
    'conversations.replies': (args) =>
      fault(args) ?? page(
        messages.filter(({ channel, ts, thread_ts }) => channel === args.channel && (thread_ts ?? ts) === args.ts),
        args,
      ),
    'files.getUploadURLExternal': ({ filename = '', length = '' }) => {
      if (filename === '' || !(Number(length) > 0)) return no('invalid_arguments')
      const id = `F0${++count}`
      uploads.set(id, { name: filename, length: Number(length), shares: [] })
      return { ok: true, file_id: id, upload_url: `http://127.0.0.1:${port}/upload/${id}` }
    },
    'files.completeUploadExternal': (args) => {
      const problem = fault({ channel: args.channel_id ?? '' })
      if (problem) return problem
      const [{ id = '' } = {}] = JSON.parse(args.files ?? '[]') as { id?: string }[]
      const upload = uploads.get(id)
      if (upload?.bytes?.length !== upload?.length) return no('file_not_found')
      const message = {
        type: 'message',
        channel: args.channel_id!,
        ts: nextTs(Date.now() * 1000),
        bot_id: ME.bot,
        text: args.initial_comment ?? '',
        files: [{ id, name: upload!.name }],
        ...(args.thread_ts ? { thread_ts: args.thread_ts } : {}),
      }
      messages.push(message)
      upload!.shares.push(message)
      return { ok: true, files: [{ id }] }
    },
    'files.info': ({ file = '' }) => {
      const upload = uploads.get(file)
      if (!upload) return no('file_not_found')
      return {
        ok: true,
        file: { id: file, shares: { private: Object.fromEntries(upload.shares.map((it) => [it.channel, [it]])) } },
      }
    },
  }

  function answer({ method, token, args }: Call): Answer {
    if (token !== bot && token !== app) return no('invalid_auth')
    if ((token === app) !== method.startsWith('apps.')) return no('not_allowed_token_type')
    return methods[method]?.(args) ?? no('unknown_method')
  }

  const server = createServer(async (request, response) => {
    const { pathname } = new URL(request.url!, 'http://x')
    const { authorization } = request.headers
    const [, where = '', name = ''] = pathname.split('/')
    if (where === 'files') {
      fetched.push({ path: pathname, authorization })
      const file = files.get(name)
      // Whoever may not see it is led to the login page.
      if (!file || authorization !== `Bearer ${bot}`) {
        return void response.writeHead(302, { location: `http://127.0.0.1:${port}/login` }).end()
      }
      return void response.writeHead(200, { 'content-type': file.type }).end(file.bytes)
    }
    const bytes = await bytesOf(request).catch(() => undefined)
    if (bytes === undefined) return // Whoever asked was ended in the middle of it.
    if (where === 'upload') {
      uploads.get(name)!.bytes = bytes
      return void response.end(`OK - ${bytes.length}`)
    }
    const call = {
      method: pathname.replace('/api/', ''),
      token: authorization?.replace('Bearer ', '') ?? '',
      args: Object.fromEntries(new URLSearchParams(bytes.toString())),
    }
    const form = request.headers['content-type']?.startsWith('application/x-www-form-urlencoded')
    const at = prepared.findIndex(({ method }) => method === call.method)
    const early = at < 0 ? undefined : prepared.splice(at, 1)[0]
    const body = early?.body ?? (form && request.method === 'POST' ? answer(call) : no('invalid_post_type'))
    calls.push(call)
    if (early?.cut) request.socket.destroy()
    else {
      response.writeHead(early?.status ?? 200, { 'content-type': 'application/json', ...early?.headers })
      response.end(JSON.stringify(body))
    }
    changed()
  })
  const gateway = new WebSocketServer({ server })

  gateway.on('connection', (socket, request) => {
    const ticket = new URL(request.url!, 'http://x').searchParams.get('ticket') ?? ''
    // Each address is good for one connection.
    if (!tickets.delete(ticket)) return socket.close(4001)
    sockets.add(socket)
    connections++
    socket.on('close', () => {
      sockets.delete(socket)
      changed()
    })
    socket.on('message', (data) => {
      if (deaf.has(socket)) return
      const ack = JSON.parse(String(data)) as typeof acked[number]
      clearTimeout(open.get(ack.envelope_id))
      open.delete(ack.envelope_id)
      acked.push(ack)
      changed()
    })
    socket.send(JSON.stringify({
      type: 'hello',
      num_connections: sockets.size,
      connection_info: { app_id: appId },
      debug_info: { host: 'applink-1', approximate_connection_time: 18060 },
    }))
    changed()
  })

  /** Slack tells it to one of the connections, and tells it again when nobody acknowledges it. */
  function deliver(envelope: Envelope): void {
    if (envelope.retry_attempt) resent.push(envelope.envelope_id)
    changed()
    const [socket] = [...sockets].toReversed()
    const target = socket && deaf.has(socket) ? undefined : socket
    target?.send(JSON.stringify({ accepts_response_payload: envelope.type !== 'events_api', ...envelope }))
    const attempt = (envelope.retry_attempt ?? 0) + 1
    if (attempt > 3 || envelope.type !== 'events_api') return
    const timer = setTimeout(() => deliver({ ...envelope, retry_attempt: attempt }), retryMs)
    open.set(envelope.envelope_id, timer)
  }

  function tell(type: string, payload: Record<string, unknown>): string {
    const envelope_id = `envelope-${++count}`
    deliver({ envelope_id, type, payload })
    return envelope_id
  }

  const event = (event: Record<string, unknown>): string =>
    tell('events_api', { type: 'event_callback', event_id: `Ev${++count}`, team_id: 'T1', event })

  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }

  return {
    url: `http://127.0.0.1:${port}`,
    calls,
    prepared,
    messages,
    reactions,
    files,
    uploads,
    fetched,
    acked,
    resent,
    connections: (): number => connections,
    channel: (id: string, { member = true } = {}): void => void channels.set(id, { id, member }),
    user: (id: string, name: string, display_name: string): void =>
      void users.set(id, { name, profile: { display_name } }),
    setApp: (id: string): void => void (appId = id),
    tell,
    event,

    /** Somebody writes. `heard: false` is what nobody is told of. */
    write(channel: string, text: string, { heard = true, ...more }: Record<string, unknown> = {}) {
      const message = { type: 'message', channel, ts: nextTs(), user: 'U0ADA', team: 'T1', text, ...more }
      messages.push(message)
      const channel_type = channel.startsWith('D') ? 'im' : 'channel'
      const envelope = heard ? event({ ...message, channel_type, event_ts: message.ts }) : ''
      return { ts: message.ts, envelope }
    },

    /** Says that it is about to close the connections that there are. */
    leave(reason: string): void {
      const all = [...sockets]
      for (const socket of all) socket.send(JSON.stringify({ type: 'disconnect', reason }))
    },
    /** Anything at all, to all connections. */
    say: (text: string): void => sockets.forEach((socket) => socket.send(text)),
    /** Cuts the connections as a network does. */
    cut: (): void => sockets.forEach((socket) => socket.terminate()),
    /** The connections stay open, and nothing goes through them any more. */
    goDeaf(): void {
      for (const socket of sockets) {
        deaf.add(socket)
        socket.pause()
      }
    },
    open: (): number => sockets.size,
    called: (method: string, from = 0): Promise<Call> =>
      found(() => calls.slice(from).find((call) => call.method === method), method),
    until: <T>(find: () => T | undefined, what: string): Promise<T> => found(find, what),
    ackOf: (envelope: string) => found(() => acked.find(({ envelope_id }) => envelope_id === envelope), 'the ack'),
    async close(): Promise<void> {
      for (const timer of open.values()) clearTimeout(timer)
      for (const socket of sockets) socket.terminate()
      gateway.close()
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

async function bytesOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of request) chunks.push(chunk as Uint8Array)
  return Buffer.concat(chunks)
}
