import type { Message, MessageEntity, User, UserFromGetMe } from 'grammy/types'
import type { MessageContent } from '../../shared/gateway-protocol.ts'
import type { Incoming } from '../sdk/channel.ts'

/** A file that came with a message. */
export type FileRef = { file_id: string; name: string; mime: string; size: number | undefined }

/** Messages are numbered in each chat, so an id of ours names both. */
const idOf = ({ chat, message_id }: Pick<Message, 'chat' | 'message_id'>): string => `${chat.id}/${message_id}`

/** The number of a message in its chat; undefined for what is no id of ours. */
export function platformId(id: string | undefined): number | undefined {
  const number = /^-?\d+\/(\d{1,16})$/.exec(id ?? '')?.[1]
  return number === undefined ? undefined : Number(number)
}

/** A message as the core reads it; undefined when it says nothing, as when somebody joins. `maxFile` is in bytes. */
export function takeMessage(
  message: Message,
  me: UserFromGetMe,
  maxFile: number,
): { message: Incoming; file: FileRef | undefined } | undefined {
  const { chat, reply_to_message: replied } = message
  const media = mediaOf(message, maxFile)
  const content = media ? mediaContent(media, message.caption) : contentOf(message, me)
  if (!content) return undefined
  // In a forum, every message replies to the one that opened its topic.
  const answered = replied && !replied.forum_topic_created ? replied : undefined
  return {
    file: media?.file,
    message: {
      message_id: idOf(message),
      chat_id: String(chat.id),
      sender: senderOf(message),
      content,
      routing: {
        channel: 'telegram',
        chat_type: chat.type === 'private' ? 'dm' : chat.type === 'channel' ? 'channel' : 'group',
        thread_id: message.is_topic_message ? String(message.message_thread_id) : undefined,
      },
      ...(answered ? { reply_to: idOf(answered) } : {}),
      mentions_bot: chat.type === 'private' || mentions(message, me),
      reply_to_bot: answered?.from?.id === me.id,
      timestamp: new Date(message.date * 1000).toISOString(),
      ...(message.media_group_id ? { metadata: { media_group_id: message.media_group_id } } : {}),
    },
  }
}

/** Channels and anonymous administrators write as a chat. */
function senderOf({ from, sender_chat, chat }: Message): Incoming['sender'] {
  const place = sender_chat ?? (from ? undefined : chat)
  if (!place) return personOf(from!)
  return {
    id: String(place.id),
    ...('username' in place && place.username ? { username: place.username } : {}),
    ...('title' in place && place.title ? { display_name: place.title } : {}),
  }
}

const personOf = ({ id, username, first_name, last_name }: User): Incoming['sender'] => ({
  id: String(id),
  ...(username ? { username } : {}),
  display_name: [first_name, last_name].filter(Boolean).join(' '),
})

function contentOf(message: Message, me: UserFromGetMe): MessageContent | undefined {
  const { text, location, contact, sticker, poll, dice } = message
  if (text !== undefined) return { type: 'text', text: withoutName(text, me) }
  if (location) return { type: 'location', latitude: location.latitude, longitude: location.longitude }
  if (contact) {
    const name = [contact.first_name, contact.last_name].filter(Boolean).join(' ')
    return { type: 'contact', name, phone: contact.phone_number }
  }
  if (sticker?.emoji) return { type: 'text', text: sticker.emoji }
  return sticker ?? poll ?? dice ? { type: 'unknown', raw: { sticker, poll, dice } } : undefined
}

type Media = { type: string; file: FileRef }

const mediaContent = ({ type }: Media, caption: string | undefined): MessageContent => ({
  type: 'media',
  media_type: type,
  ...(caption ? { caption } : {}),
})

type Source = { file_id: string; file_size?: number; mime_type?: string; file_name?: string }

function mediaOf(message: Message, maxFile: number): Media | undefined {
  const { photo, voice, audio, video, video_note, animation, document } = message
  if (photo) {
    // The largest size that fits.
    const size = photo.findLast(({ file_size = 0 }) => file_size <= maxFile) ?? photo[0]!
    return mediaIn('image', size, 'photo.jpg', 'image/jpeg')
  }
  if (voice) return mediaIn('voice', voice, 'voice.ogg', 'audio/ogg')
  if (audio) return mediaIn('audio', audio, 'audio.mp3', 'audio/mpeg')
  const film = video ?? video_note ?? animation
  if (film) return mediaIn('video', film, 'video.mp4', 'video/mp4')
  return document && mediaIn('document', document, 'file', 'application/octet-stream')
}

const mediaIn = (type: string, source: Source, name: string, mime: string): Media => ({
  type,
  file: {
    file_id: source.file_id,
    name: source.file_name ?? name,
    mime: source.mime_type?.replace(/[^\w./+-]/g, '') || mime,
    size: source.file_size,
  },
})

function mentions({ text, caption, entities, caption_entities }: Message, me: UserFromGetMe): boolean {
  const words = text ?? caption ?? ''
  const name = `@${me.username}`.toLowerCase()
  const part = ({ offset, length }: MessageEntity): string => words.slice(offset, offset + length).toLowerCase()
  return (entities ?? caption_entities ?? []).some((entity) =>
    entity.type === 'mention'
      ? part(entity) === name
      : entity.type === 'text_mention'
      ? entity.user.id === me.id
      : entity.type === 'bot_command' && part(entity).endsWith(name)
  )
}

/** `/status@our_bot` is how groups write `/status`. */
function withoutName(text: string, { username }: UserFromGetMe): string {
  const [whole, command, name] = /^(\/\w+)@(\w+)/.exec(text) ?? []
  return whole && name!.toLowerCase() === username.toLowerCase() ? command + text.slice(whole.length) : text
}
