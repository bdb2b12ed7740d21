import { Buffer } from 'node:buffer'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'

type Call = { method: string; path: string; body: Record<string, unknown>; raw: string }
type Happened = {
  type: string
  origin_server_ts: number
  event_id: string
  sender: string
  content: Record<string, unknown>
}
type Room = { members: Map<string, string>; events: Happened[]; encrypted: boolean; invited: boolean }

/** As much of a Matrix homeserver as the plugin uses, for its tests: one account, and people who are just names. */
export async function startHomeserver({ token, me }: { token: string; me: string }) {
  const rooms = new Map<string, Room>()
  const calls: Call[] = []
  const transactions = new Map<string, string>()
  const files = new Map<string, Uint8Array>()
  /** Answers to give before the usual ones, to paths that begin so. */
  const prepared: { path: string; status: number; body: object }[] = []
  const waiting = new Set<() => void>()
  let count = 0
  let closed = false
  /** Timelines are cut to so many events. */
  let limit = 100

  const wake = (): void => {
    for (const look of waiting) look()
  }

  /** What somebody's program writes, which need not be what it should be. */
  function happen(room: string, sender: string, content: unknown, more: object = {}): string {
    const event_id = `$${++count}:example.org`
    // Events carry their place in the stream, as the only index that there is.
    const event = { type: 'm.room.message', event_id, sender, content: content as Happened['content'] }
    rooms.get(room)!.events.push({ ...event, origin_server_ts: Date.UTC(2026, 2, 1, 8, 15) + count, ...more })
    wake()
    return event_id
  }

  const placeOf = (event: Happened): number => Number(/^\$(\d+)/.exec(event.event_id)![1])

  function news(since: number) {
    const join: Record<string, object> = {}
    for (const [id, { events, invited }] of rooms) {
      const fresh = events.filter((event) => placeOf(event) > since)
      if (invited || fresh.length === 0) continue
      const shown = fresh.slice(-limit)
      const limited = shown.length < fresh.length
      join[id] = {
        timeline: { events: shown, limited, ...(limited ? { prev_batch: `b${placeOf(shown[0]!)}` } : {}) },
      }
    }
    const invite = Object.fromEntries([...rooms].filter(([, { invited }]) => invited).map(([id]) => [id, {}]))
    return { next_batch: `s${count}`, rooms: { join, invite } }
  }

  async function sync(query: URLSearchParams) {
    const since = Number(query.get('since')?.slice(1) ?? -1)
    const end = Date.now() + Number(query.get('timeout'))
    while (!closed && since === count && ![...rooms.values()].some(({ invited }) => invited) && Date.now() < end) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, end - Date.now())
        const look = (): void => {
          clearTimeout(timer)
          waiting.delete(look)
          resolve()
        }
        waiting.add(look)
      })
    }
    return news(since)
  }

  async function answer(call: Call, query: URLSearchParams): Promise<[number, object | Uint8Array]> {
    const early = prepared.findIndex(({ path }) => call.path.startsWith(path))
    if (early >= 0) {
      const [{ status, body }] = prepared.splice(early, 1) as [typeof prepared[number]]
      return [status, body]
    }
    const parts = call.path.split('/').map(decodeURIComponent)
    const [api, , what, id = '', verb = '', ...rest] = parts
    if (what === 'sync') return [200, await sync(query)]
    if (what === 'account') return [200, { user_id: me }]
    if (api === 'media') return [200, { content_uri: 'mxc://example.org/uploaded' }]
    if (what === 'media') return [200, files.get(parts.at(-1)!) ?? new Uint8Array()]
    const room = rooms.get(id)
    if (!room) return [404, { errcode: 'M_NOT_FOUND', error: 'There is no such room' }]
    if (what === 'join') {
      room.invited = false
      return [200, { room_id: id }]
    }
    switch (verb) {
      case 'joined_members':
        return [200, {
          joined: Object.fromEntries([...room.members].map(([id, display_name]) => [id, { display_name }])),
        }]
      case 'state':
        return room.encrypted ? [200, {}] : [404, { errcode: 'M_NOT_FOUND', error: 'No such state' }]
      case 'event': {
        const event = room.events.find(({ event_id }) => event_id === rest[0])
        return event ? [200, event] : [404, { errcode: 'M_NOT_FOUND', error: 'No such event' }]
      }
      case 'messages': {
        const [from, to] = ['from', 'to'].map((name) => Number(query.get(name)!.slice(1))) as [number, number]
        const chunk = room.events.filter((event) => placeOf(event) < from && placeOf(event) > to).toReversed()
          .slice(0, 2)
        return [200, { chunk, ...(chunk.length > 0 ? { end: `b${placeOf(chunk.at(-1)!)}` } : {}) }]
      }
      case 'send': {
        const transaction = rest[1]!
        const before = transactions.get(transaction)
        const event_id = before ?? happen(id, me, call.body)
        transactions.set(transaction, event_id)
        return [200, { event_id }]
      }
      default:
        return [200, {}]
    }
  }

  const server = createServer(async (request, response) => {
    const url = new URL(request.url!, 'http://localhost')
    const raw = await textOf(request).catch(() => undefined)
    if (raw === undefined) return // Whoever asked was ended in the middle of it.
    const path = url.pathname.replace('/_matrix/', '')
    const call: Call = { method: request.method!, path, raw, body: jsonOf(raw) }
    if (!path.endsWith('/sync')) calls.push(call)
    const allowed = request.headers.authorization === `Bearer ${token}`
    const [status, body] = allowed
      ? await answer(call, url.searchParams)
      : [401, { errcode: 'M_UNKNOWN_TOKEN', error: 'Unknown token' }] as const
    response.writeHead(status, { 'content-type': 'application/json' })
    response.end(body instanceof Uint8Array ? body : JSON.stringify(body))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))

  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    calls,
    /** The first call whose path has this in it, as soon as it was made. */
    async called(part: string): Promise<Call> {
      const end = Date.now() + 10_000
      for (;;) {
        const call = calls.find(({ path }) => path.includes(part))
        if (call) return call
        if (Date.now() > end) throw new Error(`${part} was not called`)
        await new Promise((resolve) => setTimeout(resolve, 20))
      }
    },
    prepared,
    files,
    happen,
    setLimit: (events: number): void => void (limit = events),
    room(id: string, members: Record<string, string>, more: Partial<Room> = {}): void {
      const all = new Map([[me, 'Helper'], ...Object.entries(members)])
      rooms.set(id, { members: all, events: [], encrypted: false, invited: false, ...more })
      wake()
    },
    member(room: string, id: string, name: string): void {
      rooms.get(room)!.members.set(id, name)
      happen(room, id, { membership: 'join' }, { type: 'm.room.member', state_key: id })
    },
    /** The messages that we sent to a room. */
    sent: (room: string): Happened[] => rooms.get(room)!.events.filter(({ sender }) => sender === me),
    close: () =>
      new Promise<void>((resolve) => {
        closed = true
        wake()
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

async function textOf(request: IncomingMessage): Promise<string> {
  const chunks: Uint8Array[] = []
  for await (const chunk of request) chunks.push(chunk as Uint8Array)
  return Buffer.concat(chunks).toString()
}

function jsonOf(raw: string): Record<string, unknown> {
  try {
    return JSON.parse(raw) as Record<string, unknown>
  } catch {
    return {}
  }
}
