import { defineChannel } from '../sdk/channel.ts'
import { PluginError } from '../sdk/errors.ts'
import { startBot } from './bot.ts'

defineChannel({
  id: 'discord',
  capabilities: ['reply', 'inline_keyboard'],
  // Counted in code points, as Discord's staff say in discord/discord-api-docs, issue 1315.
  limit: { max: 2000, unit: 'chars' },
  environment: { config: { api_root: 'DISCORD_API_ROOT' }, secrets: { token: 'DISCORD_BOT_TOKEN' } },

  async start(api) {
    const token = (api.secrets.token ?? '').trim().replace(/^Bot\s+/i, '')
    if (token === '') {
      throw new PluginError('unauthorized', 'The bot token is missing; the developer portal gives one, page Bot')
    }
    // A token with anything else in it would stand in the words of the refused request.
    if (!/^[\w.-]+$/.test(token)) {
      throw new PluginError('unauthorized', 'The bot token holds characters that no token has; copy it once more')
    }
    const { api_root = 'https://discord.com/api', message_content = true, slash_commands = true } = api
      .config as Settings
    return await startBot(api, { token, root: api_root.replace(/\/+$/, ''), message_content, slash_commands })
  },
})

type Settings = { api_root?: string; message_content?: boolean; slash_commands?: boolean }
