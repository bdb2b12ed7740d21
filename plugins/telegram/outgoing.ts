import { type Api, GrammyError, InputFile } from 'grammy/web'
import type { InlineKeyboardMarkup, Message, ReactionTypeEmoji } from 'grammy/types'
import type { Channel, OutgoingMedia, OutgoingText } from '../sdk/channel.ts'
import { PluginError } from '../sdk/errors.ts'
import { toHtml } from './format.ts'
import { platformId } from './incoming.ts'
import { refusal } from './refusal.ts'

const MAX_CAPTION = 1024

/** What the core wants said. */
export function createOutgoing(bot: Api): Channel {
  /** Telegram refuses text that it can't parse; the words count more than their look. */
  async function formatted<T>(
    send: (mode: { parse_mode: 'HTML' } | object, text: string) => Promise<T>,
    markdown: string,
  ) {
    try {
      return await send({ parse_mode: 'HTML' }, toHtml(markdown))
    } catch (error) {
      const { description = '' } = error as Partial<GrammyError>
      if (!/can't parse entities|(message|caption) is too long/i.test(description)) throw error
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
      const { media, bytes, caption } = message
      const mime = media.mime_type ?? ''
      const file = media.source === 'url'
        ? media.url
        : new InputFile(bytes ?? new Uint8Array(), media.filename ?? 'file')
      // A longer caption is a message of its own.
      const short = caption !== undefined && caption.length <= MAX_CAPTION
      const upload = (chat: string, more: object): Promise<Message> => {
        if (/^image\/(png|jpe?g|webp)$/.test(mime)) return bot.sendPhoto(chat, file, more)
        if (mime === 'image/gif') return bot.sendAnimation(chat, file, more)
        if (mime === 'audio/ogg') return bot.sendVoice(chat, file, more)
        if (mime.startsWith('audio/')) return bot.sendAudio(chat, file, more)
        if (mime === 'video/mp4') return bot.sendVideo(chat, file, more)
        return bot.sendDocument(chat, file, more)
      }
      const sent = await inChat(
        message.chat_id,
        (chat) =>
          short
            ? formatted((mode, caption) => upload(chat, { ...mode, ...place(message), caption }), caption)
            : upload(chat, place(message)),
      )
      if (caption && !short) {
        await inChat(
          message.chat_id,
          (chat) => formatted((mode, text) => bot.sendMessage(chat, text, { ...mode, ...place(message) }), caption),
        )
      }
      return `${sent.chat.id}/${sent.message_id}`
    },

    typing: async (chatId, seconds, threadId) => {
      if (seconds > 0) await bot.sendChatAction(chatId, 'typing', place({ thread_id: threadId }))
    },

    // A bot has one reaction at each message; a new one takes the place of the old.
    react: async ({ chat_id, message_id, emoji }) =>
      void await inChat(chat_id, (chat) => bot.setMessageReaction(chat, known(message_id), signs(emoji))),

    answerCallback: async (id, text) => {
      // One that is older than a few minutes can't be answered any more, and nobody waits for it.
      await bot.answerCallbackQuery(id, text ? { text: text.slice(0, 200) } : {}).catch((error: unknown) => {
        if (!(error instanceof GrammyError && error.error_code === 400)) throw refusal(error)
      })
    },
  }
}

/** Telegram knows a few dozen emoji, and refuses any other. */
const signs = (emoji: string | undefined): ReactionTypeEmoji[] =>
  emoji === undefined ? [] : [{ type: 'emoji', emoji: emoji as ReactionTypeEmoji['emoji'] }]

function keyboard({ rows }: NonNullable<OutgoingText['inline_keyboard']>): InlineKeyboardMarkup {
  return { inline_keyboard: rows.map((row) => row.map(({ text, callback_data }) => ({ text, callback_data }))) }
}

function known(messageId: string): number {
  const id = platformId(messageId)
  if (id === undefined) throw new PluginError('message_not_found', `${messageId} is no message of Telegram`)
  return id
}
