import type { Message, Update, UserFromGetMe } from 'grammy/types'
import type { ChannelApi, Incoming } from '../sdk/channel.ts'
import { PluginError } from '../sdk/errors.ts'
import type { Bot } from './bot.ts'
import { type FileRef, takeMessage } from './incoming.ts'
import { plain } from './refusal.ts'

/** What is asked for; everything else stays at Telegram. */
export const UPDATES = ['message', 'channel_post', 'callback_query'] as const

/** What the Bot API hands out. */
const GET_FILE_BYTES = 20 * 1024 ** 2
const ALBUMS_REMEMBERED = 200

/** Tells the core what happened; the same for both ways in which it comes. */
export function createUpdates({ api, bot }: { api: ChannelApi; bot: Bot }) {
  const maxFile = Math.min(api.maxFileBytes, GET_FILE_BYTES)
  /** Whether we were meant by a part of an album: the words stand below one of its pictures only. */
  const albums = new Map<string, Pick<Incoming, 'mentions_bot' | 'reply_to_bot' | 'reply_to'>>()

  function asAlbum(message: Incoming, { media_group_id, chat }: Message): Incoming {
    if (media_group_id === undefined) return message
    const key = `${chat.id}/${media_group_id}`
    const { mentions_bot, reply_to_bot, reply_to } = message
    const known = albums.get(key) ?? {}
    const whole = {
      mentions_bot: mentions_bot || known.mentions_bot,
      reply_to_bot: reply_to_bot || known.reply_to_bot,
      reply_to: reply_to ?? known.reply_to,
    }
    albums.set(key, whole)
    if (albums.size > ALBUMS_REMEMBERED) albums.delete(albums.keys().next().value!)
    return { ...message, ...whole }
  }

  /** The address of a file has the token in it, so the file itself goes to the core. */
  async function withFile(message: Incoming, file: FileRef | undefined): Promise<Incoming> {
    if (!file || message.content.type !== 'media') return message
    const { caption } = message.content
    const left = (why: string): Incoming => ({
      ...message,
      content: { type: 'text', text: [caption, `[the file ${file.name} ${why}]`].filter(Boolean).join('\n') },
    })
    const tooLarge = `is larger than ${inWords(maxFile)} and was left out`
    if ((file.size ?? 0) > maxFile) return left(tooLarge)
    try {
      const response = await bot.file(file.file_id)
      if (!response.ok || !response.body) throw new Error(`status ${response.status}`)
      const url = await api.file({ name: file.name, type: file.mime, data: response.body })
      return { ...message, content: { ...message.content, url } }
    } catch (error) {
      if (api.signal.aborted) throw error
      if (error instanceof PluginError && error.code === 'too_large') return left(tooLarge)
      api.log.warn(`A file could not be fetched: ${plain(error)}`)
      return left('could not be fetched')
    }
  }

  /** Resolves when the core was told; `api.settled` says when it has stored it. */
  return async (update: Update, me: UserFromGetMe): Promise<void> => {
    const { callback_query: pressed } = update
    if (pressed) {
      const { message, from, data } = pressed
      if (!message || data === undefined) return
      return await api.pressed({
        callback_query_id: pressed.id,
        chat_id: String(message.chat.id),
        sender: { id: String(from.id), ...(from.username ? { username: from.username } : {}) },
        message_id: `${message.chat.id}/${message.message_id}`,
        data,
      })
    }
    const message = update.message ?? update.channel_post
    const taken = message && takeMessage(message, me, maxFile)
    if (!taken) return
    await api.received(await withFile(asAlbum(taken.message, message), taken.file))
  }
}

export type TakeUpdate = ReturnType<typeof createUpdates>

const inWords = (bytes: number): string =>
  bytes < 1024 ** 2 ? `${Math.floor(bytes / 1024)} KB` : `${Math.floor(bytes / 1024 ** 2)} MB`
