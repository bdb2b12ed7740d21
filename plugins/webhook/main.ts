import { Buffer } from 'node:buffer'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { type ChannelApi, defineChannel } from '../sdk/channel.ts'
import { PluginError } from '../sdk/errors.ts'
import { take } from './incoming.ts'
import { createOutgoing } from './outgoing.ts'
import { problemOf } from './signature.ts'

const MAX_BODY = 256 * 1024
const MIN_SECRET = 24

defineChannel({
  id: 'webhook',
  capabilities: ['reply', 'inline_keyboard'],
  environment: {
    config: { send_url: 'WEBHOOK_SEND_URL', listen_port: 'WEBHOOK_LISTEN_PORT' },
    secrets: { signing_secret: 'WEBHOOK_SIGNING_SECRET' },
  },

  async start(api) {
    const { send_url, listen_port, listen_host = '127.0.0.1' } = api.config as Settings
    const { signing_secret: secret = '' } = api.secrets
    if (!send_url || !listen_port) throw new PluginError('invalid_request', 'send_url and listen_port are missing')
    if (secret.length < MIN_SECRET) {
      throw new PluginError('unauthorized', `The signing secret must have at least ${MIN_SECRET} characters`)
    }
    const server = createServer((request, response) => {
      answer(api, secret, request, response).catch((error: Error) => {
        api.log.error(`A post could not be taken: ${error.message}`)
        response.writeHead(500).end()
      })
    })
    await listen(server, Number(listen_port), listen_host)
    let reachable = true
    const post = createOutgoing({
      url: send_url,
      secret,
      signal: api.signal,
      reached(now) {
        if (now !== reachable) api.status(now, { identity: new URL(send_url).host })
        reachable = now
      },
    })
    api.status(true, { identity: new URL(send_url).host })

    return {
      send: ({ request_id, chat_id, thread_id, content, reply_to, inline_keyboard }) =>
        post(request_id, { type: 'message', chat_id, thread_id, content, reply_to, buttons: inline_keyboard?.rows }),
      async edit({ request_id, chat_id, message_id, content }) {
        await post(request_id, { type: 'edit', chat_id, message_id, content })
      },
      async delete({ request_id, chat_id, message_id }) {
        await post(request_id, { type: 'delete', chat_id, message_id })
      },
      media: ({ request_id, chat_id, thread_id, media, caption }) =>
        post(request_id, { type: 'media', chat_id, thread_id, media, caption }),
      connected: () => reachable,
      stop: () => server.closeAllConnections(),
    }
  },
})

type Settings = { send_url?: string; listen_port?: number | string; listen_host?: string }

/** Accepted means stored: the post may be forgotten on the other side. */
async function answer(
  api: ChannelApi,
  secret: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const say = (status: number, error?: string): void => {
    response.writeHead(status, { 'content-type': 'application/json' })
    response.end(JSON.stringify(error ? { error } : { ok: true }))
  }
  if (request.method !== 'POST') return say(405, 'use POST')
  const body = await bodyOf(request)
  if (body === undefined) return say(413, `the body has more than ${MAX_BODY / 1024} KB`)
  const header = (name: string): string => String(request.headers[`webhook-${name}`] ?? '')
  const signed = { id: header('id'), timestamp: header('timestamp'), signature: header('signature') }
  const doubt = problemOf(secret, signed, body, Date.now() / 1000)
  if (doubt) return say(401, doubt)
  if (signed.id.length > 300) return say(422, 'webhook-id is too long')
  const problem = await take(api, signed.id, body)
  say(problem ? 422 : 202, problem)
}

/** Undefined when it is too large; the rest is read and dropped, so that the answer arrives. */
async function bodyOf(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of request as AsyncIterable<Uint8Array>) {
    size += chunk.length
    if (size <= MAX_BODY) chunks.push(chunk)
  }
  return size > MAX_BODY ? undefined : Buffer.concat(chunks).toString()
}

function listen(server: ReturnType<typeof createServer>, port: number, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once(
      'error',
      (error: Error) =>
        reject(new PluginError('invalid_request', `${host}:${port} can not be listened on: ${error.message}`)),
    )
    server.listen(port, host, resolve)
  })
}
