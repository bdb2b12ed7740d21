import { defineChannel } from '../sdk/channel.ts'
import { PluginError } from '../sdk/errors.ts'
import { startBot } from './telegram.ts'

defineChannel({
  id: 'telegram',
  capabilities: ['reply', 'inline_keyboard'],
  limit: { max: 4096, unit: 'utf16' },
  environment: { config: { api_root: 'TELEGRAM_API_ROOT' }, secrets: { token: 'TELEGRAM_BOT_TOKEN' } },

  async start(api) {
    const { token } = api.secrets
    if (!token) throw new PluginError('unauthorized', 'The bot token is missing; @BotFather gives one')
    const { api_root = 'https://api.telegram.org', acknowledge = '' } = api.config as Settings
    return await startBot(api, { token, root: api_root.replace(/\/+$/, ''), acknowledge })
  },
})

type Settings = { api_root?: string; acknowledge?: string }
