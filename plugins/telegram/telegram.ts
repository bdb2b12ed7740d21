import { Buffer } from 'node:buffer'
import { setTimeout as sleep } from 'node:timers/promises'
import { Api, GrammyError, HttpError, InputFile } from 'grammy/web'
import type { InlineKeyboardMarkup, Message, Update, UserFromGetMe } from 'grammy/types'
import type { Channel, ChannelApi, OutgoingMedia, OutgoingText } from '../sdk/channel.ts'
import { PluginError } from '../sdk/errors.ts'
import { toHtml } from './format.ts'
import { type FileRef, MAX_FILE, platformId, takeMessage } from './incoming.ts'

type Signal = NonNullable<Parameters<Api['getMe']>[0]>

const POLL_SECONDS = 30
const MAX_PAUSE_MS = 60_000
const MAX_CAPTION = 1024
const UPDATES = ['message', 'channel_post', 'callback_query'] as const

/** One bot: long polling in, the Bot API out. Throws `PluginError` when the token is refused. */
export async function startBot(
  api: ChannelApi,
  { token, root, acknowledge }: { token: string; root: string; acknowledge: string },
): Promise<Channel> {
  const bot = new Api(token, { apiRoot: root, timeoutSeconds: POLL_SECONDS + 30 })
  // Their type is another library's, which the web build does not use.
  const signal = api.signal as Signal
  let connected = false
  let me: UserFromGetMe | undefined

  async function receive(update: Update): Promise<void> {
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
    const taken = message && takeMessage(message, me!)
    if (!taken) return
    await api.received(await withFile(taken.message, taken.file))
    if (acknowledge !== '') {
      await bot.setMessageReaction(message.chat.id, message.message_id, [
        { type: 'emoji', emoji: acknowledge as '👀' },
      ]).catch((error: Error) => api.log.debug(`The reaction was refused: ${plain(error)}`))
    }
  }

  /** The address of a file has the token in it, so the file itself goes to the core. */
  async function withFile(message: Parameters<ChannelApi['received']>[0], file: FileRef | undefined) {
    if (!file || message.content.type !== 'media') return message
    const { caption } = message.content
    const left = (why: string) => ({
      ...message,
      content: { type: 'text' as const, text: [caption, `[the file ${file.name} ${why}]`].filter(Boolean).join('\n') },
    })
    if ((file.size ?? 0) > MAX_FILE) return left(`is larger than ${MAX_FILE / 1024} KB and was left out`)
    try {
      const { file_path } = await bot.getFile(file.file_id, signal)
      const response = await fetch(`${root}/file/bot${token}/${file_path}`, { signal: api.signal })
      if (!response.ok) throw new Error(`status ${response.status}`)
      const bytes = new Uint8Array(await response.arrayBuffer())
      if (bytes.length > MAX_FILE) return left('is too large and was left out')
      const url = `data:${file.mime};base64,${Buffer.from(bytes).toString('base64')}`
      return { ...message, content: { ...message.content, url } }
    } catch (error) {
      api.log.warn(`A file could not be fetched: ${plain(error)}`)
      return left('could not be fetched')
    }
  }

  async function poll(): Promise<void> {
    // Only what the core has stored is confirmed, by asking for what comes after it.
    let offset = await api.state.get<number>('offset') ?? 0
    let pause = 1000
    while (!api.signal.aborted) {
      try {
        if (!me) {
          me = await bot.getMe(signal)
          await bot.deleteWebhook({ drop_pending_updates: false }, signal)
        }
        if (!connected) api.status(true, { identity: `@${me.username}` })
        connected = true
        const updates = await bot.getUpdates(
          { offset, timeout: POLL_SECONDS, allowed_updates: [...UPDATES] },
          signal,
        )
        pause = 1000
        for (const update of updates) {
          await receive(update)
          offset = update.update_id + 1
        }
        if (updates.length > 0) await api.state.set('offset', offset)
      } catch (error) {
        if (api.signal.aborted) return
        if (isRefused(error)) return void await api.fail('unauthorized', 'Telegram refused the bot token')
        const words = error instanceof GrammyError && error.error_code === 409
          ? 'Another program reads the messages of this bot; end it, or give each its own bot'
          : plain(error)
        if (connected || pause === 1000) api.log.warn(`No messages from Telegram: ${words}`)
        if (connected || pause === 1000) api.status(false, { detail: words })
        connected = false
        await sleep(retryAfter(error) ?? pause, undefined, { signal: api.signal }).catch(() => {})
        pause = Math.min(pause * 2, MAX_PAUSE_MS)
      }
    }
  }

  /** Telegram refuses text that it can't parse; the words count more than their look. */
  async function formatted<T>(
    send: (mode: { parse_mode: 'HTML' } | object, text: string) => Promise<T>,
    markdown: string,
  ) {
    try {
      return await send({ parse_mode: 'HTML' }, toHtml(markdown))
    } catch (error) {
      const { description = '' } = error as Partial<GrammyError>
      if (!/can't parse entities|message is too long/i.test(description)) throw error
      return await send({}, markdown)
    }
  }

  /** A group that became a supergroup has a new id, which Telegram tells with the refusal. */
  async function inChat<T>(chatId: string, work: (chat: string) => Promise<T>): Promise<T> {
    try {
      return await work(chatId).catch((error: unknown) => {
        const moved = error instanceof GrammyError ? error.parameters.migrate_to_chat_id : undefined
        if (moved === undefined) throw error
        return work(String(moved))
      })
    } catch (error) {
      throw refusal(error)
    }
  }

  const place = ({ thread_id, reply_to }: { thread_id?: string | undefined; reply_to?: string | undefined }) => {
    const answered = platformId(reply_to)
    return {
      ...(thread_id ? { message_thread_id: Number(thread_id) } : {}),
      ...(answered ? { reply_parameters: { message_id: answered, allow_sending_without_reply: true } } : {}),
    }
  }

  const first = await bot.getMe(AbortSignal.any([api.signal, AbortSignal.timeout(10_000)]) as Signal).catch(
    (error: unknown) => {
      if (isRefused(error)) throw new PluginError('unauthorized', 'Telegram refused the bot token; @BotFather has it')
      return undefined
    },
  )
  me = first
  poll().catch((error: unknown) => api.fail('platform_error', plain(error)))

  return {
    async send(message: OutgoingText) {
      const markup = message.inline_keyboard && keyboard(message.inline_keyboard)
      const sent = await inChat(message.chat_id, (chat) =>
        formatted(
          (mode, text) =>
            bot.sendMessage(chat, text, { ...mode, ...place(message), ...(markup ? { reply_markup: markup } : {}) }),
          message.content,
        ))
      return `${sent.chat.id}/${sent.message_id}`
    },

    async edit({ chat_id, message_id, content }) {
      const id = known(message_id)
      await inChat(
        chat_id,
        (chat) =>
          formatted((mode, text) => bot.editMessageText(chat, id, text, mode), content).catch((error: unknown) => {
            if (error instanceof GrammyError && /not modified/.test(error.description)) return true
            throw error
          }),
      )
    },

    delete: async ({ chat_id, message_id }) =>
      void await inChat(chat_id, (chat) => bot.deleteMessage(chat, known(message_id))),

    async media(message: OutgoingMedia) {
      const { media, caption } = message
      const mime = media.mime_type ?? ''
      const file = media.source === 'url'
        ? media.url
        : new InputFile(Buffer.from(media.data, 'base64'), media.filename ?? 'file')
      // A longer caption is a message of its own.
      const short = caption !== undefined && caption.length <= MAX_CAPTION
      const more = { ...place(message), ...(short ? { caption } : {}) }
      const sent = await inChat(message.chat_id, (chat): Promise<Message> => {
        if (/^image\/(png|jpe?g|webp)$/.test(mime)) return bot.sendPhoto(chat, file, more)
        if (mime === 'image/gif') return bot.sendAnimation(chat, file, more)
        if (mime === 'audio/ogg') return bot.sendVoice(chat, file, more)
        if (mime.startsWith('audio/')) return bot.sendAudio(chat, file, more)
        if (mime === 'video/mp4') return bot.sendVideo(chat, file, more)
        return bot.sendDocument(chat, file, more)
      })
      if (caption && !short) {
        await inChat(
          message.chat_id,
          (chat) => formatted((mode, text) => bot.sendMessage(chat, text, { ...mode, ...place(message) }), caption),
        )
      }
      return `${sent.chat.id}/${sent.message_id}`
    },

    typing: async (chatId, seconds) => {
      if (seconds > 0) await bot.sendChatAction(chatId, 'typing')
    },

    answerCallback: async (id, text) => {
      // One that is older than a few minutes can't be answered any more, and nobody waits for it.
      await bot.answerCallbackQuery(id, text ? { text: text.slice(0, 200) } : {}).catch((error: unknown) => {
        if (!(error instanceof GrammyError && error.error_code === 400)) throw refusal(error)
      })
    },

    connected: () => connected,
  }
}

function keyboard({ rows }: NonNullable<OutgoingText['inline_keyboard']>): InlineKeyboardMarkup {
  return { inline_keyboard: rows.map((row) => row.map(({ text, callback_data }) => ({ text, callback_data }))) }
}

function known(messageId: string): number {
  const id = platformId(messageId)
  if (id === undefined) throw new PluginError('message_not_found', `${messageId} is no message of Telegram`)
  return id
}

const isRefused = (error: unknown): boolean =>
  error instanceof GrammyError && (error.error_code === 401 || error.error_code === 404)

const retryAfter = (error: unknown): number | undefined => {
  const seconds = error instanceof GrammyError ? error.parameters.retry_after : undefined
  return seconds === undefined ? undefined : seconds * 1000
}

/** grammY's own message of a failed request has the address in it, and so the token. */
const plain = (error: unknown): string =>
  error instanceof GrammyError
    ? error.description
    : error instanceof HttpError
    ? "Telegram can't be reached"
    : error instanceof Error && error.name === 'TypeError'
    ? 'the connection failed'
    : error instanceof Error
    ? error.message
    : String(error)

function refusal(error: unknown): PluginError {
  if (error instanceof PluginError) return error
  if (!(error instanceof GrammyError)) return new PluginError('not_connected', plain(error))
  const { error_code: status, description } = error
  if (status === 429) return new PluginError('rate_limited', description, { retryAfterMs: retryAfter(error) ?? 5000 })
  if (status === 401) return new PluginError('unauthorized', description)
  if (status === 403 || /chat not found|user is deactivated/i.test(description)) {
    return new PluginError('chat_not_found', description)
  }
  if (/message (to \w+ )?not found|can't be (edited|deleted)/i.test(description)) {
    return new PluginError('message_not_found', description)
  }
  return new PluginError(status >= 500 ? 'not_connected' : 'invalid_request', description)
}
