import { defineChannel } from '../sdk/channel.ts'
import { PluginError } from '../sdk/errors.ts'
import { startBot } from './bot.ts'
import { MAX_TEXT } from './outgoing.ts'

defineChannel({
  id: 'slack',
  // Slack knows no answer to a single message but a thread, which is a conversation of its own.
  capabilities: ['inline_keyboard'],
  limit: { max: MAX_TEXT, unit: 'utf16' },
  environment: {
    config: { api_root: 'SLACK_API_ROOT' },
    secrets: { bot_token: 'SLACK_BOT_TOKEN', app_token: 'SLACK_APP_TOKEN' },
  },

  async start(api) {
    const {
      api_root = 'https://slack.com/api',
      answer_in_threads = false,
      follow_threads = true,
      quiet_seconds = 300,
    } = api.config as Settings
    return await startBot(api, {
      root: api_root.replace(/\/+$/, ''),
      botToken: tokenOf(api.secrets.bot_token, { name: 'bot token', prefix: 'xoxb-', page: 'OAuth & Permissions' }),
      appToken: tokenOf(api.secrets.app_token, { name: 'app token', prefix: 'xapp-', page: 'Basic Information' }),
      answer_in_threads,
      follow_threads,
      quietMs: quiet_seconds * 1000,
    })
  },
})

type Settings = {
  api_root?: string
  answer_in_threads?: boolean
  follow_threads?: boolean
  quiet_seconds?: number
}

/** A token of the right kind; the two are easily taken for each other. */
function tokenOf(
  given: string | undefined,
  { name, prefix, page }: { name: string; prefix: string; page: string },
): string {
  const token = (given ?? '').trim()
  const where = `copy the one that begins with ${prefix} from the page "${page}" of the app`
  if (token === '') throw new PluginError('unauthorized', `The ${name} is missing; ${where}`)
  if (!token.startsWith(prefix)) throw new PluginError('unauthorized', `The ${name} is not one; ${where}`)
  // A token with anything else in it would stand in the words of the refused request.
  if (!/^[\w-]+$/.test(token)) {
    throw new PluginError('unauthorized', `The ${name} holds characters that no token has; ${where}`)
  }
  return token
}
