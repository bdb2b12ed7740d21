import type { CallbackQuery, MessageContent } from '../../shared/gateway-protocol.ts'
import type { Incoming } from '../sdk/channel.ts'
import type { Contact, Message } from './payload.ts'

/** A file that came with a message. */
export type FileRef = { id: string; name: string; mime: string }

export type Taken =
  | { type: 'message'; message: Incoming; file: FileRef | undefined }
  | { type: 'press'; press: Omit<CallbackQuery, 'type'> }

/** A message as the core reads it; undefined when nobody is named who wrote it. `me` is our own number in digits. */
export function takeMessage(message: Message, contacts: readonly Contact[], me: string): Taken | undefined {
  const sender = senderOf(message, contacts)
  if (!sender) return undefined
  const chat_id = message.group_id ?? sender.id
  const { context, interactive } = message
  const pressed = interactive?.button_reply ?? interactive?.list_reply
  if (pressed && context?.id) {
    return {
      type: 'press',
      press: { callback_query_id: message.id, chat_id, sender, message_id: context.id, data: pressed.id },
    }
  }
  const media = mediaOf(message)
  const replied = context?.id ?? message.reaction?.message_id
  return {
    type: 'message',
    file: media?.file,
    message: {
      message_id: message.id,
      chat_id,
      sender,
      content: media
        ? { type: 'media', media_type: media.type, ...(media.caption ? { caption: media.caption } : {}) }
        : contentOf(message),
      routing: { channel: 'whatsapp', chat_type: message.group_id ? 'group' : 'dm' },
      ...(replied ? { reply_to: replied } : {}),
      mentions_bot: message.group_id === undefined,
      reply_to_bot: me !== '' && digits(context?.from) === me,
      ...(message.timestamp ? { timestamp: new Date(Number(message.timestamp) * 1000).toISOString() } : {}),
    },
  }
}

export const digits = (number = ''): string => number.replace(/\D/g, '')

function senderOf({ from, from_user_id }: Message, contacts: readonly Contact[]): Incoming['sender'] | undefined {
  const id = from || from_user_id
  if (!id) return undefined
  const profile = contacts.find(({ wa_id, user_id }) => wa_id === id || user_id === id || user_id === from_user_id)
    ?.profile
  return {
    id,
    ...(profile?.username ? { username: profile.username } : {}),
    ...(profile?.name ? { display_name: profile.name } : {}),
  }
}

function contentOf(message: Message): MessageContent {
  const { text, location, contacts, interactive, button } = message
  if (text) return { type: 'text', text: text.body }
  if (location) return place(location)
  if (contacts) return cards(contacts)
  // A button of a message that we did not send, or whose message is not named.
  const words = button?.text ?? interactive?.button_reply?.title ?? interactive?.list_reply?.title
  if (words !== undefined) return { type: 'text', text: words }
  const { type, reaction, errors } = message
  return { type: 'unknown', raw: { type, ...(reaction ? { reaction } : {}), ...(errors ? { errors } : {}) } }
}

/** A place with a name is more than its numbers. */
function place({ latitude, longitude, name, address }: NonNullable<Message['location']>): MessageContent {
  const words = [name, address].filter(Boolean).join(', ')
  return words === ''
    ? { type: 'location', latitude, longitude }
    : { type: 'text', text: `[location: ${words}; ${latitude}, ${longitude}]` }
}

function cards(contacts: NonNullable<Message['contacts']>): MessageContent {
  const all = contacts.map(({ name, phones = [] }) => ({
    name: name?.formatted_name ?? '',
    phone: phones.map(({ phone, wa_id }) => phone ?? wa_id ?? '').filter(Boolean).join(', '),
  }))
  return all.length === 1
    ? { type: 'contact', ...all[0]! }
    : { type: 'text', text: all.map(({ name, phone }) => `[contact: ${name}, ${phone}]`).join('\n') }
}

type Media = { type: string; file: FileRef; caption: string | undefined }

function mediaOf({ image, video, audio, document, sticker }: Message): Media | undefined {
  if (image) return mediaIn('image', image, 'photo.jpg', 'image/jpeg')
  if (sticker) return mediaIn('image', sticker, 'sticker.webp', 'image/webp')
  if (video) return mediaIn('video', video, 'video.mp4', 'video/mp4')
  if (audio) return mediaIn(audio.voice ? 'voice' : 'audio', audio, 'audio.ogg', 'audio/ogg')
  return document && mediaIn('document', document, 'file', 'application/octet-stream')
}

function mediaIn(type: string, source: NonNullable<Message['image']>, name: string, mime: string): Media {
  return {
    type,
    caption: source.caption,
    file: {
      id: source.id,
      name: source.filename ?? name,
      // As in `audio/ogg; codecs=opus`.
      mime: source.mime_type?.split(';')[0]!.replace(/[^\w./+-]/g, '') || mime,
    },
  }
}
