import { defineChannel } from '../sdk/channel.ts'
import { PluginError } from '../sdk/errors.ts'
import { createGraph } from './graph.ts'
import { createNumber } from './number.ts'
import { MAX_TEXT } from './outgoing.ts'
import { createWebhook } from './webhook.ts'

const MIN_VERIFY_TOKEN = 16

defineChannel({
  id: 'whatsapp',
  capabilities: ['reply', 'inline_keyboard'],
  // WhatsApp counts characters; in this unit none is ever too long.
  limit: { max: MAX_TEXT, unit: 'utf16' },
  environment: {
    config: { phone_number_id: 'WHATSAPP_PHONE_NUMBER_ID', api_root: 'WHATSAPP_API_ROOT' },
    secrets: {
      access_token: 'WHATSAPP_ACCESS_TOKEN',
      app_secret: 'WHATSAPP_APP_SECRET',
      verify_token: 'WHATSAPP_VERIFY_TOKEN',
    },
  },

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
    const number = createNumber({ api, graph, phone, typing })
    const webhook = createWebhook({ verifyToken, appSecret: secret, take: number.take, log: api.log, now: Date.now })
    const address = api.httpRoute({
      name: 'webhook',
      path: 'webhook',
      methods: ['GET', 'POST'],
      auth: 'plugin',
      handle: webhook,
    })
    return await number.connect(address)
  },
})

type Settings = { phone_number_id?: string; typing?: boolean; api_version?: string; api_root?: string }
