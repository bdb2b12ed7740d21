import { defineChannel } from '../sdk/channel.ts'
import { PluginError } from '../sdk/errors.ts'
import { createBot } from './bot.ts'
import { connect } from './connection.ts'
import { createOutgoing } from './outgoing.ts'
import { createPolling } from './polling.ts'
import { createUpdates } from './updates.ts'

defineChannel({
  id: 'telegram',
  capabilities: ['reply', 'inline_keyboard'],
  limit: { max: 4096, unit: 'utf16' },
  environment: { config: { api_root: 'TELEGRAM_API_ROOT' }, secrets: { token: 'TELEGRAM_BOT_TOKEN' } },

  async start(api) {
    const { token } = api.secrets
    if (!token) throw new PluginError('unauthorized', 'The bot token is missing; @BotFather gives one')
    const { api_root = 'https://api.telegram.org', acknowledge = '' } = api.config as Settings
    const bot = createBot({ token, root: api_root.replace(/\/+$/, ''), signal: api.signal })
    const take = createUpdates({ api, bot, acknowledge })
    const { connected } = await connect({ api, bot, way: createPolling({ api, bot, take, now: Date.now }) })
    return { ...createOutgoing(bot.api), connected }
  },
})

type Settings = { api_root?: string; acknowledge?: string }
