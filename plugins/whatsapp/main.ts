import { PluginError } from '../sdk/errors.ts'
import { definePlugin } from '../sdk/plugin.ts'
import { createGraph } from './graph.ts'
import { createNumber } from './number.ts'
import { MAX_TEXT } from './outgoing.ts'
import { createWebhook, type HookAnswer, type HookRequest } from './webhook.ts'

const MIN_VERIFY_TOKEN = 16

let answer: ((request: HookRequest) => Promise<HookAnswer>) | undefined

definePlugin({
  id: 'whatsapp',
  environment: {
    config: { phone_number_id: 'WHATSAPP_PHONE_NUMBER_ID', api_root: 'WHATSAPP_API_ROOT' },
    secrets: {
      access_token: 'WHATSAPP_ACCESS_TOKEN',
      app_secret: 'WHATSAPP_APP_SECRET',
      verify_token: 'WHATSAPP_VERIFY_TOKEN',
    },
  },

  register(api) {
    api.offer({
      kind: 'http_route',
      definition: { name: 'webhook', path: 'webhook', match: 'exact', methods: ['GET', 'POST'], auth: 'plugin' },
      methods: {
        handle: (input: never) => {
          const { method, query, headers, body, encoding } = input as {
            method: string
            query: string
            headers: Record<string, string>
            body: string
            encoding?: string
          }
          const bytes = encoding === 'base64'
            ? Uint8Array.from(atob(body), (c) => c.charCodeAt(0))
            : new TextEncoder().encode(body)
          return answer!({ method, query, headers: new Headers(headers), bytes: () => bytes })
        },
      },
    })
  },

  channel: {
    capabilities: ['reply', 'inline_keyboard'],
    // WhatsApp counts characters; in this unit none is ever too long.
    limit: { max: MAX_TEXT, unit: 'utf16' },

    async start(api) {
      const { phone_number_id: phone, typing = true, api_version = 'v23.0', api_root = 'https://graph.facebook.com' } =
        api.config as Settings
      const { access_token: token, app_secret: secret, verify_token: verifyToken = '' } = api.secrets
      if (!phone) throw new PluginError('invalid_request', 'phone_number_id is missing')
      if (!token || !secret) throw new PluginError('unauthorized', 'The access token or the app secret is missing')
      if (verifyToken.length < MIN_VERIFY_TOKEN) {
        throw new PluginError('unauthorized', `The verify token must have at least ${MIN_VERIFY_TOKEN} characters`)
      }
      const graph = createGraph({ root: api_root, version: api_version, phone, token, secret, signal: api.signal })
      const number = createNumber({ api, graph, phone, typing, waitsFor: () => undefined })
      answer = createWebhook({ verifyToken, appSecret: secret, take: number.take, log: api.log, now: Date.now })
      return await number.connect()
    },
  },
})

type Settings = { phone_number_id?: string; typing?: boolean; api_version?: string; api_root?: string }
