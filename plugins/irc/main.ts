import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { type ChannelApi, defineChannel } from '../sdk/channel.ts'
import { PluginError } from '../sdk/errors.ts'
import { splitText } from '../sdk/text.ts'
import { type Client, runClient, type Settings } from './client.ts'
import { toLines } from './format.ts'
import { createIncoming } from './incoming.ts'

/** Between tries to reach the network; doubles up to five minutes. */
const FIRST_DELAY_MS = 2000
const MAX_DELAY_MS = 300_000

defineChannel({
  id: 'irc',
  capabilities: ['reply'],
  environment: { secrets: { password: 'IRC_PASSWORD' } },

  start(api) {
    const settings = settingsOf(api)
    const incoming = createIncoming(api)
    let client: Client | undefined

    follow({
      api,
      settings,
      message: incoming.take,
      state: (now) => (client = now),
    }).catch((error: Error) => api.fail(error instanceof PluginError ? error.code : 'platform_error', error.message))

    function connected(): Client {
      if (!client) throw new PluginError('not_connected', `${settings.server} is not connected`)
      return client
    }

    async function say(chatId: string, content: string, replyTo?: string): Promise<string> {
      const irc = connected()
      const writer = incoming.writerOf(replyTo)
      const target = irc.isChannel(chatId) ? chatId : writer ?? incoming.targetOf(chatId)
      if (!/^[^\s,:\0\x07][^\s,\0\x07]{0,199}$/.test(target)) {
        throw new PluginError('chat_not_found', `${chatId} is no nick or channel`)
      }
      const nick = irc.isChannel(target) ? writer : undefined
      const max = Math.max(50, irc.room(target) - 10)
      const [first = '', ...rest] = toLines(content)
      const lines = [nick ? `${nick}: ${first}` : first, ...rest]
        .flatMap((line) => splitText(line, { max, unit: 'bytes' }))
      if (lines.length === 0) throw new PluginError('invalid_request', 'content is empty')
      await irc.deliver(target, lines)
      return randomUUID()
    }

    return {
      send: ({ chat_id, content, reply_to }) => say(chat_id, content, reply_to),
      media({ chat_id, media, caption = '' }) {
        // There are no files on IRC, but addresses of them.
        if (media.source !== 'url') throw new PluginError('not_implemented', 'IRC carries no files')
        return say(chat_id, `${caption}\n${media.url}`.trim())
      },
      typing(chatId, seconds) {
        const target = incoming.targetOf(chatId)
        if (!client?.capabilities.has('message-tags') || /[\s,:]/.test(target)) return
        client.send(`@+typing=${seconds > 0 ? 'active' : 'done'} TAGMSG ${target}`, { optional: true })
      },
      connected: () => client !== undefined,
    }
  },
})

type Options = {
  api: ChannelApi
  settings: Settings
  message: Parameters<typeof runClient>[1]['message']
  state: (client: Client | undefined) => void
}

/** Keeps the connection until the plugin stops; throws what only the owner can mend. */
async function follow({ api, settings, message, state }: Options): Promise<void> {
  let delay = FIRST_DELAY_MS
  while (!api.signal.aborted) {
    try {
      await runClient(settings, {
        signal: api.signal,
        message,
        ready(client) {
          delay = FIRST_DELAY_MS
          state(client)
          api.status(true, { identity: `${client.nick}@${settings.server}` })
        },
      })
    } catch (error) {
      if (api.signal.aborted) return
      if (error instanceof PluginError && error.code !== 'not_connected') throw error
      const { message: detail } = error as Error
      api.status(false, { detail })
      api.log.warn(detail)
    } finally {
      state(undefined)
    }
    // Not all at once when a server comes back.
    await sleep(delay * (0.75 + Math.random() / 2), undefined, { signal: api.signal }).catch(() => {})
    delay = Math.min(delay * 2, MAX_DELAY_MS)
  }
}

function settingsOf({ config, secrets }: ChannelApi): Settings {
  const given = config as Partial<Settings> & { real_name?: string; lines_per_second?: number }
  const { server, nick } = given
  if (!server || !nick) throw new PluginError('invalid_request', 'The server and the nick are missing')
  return {
    server,
    nick,
    port: given.port ?? 6697,
    tls: given.tls ?? true,
    channels: given.channels ?? [],
    login: given.login ?? 'sasl',
    account: given.account ?? nick,
    realName: given.real_name ?? nick,
    linesPerSecond: given.lines_per_second ?? 1,
    password: secrets.password || undefined,
  }
}
