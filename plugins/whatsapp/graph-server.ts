import { createHmac } from 'node:crypto'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { problemOf } from './graph-rules.ts'

type Json = Record<string, unknown>
type Call = { method: string; path: string; body: Json }
type Failure = { status: number; code?: number; message?: string; details?: string; headers?: Record<string, string> }

/** As much of Meta's Graph API as the plugin uses, for its tests; as strict with what is sent as Meta is. */
export async function startGraph({ token, secret, phone }: { token: string; secret: string; phone: string }) {
  const calls: Call[] = []
  const files = new Map<string, { bytes: Uint8Array; mime: string; lies?: number }>()
  /** Failures to give before the usual answers, to paths that end so; `lost` does it, and breaks the connection. */
  const prepared: (Failure & { path: string; lost?: boolean })[] = []
  const watchers = new Set<() => void>()
  let count = 0
  const proof = createHmac('sha256', secret).update(token).digest('hex')

  function answer(call: Call, query: URLSearchParams, url: string): [number, Json | Uint8Array] {
    const [, id, what] = call.path.split('/').slice(1) as [string, string, string?]
    if (id === phone && what === undefined) {
      return [200, { display_phone_number: '+49 170 1234567', verified_name: 'Gate', id: phone }]
    }
    if (id === phone && what === 'media') {
      const media = `media-${++count}`
      const { bytes, mime } = call.body as { bytes: Uint8Array; mime: string }
      files.set(media, { bytes, mime })
      return [200, { id: media }]
    }
    if (id === phone && what === 'messages') {
      const problem = problemOf(call.body, files)
      if (problem) {
        return [400, failure({ status: 400, code: 100, message: '(#100) Invalid parameter', details: problem })]
      }
      if (call.body.status === 'read') return [200, { success: true }]
      const wa_id = call.body.to ?? call.body.recipient
      return [200, {
        messaging_product: 'whatsapp',
        contacts: [{ input: wa_id, wa_id }],
        messages: [{ id: `wamid.sent${++count}` }],
      }]
    }
    const file = files.get(id)
    if (file && query.get('phone_number_id') === phone) {
      const { bytes, mime, lies } = file
      return [200, { url: `${url}/bytes/${id}`, mime_type: mime, file_size: lies ?? bytes.length, id }]
    }
    return [400, failure({ status: 400, code: 100, message: `Unsupported get request. ${id} does not exist` })]
  }

  const server = createServer(async (request, response) => {
    const url = new URL(request.url!, 'http://localhost')
    const asked = await bodyOf(request).catch(() => undefined)
    if (asked === undefined) return // Whoever asked was ended in the middle of it.
    const call: Call = { method: request.method!, path: url.pathname, body: asked }
    calls.push(call)
    for (const look of watchers) look()
    const allowed = request.headers.authorization === `Bearer ${token}`
    const bytes = /^\/bytes\/(.+)$/.exec(url.pathname)
    const early = prepared.findIndex(({ path }) => call.path.endsWith(path))
    const fault = early < 0 ? undefined : prepared.splice(early, 1)[0]!
    if (!allowed) return say(401, failure({ status: 401, code: 190, message: 'Error validating access token' }))
    if (bytes) return void response.end(files.get(bytes[1]!)?.bytes)
    if (url.searchParams.get('appsecret_proof') !== proof) {
      return say(
        400,
        failure({ status: 400, code: 100, message: 'Invalid appsecret_proof provided in the API argument' }),
      )
    }
    if (fault && !fault.lost) return say(fault.status, failure(fault), fault.headers)
    const [status, body] = answer(call, url.searchParams, address())
    if (fault?.lost) return void request.socket.destroy()
    say(status, body)

    function say(status: number, body: Json | Uint8Array, headers: Record<string, string> = {}): void {
      response.writeHead(status, { 'content-type': 'application/json', ...headers })
      response.end(body instanceof Uint8Array ? body : JSON.stringify(body))
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = (): string => `http://127.0.0.1:${(server.address() as AddressInfo).port}`

  return {
    url: address(),
    calls,
    files,
    prepared,
    /** What was posted as messages, without signs of typing. */
    sent: (): Json[] =>
      calls.filter(({ path, body }) => path.endsWith('/messages') && body.status === undefined).map(({ body }) => body),
    /** Of the message that was taken last. */
    lastId: (): string => `wamid.sent${count}`,
    /** The first call whose path ends so and whose body fits, as soon as it was made. */
    called: (path: string, fits: (body: Json) => boolean = () => true): Promise<Call> =>
      new Promise((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error(`${path} was not called`)), 20_000)
        const look = (): void => {
          const call = calls.find((call) => call.path.endsWith(path) && fits(call.body))
          if (!call) return
          clearTimeout(timer)
          watchers.delete(look)
          resolve(call)
        }
        watchers.add(look)
        look()
      }),
    /** A delivery of the webhook with this value. */
    delivery: (value: Json, number = phone): Json => ({
      object: 'whatsapp_business_account',
      entry: [{
        id: '102290129340398',
        changes: [{
          field: 'messages',
          value: {
            messaging_product: 'whatsapp',
            metadata: { display_phone_number: '491701234567', phone_number_id: number },
            ...value,
          },
        }],
      }],
    }),
    sign: (body: string | Uint8Array, key = secret): string =>
      `sha256=${createHmac('sha256', key).update(body).digest('hex')}`,
    async close(): Promise<void> {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

const failure = ({ code, message = 'failed', details }: Failure): Json => ({
  error: {
    message,
    type: 'OAuthException',
    ...(code === undefined ? {} : { code }),
    ...(details ? { error_data: { messaging_product: 'whatsapp', details } } : {}),
    fbtrace_id: 'trace',
  },
})

/** JSON, or the file of a form. */
async function bodyOf(request: IncomingMessage): Promise<Json> {
  const bytes = await buffer(request)
  const type = request.headers['content-type'] ?? ''
  if (!type.startsWith('multipart/form-data')) return bytes.length === 0 ? {} : JSON.parse(bytes.toString()) as Json
  const form = await new Response(new Uint8Array(bytes), { headers: { 'content-type': type } }).formData()
  const file = form.get('file') as File
  return {
    messaging_product: form.get('messaging_product'),
    mime: form.get('type'),
    name: file.name,
    bytes: new Uint8Array(await file.arrayBuffer()),
  }
}
