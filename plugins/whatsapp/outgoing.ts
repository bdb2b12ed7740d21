import type { Channel, OutgoingMedia, OutgoingText } from '../sdk/channel.ts'
import { PluginError } from '../sdk/errors.ts'
import { addressOf, isGroup } from './addresses.ts'
import type { Chats } from './chats.ts'
import { choicesInWords, choicesOf } from './choices.ts'
import type { Delivered } from './delivered.ts'
import { toWhatsApp } from './format.ts'
import type { Graph } from './graph.ts'

export const MAX_TEXT = 4096
const MAX_CAPTION = 1024
/** Presses that may still be answered with words. */
const REMEMBERED = 500
/** How long Meta's word on a message is waited for, where it may be that nobody may write there now. */
const WORD_MS = 4000

type Content = { type: string } & Record<string, unknown>
type Place = { chat_id: string; reply_to?: string | undefined }

/** What the core wants said. */
export function createOutgoing({ graph, chats, delivered, typing, isCalled, onRefused }: {
  graph: Graph
  chats: Chats
  delivered: Delivered
  typing: boolean
  /** Whether Meta can tell what became of a message. */
  isCalled: () => boolean
  /** Meta does not let us. */
  onRefused: () => void
}) {
  const presses = new Map<string, string>()

  /** `command` comes back with what became of the message, so that one whose answer was lost is not sent again. */
  async function post(command: string, { chat_id, reply_to }: Place, content: Content): Promise<string> {
    const before = delivered.messageOf(command)
    if (before) return before
    const isSure = !isCalled() || isGroup(chat_id) || chats.isOpen(chat_id)
    const { messages } = await graph.post<{ messages?: { id: string }[] }>('messages', {
      ...addressOf(chat_id),
      ...(reply_to?.startsWith('wamid.') ? { context: { message_id: reply_to } } : {}),
      ...content,
      biz_opaque_callback_data: command,
    }).catch((error: unknown) => {
      if (error instanceof PluginError && error.code === 'unauthorized') onRefused()
      throw error
    })
    chats.wrote(chat_id)
    const id = messages?.[0]?.id
    if (!id) throw new PluginError('platform_error', 'Meta did not say what the message is called')
    const failure = isSure ? undefined : await delivered.failure(id, WORD_MS)
    if (failure) throw failure
    return id
  }

  const text = (body: string): Content => ({
    type: 'text',
    text: { body, preview_url: /https?:\/\//.test(body) },
  })

  /** A table that is drawn may be longer than what it was. */
  function worded(markdown: string, max: number): string {
    const formatted = toWhatsApp(markdown)
    return formatted.length <= max && formatted !== '' ? formatted : markdown
  }

  async function withChoices(message: OutgoingText): Promise<string> {
    const { request_id, content, inline_keyboard: keyboard } = message
    const choices = keyboard && !isGroup(message.chat_id) ? choicesOf(keyboard) : undefined
    if (!keyboard || keyboard.rows.flat().length === 0) {
      return await post(request_id, message, text(worded(content, MAX_TEXT)))
    }
    if (!choices) {
      const list = choicesInWords(keyboard)
      const body = `${worded(content, MAX_TEXT)}\n\n${list}`
      if (body.length <= MAX_TEXT) return await post(request_id, message, text(body))
      await post(`${request_id}/text`, message, text(worded(content, MAX_TEXT)))
      return await post(request_id, { chat_id: message.chat_id }, text(list.slice(0, MAX_TEXT)))
    }
    const { type, action } = choices.action
    const interactive = (body: string): Content => ({
      type: 'interactive',
      interactive: { type, body: { text: body }, action },
    })
    const body = toWhatsApp(content)
    if (body !== '' && body.length <= choices.body) return await post(request_id, message, interactive(body))
    // What is too long to stand above buttons stands before them.
    await post(`${request_id}/text`, message, text(worded(content, MAX_TEXT)))
    return await post(request_id, { chat_id: message.chat_id }, interactive('👇'))
  }

  async function media(message: OutgoingMedia): Promise<string> {
    const { request_id, chat_id, caption = '' } = message
    const { bytes } = message
    if (message.media.source === 'url' || !bytes) {
      const body = [caption, 'url' in message.media ? message.media.url : ''].filter(Boolean).join('\n\n')
      return await post(request_id, { chat_id }, text(body))
    }
    const { filename = 'file' } = message.media
    const mime = message.media.mime_type.split(';')[0]!.trim().toLowerCase()
    const kind = kindOf(mime)
    if (!kind) throw new PluginError('not_implemented', `WhatsApp takes no files of the type ${mime}`)
    if (bytes.length > kind.max) {
      throw new PluginError('not_implemented', `WhatsApp takes ${kind.type}s up to ${kind.max / MB} MB only`)
    }
    const words = worded(caption, MAX_CAPTION)
    const above = kind.type !== 'audio' && words.length <= MAX_CAPTION
    if (caption !== '' && !above) await post(`${request_id}/text`, { chat_id }, text(worded(caption, MAX_TEXT)))
    const before = delivered.messageOf(request_id)
    if (before) return before
    return await post(request_id, { chat_id }, {
      type: kind.type,
      [kind.type]: {
        id: await graph.upload(bytes, kind.as, filename),
        ...(caption !== '' && above ? { caption: words } : {}),
        ...(kind.type === 'document' ? { filename } : {}),
        ...(mime === 'audio/ogg' ? { voice: true } : {}),
      },
    })
  }

  return {
    send: withChoices,
    media,

    // A number has one reaction at each message; without an emoji it goes.
    async react({ chat_id, message_id, emoji = '' }): Promise<void> {
      if (!message_id.startsWith('wamid.')) {
        throw new PluginError('message_not_found', `${message_id} is no message of WhatsApp`)
      }
      await graph.post('messages', { ...addressOf(chat_id), type: 'reaction', reaction: { message_id, emoji } })
    },

    async typing(chatId: string, seconds: number): Promise<void> {
      const message = typing && seconds > 0 ? chats.toType(chatId) : undefined
      if (!message) return
      await graph.post('messages', { status: 'read', message_id: message, typing_indicator: { type: 'text' } })
    },

    /** WhatsApp has no words for who pressed, so they are a message; it names the press. */
    async answerCallback(id: string, words: string | undefined): Promise<void> {
      const chat_id = presses.get(id)
      if (words && chat_id) await post(id, { chat_id, reply_to: id }, text(words))
    },

    pressed(id: string, chatId: string): void {
      presses.set(id, chatId)
      if (presses.size > REMEMBERED) presses.delete(presses.keys().next().value!)
    },
  } satisfies Channel & { pressed(id: string, chatId: string): void }
}

const MB = 1024 * 1024
const OFFICE = /^application\/(pdf|msword|vnd\.ms-(excel|powerpoint)|vnd\.openxmlformats-officedocument\.[\w.]+)$/

/** What a file is for WhatsApp; undefined for what it does not take. */
function kindOf(mime: string): { type: string; as: string; max: number } | undefined {
  if (/^image\/(jpeg|png)$/.test(mime)) return { type: 'image', as: mime, max: 5 * MB }
  if (/^audio\/(aac|mp4|mpeg|amr|ogg)$/.test(mime)) return { type: 'audio', as: mime, max: 16 * MB }
  if (/^video\/(mp4|3gpp)$/.test(mime)) return { type: 'video', as: mime, max: 16 * MB }
  if (OFFICE.test(mime)) return { type: 'document', as: mime, max: 100 * MB }
  if (/^text\/|^application\/(json|xml|yaml|toml|javascript)$/.test(mime)) {
    return { type: 'document', as: 'text/plain', max: 100 * MB }
  }
}
