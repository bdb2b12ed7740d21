import { type APIAttachment, MessageFlags, MessageType } from '@discordjs/core'
import type { ChannelApi, Incoming } from '../sdk/channel.ts'
import { PluginError } from '../sdk/errors.ts'
import type { Channels, Message } from './channels.ts'
import { messageId } from './ids.ts'

const FETCH_MS = 120_000

/** Who we are: our number, and the roles that Discord made for us on servers, which people mention by mistake. */
export type Self = { id: string; name: string; roles: Set<string> }

/** Tells the core of what people write. */
export function createIncoming({ channel, channels, self }: { channel: ChannelApi; channels: Channels; self: Self }) {
  async function fileOf({ url, size, content_type, filename }: APIAttachment) {
    const max = channel.maxFileBytes
    const large = `[the file ${filename} is larger than ${Math.floor(max / 1024)} KB and was left out]`
    if (size > max) return { problem: large }
    try {
      const signal = AbortSignal.any([channel.signal, AbortSignal.timeout(FETCH_MS)])
      const response = await fetch(url, { signal })
      if (!response.ok || !response.body) throw new Error(`status ${response.status}`)
      return { url: await channel.file({ name: filename, type: content_type ?? '', data: response.body }) }
    } catch (error) {
      if (error instanceof PluginError && error.code === 'too_large') return { problem: large }
      channel.log.warn('A file could not be fetched', { reason: (error as Error).name })
      return { problem: `[the file ${filename} could not be fetched]` }
    }
  }

  /** One message for each file, the first with the words; a message without any is one. */
  async function contentsOf(message: Message): Promise<Incoming['content'][]> {
    const forwarded = (message.message_snapshots ?? []).map(({ message }) => message)
    const stickers = (message.sticker_items ?? []).map(({ name }) => `[sticker ${name}]`)
    const words = [readable(message, self), ...forwarded.map(({ content }) => content), ...stickers]
    const files = [...message.attachments, ...forwarded.flatMap(({ attachments }) => attachments)]
    const text = words.filter(Boolean).join('\n')
    if (files.length === 0) {
      if (text !== '') return [{ type: 'text', text }]
      return message.poll ? [{ type: 'unknown', raw: { poll: message.poll.question.text ?? '' } }] : []
    }
    const voice = ((message.flags ?? 0) & MessageFlags.IsVoiceMessage) !== 0
    const contents: Incoming['content'][] = []
    for (const [i, file] of files.entries()) {
      const { url, problem } = await fileOf(file)
      const caption = [i === 0 ? text : '', problem].filter(Boolean).join('\n')
      contents.push({
        type: 'media',
        media_type: voice ? 'voice' : kindOf(file.content_type),
        ...(url ? { url } : {}),
        ...(caption ? { caption } : {}),
      })
    }
    return contents
  }

  return async (message: Message): Promise<void> => {
    const { author, referenced_message: answered, channel_id } = message
    // Of other bots nothing is taken, or two of them would talk for ever. The rest is news such as a new member.
    if (author.bot || message.webhook_id) return
    if (message.type !== MessageType.Default && message.type !== MessageType.Reply) return
    const place = await channels.placeOf(message)
    const direct = message.guild_id === undefined
    const name = message.member?.nick ?? author.global_name
    for (const [i, content] of (await contentsOf(message)).entries()) {
      await channel.received({
        message_id: messageId(channel_id, message.id) + (i === 0 ? '' : `#${i + 1}`),
        chat_id: place.chat_id,
        sender: { id: author.id, username: author.username, ...(name ? { display_name: name } : {}) },
        content,
        routing: {
          channel: 'discord',
          chat_type: direct ? 'dm' : 'group',
          thread_id: place.thread_id,
          guild_id: message.guild_id,
        },
        ...(answered ? { reply_to: messageId(channel_id, answered.id) } : {}),
        mentions_bot: direct || mentions(message, self),
        reply_to_bot: answered?.author.id === self.id,
        timestamp: new Date(message.timestamp).toISOString(),
      })
    }
  }
}

const mentions = ({ mentions, mention_roles }: Message, { id, roles }: Self): boolean =>
  mentions.some((user) => user.id === id) || mention_roles.some((role) => roles.has(role))

/** People are numbers in the text; our own name at its beginning is how a group calls us, and no part of the words. */
function readable({ content, mentions }: Message, { id, name }: Self): string {
  const text = content.replace(new RegExp(`^\\s*<@!?${id}>\\s*`), '')
  const named = (text || content).replace(/<@!?(\d+)>/g, (mark, number: string) => {
    const who = number === id ? name : mentions.find((user) => user.id === number)?.username
    return who ? `@${who}` : mark
  })
  // Emoji of a server: `<:party:123>`.
  return named.replace(/<a?(:\w+:)\d+>/g, '$1').trim()
}

function kindOf(type = ''): string {
  const kind = type.split('/')[0]!
  return ['image', 'audio', 'video'].includes(kind) ? kind : 'document'
}
