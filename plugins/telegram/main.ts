import { type ChannelApi, defineChannel } from '../sdk/channel.ts'
import { PluginError } from '../sdk/errors.ts'
import { type Bot, createBot } from './bot.ts'
import { connect, type Way } from './connection.ts'
import { createOutgoing } from './outgoing.ts'
import { createPolling } from './polling.ts'
import { createUpdates } from './updates.ts'
import { createWebhook } from './webhook.ts'

defineChannel({
  id: 'telegram',
  capabilities: ['reply', 'inline_keyboard'],
  limit: { max: 4096, unit: 'utf16' },
  environment: { config: { api_root: 'TELEGRAM_API_ROOT' }, secrets: { token: 'TELEGRAM_BOT_TOKEN' } },

  async start(api) {
    const { token } = api.secrets
    if (!token) throw new PluginError('unauthorized', 'The bot token is missing; @BotFather gives one')
    const settings = api.config as Settings
    const { api_root = 'https://api.telegram.org' } = settings
    const bot = createBot({ token, root: api_root.replace(/\/+$/, ''), signal: api.signal })
    const { connected } = await connect({ api, bot, way: wayOf(api, bot, token, settings) })
    return { ...createOutgoing(bot.api), connected }
  },
})

type Settings = { api_root?: string; mode?: 'polling' | 'webhook' }

function wayOf(api: ChannelApi, bot: Bot, token: string, { mode }: Settings): Way {
  const take = createUpdates({ api, bot })
  if (mode !== 'webhook') return createPolling({ api, bot, take, now: Date.now })
  const url = api.httpRoute({
    name: 'webhook',
    path: 'webhook',
    methods: ['POST'],
    auth: 'plugin',
    handle: (request) => webhook.answer(request),
  })
  if (url === null) {
    throw new PluginError('invalid_request', 'A webhook needs the public address of this server: set server.public_url')
  }
  const webhook = createWebhook({ api, bot, take, token, url, now: Date.now })
  return webhook
}
