import type { ChannelApi } from '../sdk/channel.ts'
import { PluginError } from '../sdk/errors.ts'
import type { SlackApi } from './api.ts'
import { isDirect } from './ids.ts'
import { escapeText } from './mrkdwn.ts'
import type { People } from './people.ts'
import { readable } from './readable.ts'

/** Presses that a word may still be said about, and for how long. */
const REMEMBERED = 1000
const REMEMBERED_MS = 15 * 60_000
/** Slack waits three seconds for all of it. */
const TIMEOUT_MS = 1000

/** First words that are a command of ours; anything else is a question. */
const COMMANDS = new Set([
  ...['new', 'reset', 'clear', 'stop', 'status', 'queue', 'help', 'context', 'model', 'compact', 'usage'],
  ...['approve', 'deny', 'pair'],
])

/** A pressed button, as `interactive` brings it. */
export type BlockActions = {
  type: string
  trigger_id: string
  user: { id: string }
  channel?: { id: string }
  message?: { ts: string; thread_ts?: string }
  actions?: { type: string; value?: string }[]
}

/** A used slash command. */
export type SlashCommand = {
  command: string
  text?: string
  trigger_id: string
  user_id: string
  channel_id: string
  team_id?: string
}

/** Pressed buttons and the slash command. */
export function createInteractions({ channel, api, people }: { channel: ChannelApi; api: SlackApi; people: People }) {
  const pressed = new Map<string, { at: number; chat: string; user: string; thread: string | undefined }>()
  const directs = new Map<string, string>()

  /** A direct chat of two people is closed to us; what one of them asks there is answered in the chat with us. */
  async function directOf({ channel_id, user_id }: SlashCommand): Promise<string> {
    const known = directs.get(user_id)
    if (known) return known
    try {
      const { channel: { id } } = await api.call<{ channel: { id: string } }>('conversations.open', { users: user_id })
      directs.set(user_id, id)
      if (directs.size > REMEMBERED) directs.delete(directs.keys().next().value!)
      return id
    } catch (error) {
      if (!(error instanceof PluginError) || error.code !== 'forbidden') throw error
      return channel_id
    }
  }

  /** Whether an answer would arrive; commands can be used where the bot is not. Without an answer in time, it may. */
  async function mayWriteTo(id: string): Promise<boolean> {
    type Info = { channel: { is_member?: boolean; is_mpim?: boolean } }
    try {
      const { channel: info } = await api.call<Info>('conversations.info', { channel: id }, { timeoutMs: TIMEOUT_MS })
      return info.is_member !== false || info.is_mpim === true
    } catch (error) {
      return !(error instanceof PluginError) || error.code !== 'chat_not_found'
    }
  }

  return {
    async press({ trigger_id, user, channel: where, message, actions = [] }: BlockActions): Promise<void> {
      const data = actions.find(({ type }) => type === 'button')?.value
      if (!where || !message || data === undefined) return
      const now = Date.now()
      for (const [old, { at }] of pressed) if (now - at > REMEMBERED_MS) pressed.delete(old)
      if (pressed.size >= REMEMBERED) pressed.delete(pressed.keys().next().value!)
      pressed.set(trigger_id, { at: now, chat: where.id, user: user.id, thread: message.thread_ts })
      await channel.pressed({
        callback_query_id: trigger_id,
        chat_id: where.id,
        sender: { id: user.id, ...await people.get(user.id) },
        message_id: message.ts,
        data,
      })
    },

    /** Answers with words that only who used it sees. Whether it is done is decided by the core. */
    async command(command: SlashCommand): Promise<object> {
      const { text = '', trigger_id, user_id, channel_id, team_id } = command
      const chat_id = isDirect(channel_id) ? await directOf(command) : channel_id
      if (!isDirect(chat_id) && !await mayWriteTo(chat_id)) {
        return { response_type: 'ephemeral', text: 'I am not in this channel yet; write /invite and my @name here.' }
      }
      const words = wordsOf(await readable(text, people.nameOf))
      await channel.received({
        message_id: `command-${trigger_id}`,
        chat_id,
        sender: { id: user_id, ...await people.get(user_id) },
        content: { type: 'text', text: words },
        routing: { channel: 'slack', chat_type: isDirect(chat_id) ? 'dm' : 'group', team_id },
        mentions_bot: true,
        timestamp: new Date().toISOString(),
      })
      const elsewhere = chat_id === channel_id ? '' : '\n_The answer comes in our direct messages._'
      return { response_type: 'ephemeral', text: escapeText(words.slice(0, 1000)) + elsewhere }
    },

    /** Words about a pressed button, which only who pressed it sees. */
    async answer(id: string, text: string | undefined): Promise<void> {
      const found = pressed.get(id)
      pressed.delete(id)
      if (!found || !text) return
      const { chat, user, thread } = found
      await api.call('chat.postEphemeral', {
        channel: chat,
        user,
        thread_ts: thread,
        text: escapeText(text.slice(0, 1000)),
      })
    },
  }
}

/** `status` and `/status` are commands, nothing is a call for help, and everything else is said to the agent. */
function wordsOf(text: string): string {
  const words = text.trim()
  if (words === '') return '/help'
  const [first = ''] = words.split(/\s/, 1)
  return COMMANDS.has(first.toLowerCase()) ? `/${words}` : words
}
