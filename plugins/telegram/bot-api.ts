import { createServer } from 'node:http'
import { text } from 'node:stream/consumers'

type Call = { method: string; body: Record<string, unknown>; raw: string }
type Answer = { ok: true; result: unknown } | {
  ok: false
  error_code: number
  description: string
  parameters?: Record<string, number>
}

type Webhook = { url: string; secret_token: string }

/** As much of Telegram's Bot API as the plugin uses, for its tests. */
export async function startBotApi(token: string) {
  const calls: Call[] = []
  const updates: { update_id: number }[] = []
  const files = new Map<string, Uint8Array>()
  /** Answers to give before the usual ones, by method. */
  const prepared = new Map<string, Answer[]>()
  const polls = new Set<() => void>()
  const watchers = new Set<() => void>()
  /** Methods that are done once without an answer: the connection breaks. */
  const lost = new Set<string>()
  let webhook: Webhook | undefined
  let lastUpdate = 0
  let lastMessage = 500

  async function answer(method: string, body: Record<string, unknown>): Promise<Answer> {
    const next = prepared.get(method)?.shift()
    if (next) return next
    switch (method) {
      case 'getMe':
        return { ok: true, result: { id: 7, is_bot: true, first_name: 'Helper', username: 'helper_bot' } }
      case 'deleteWebhook':
        webhook = undefined
        return { ok: true, result: true }
      case 'setWebhook': {
        const { url, secret_token } = body as Webhook
        if (!url.startsWith('https://')) return refused('Bad Request: bad webhook: An HTTPS URL must be provided')
        if (!/^[\w-]{1,256}$/.test(secret_token)) return refused('Bad Request: secret token contains illegal symbols')
        webhook = { url, secret_token }
        return { ok: true, result: true }
      }
      case 'getUpdates': {
        if (webhook) {
          const description = "Conflict: can't use getUpdates method while webhook is active"
          return { ok: false, error_code: 409, description }
        }
        const offset = Number(body.offset ?? 0)
        // What comes before it is confirmed, and forgotten.
        updates.splice(0, updates.findLastIndex(({ update_id }) => update_id < offset) + 1)
        const after = () => updates
        if (after().length === 0) {
          await new Promise<void>((resolve) => {
            polls.add(resolve)
            setTimeout(resolve, 2000)
          })
        }
        return { ok: true, result: [...after()] }
      }
      case 'getFile':
        return { ok: true, result: { file_id: body.file_id, file_path: `files/${body.file_id}` } }
      case 'sendMessage':
      case 'sendPhoto':
      case 'sendDocument':
        return {
          ok: true,
          result: { message_id: ++lastMessage, date: 0, chat: { id: Number(body.chat_id), type: 'private' } },
        }
      default:
        return { ok: true, result: true }
    }
  }

  const server = createServer(async (request, response) => {
    const path = new URL(request.url!, 'http://x').pathname
    const file = /^\/file\/bot([^/]+)\/files\/(.+)$/.exec(path)
    if (file) return void response.end(files.get(file[2]!))
    const raw = await text(request).catch(() => undefined)
    if (raw === undefined) return // Whoever asked was ended in the middle of it.
    const [, given, method] = /^\/bot([^/]+)\/(\w+)$/.exec(path) ?? []
    const body = request.headers['content-type'] === 'application/json' && raw !== ''
      ? JSON.parse(raw) as Record<string, unknown>
      : { chat_id: /name="chat_id"\r\n\r\n(-?\d+)/.exec(raw)?.[1] }
    const result: Answer = given === token
      ? await answer(method!, body)
      : { ok: false, error_code: 401, description: 'Unauthorized' }
    calls.push({ method: method!, body, raw })
    for (const look of watchers) look()
    if (lost.delete(method!)) return void request.socket.destroy()
    response.statusCode = result.ok ? 200 : result.error_code
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify(result))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }

  return {
    url: `http://127.0.0.1:${port}`,
    files,
    calls,
    /** Lets a method answer so once. */
    prepare: (method: string, answer: Answer): void =>
      void prepared.set(method, [...prepared.get(method) ?? [], answer]),
    lost,
    /** The webhook that is set. */
    webhook: (): Webhook | undefined => webhook,
    setWebhook: (given: Webhook | undefined): void => void (webhook = given),
    /** Forgets what happened. */
    clear(): void {
      updates.length = 0
      calls.length = 0
      prepared.clear()
    },
    /** Something happens on Telegram. */
    happen(update: object): void {
      updates.push({ update_id: ++lastUpdate, ...update })
      for (const wake of polls) wake()
      polls.clear()
    },
    /** Resolves with the first call that fits. */
    called(method: string, fits: (call: Call) => boolean = () => true): Promise<Call> {
      return new Promise((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error(`${method} was not called`)), 20_000)
        const look = () => {
          const call = calls.find((call) => call.method === method && fits(call))
          if (!call) return
          clearTimeout(timer)
          watchers.delete(look)
          resolve(call)
        }
        watchers.add(look)
        look()
      })
    },
    async close(): Promise<void> {
      for (const wake of polls) wake()
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

const refused = (description: string): Answer => ({ ok: false, error_code: 400, description })
