import type { Channel } from '../sdk/channel.ts'
import { PluginError } from '../sdk/errors.ts'
import { type MatrixApi, path } from './api.ts'
import { toHtml } from './html.ts'
import type { Rooms } from './rooms.ts'
import type { Self } from './self.ts'

type Content = Record<string, unknown>

const MAX_REACTIONS = 1000

/** What the core wants said. The id of a command is that of the transaction, so that the server does each once. */
export function createOutgoing({ api, rooms, self }: { api: MatrixApi; rooms: Rooms; self: Self }): Required<
  Pick<Channel, 'send' | 'edit' | 'delete' | 'media' | 'react' | 'typing'>
> {
  async function put(room: string, transaction: string, content: Content): Promise<string> {
    if (!/^[!#]/.test(room)) throw new PluginError('chat_not_found', `${room} is no room`)
    if (await rooms.isEncrypted(room)) {
      throw new PluginError('invalid_request', 'The room is encrypted from end to end; nothing is sent there openly')
    }
    const sent = await api.call<{ event_id: string }>(
      'PUT',
      path`client/v3/rooms/${room}/send/m.room.message/${transaction}`,
      { body: content },
    )
    rooms.remember(sent.event_id)
    return sent.event_id
  }

  const text = (markdown: string): Content => ({
    msgtype: 'm.text',
    body: markdown,
    format: 'org.matrix.custom.html',
    formatted_body: toHtml(markdown),
    // Nobody is called by what a model writes.
    'm.mentions': {},
  })

  /** Our reactions, by the message that they stand below. */
  const reactions = new Map<string, string>()

  return {
    send: ({ chat_id, request_id, content, reply_to, thread_id }) =>
      put(chat_id, request_id, { ...text(content), ...relation(reply_to, thread_id) }),

    async edit({ chat_id, request_id, message_id, content }) {
      const now = text(content)
      await put(chat_id, request_id, {
        ...now,
        body: `* ${content}`,
        'm.new_content': now,
        'm.relates_to': { rel_type: 'm.replace', event_id: message_id },
      })
    },

    async delete({ chat_id, request_id, message_id }) {
      await api.call('PUT', path`client/v3/rooms/${chat_id}/redact/${message_id}/${request_id}`, { body: {} })
    },

    async react({ chat_id, request_id, message_id, emoji, replaces }) {
      // A reaction is an event of its own here, and is taken back as one.
      const before = replaces && reactions.get(message_id)
      if (before) {
        await api.call('PUT', path`client/v3/rooms/${chat_id}/redact/${before}/${request_id}-over`, { body: {} })
        reactions.delete(message_id)
      }
      if (!emoji) return
      const sent = await api.call<{ event_id: string }>(
        'PUT',
        path`client/v3/rooms/${chat_id}/send/m.reaction/${request_id}`,
        { body: { 'm.relates_to': { rel_type: 'm.annotation', event_id: message_id, key: emoji } } },
      )
      reactions.set(message_id, sent.event_id)
      if (reactions.size > MAX_REACTIONS) reactions.delete(reactions.keys().next().value!)
    },

    async media({ chat_id, request_id, media, bytes, caption = '', thread_id }) {
      // A server takes files, no addresses.
      if (bytes === undefined) {
        const content = text([caption, media.url].filter(Boolean).join('\n\n'))
        return await put(chat_id, request_id, { ...content, ...relation(undefined, thread_id) })
      }
      const name = media.filename ?? 'file'
      const url = await api.upload(bytes, media.mime_type, name)
      return await put(chat_id, request_id, {
        msgtype: typeOf(media.mime_type),
        body: caption || name,
        filename: name,
        url,
        info: { mimetype: media.mime_type, size: bytes.length },
        'm.mentions': {},
        ...relation(undefined, thread_id),
      })
    },

    async typing(room, seconds) {
      if (self.id === '') return
      await api.call('PUT', path`client/v3/rooms/${room}/typing/${self.id}`, {
        body: seconds > 0 ? { typing: true, timeout: seconds * 1000 } : { typing: false },
      })
    },
  }
}

function relation(replyTo: string | undefined, thread: string | undefined): Content {
  if (thread) {
    return {
      'm.relates_to': {
        rel_type: 'm.thread',
        event_id: thread,
        // For programs that know no threads.
        is_falling_back: replyTo === undefined,
        'm.in_reply_to': { event_id: replyTo ?? thread },
      },
    }
  }
  return replyTo ? { 'm.relates_to': { 'm.in_reply_to': { event_id: replyTo } } } : {}
}

const typeOf = (mime: string): string => {
  const kind = mime.split('/')[0]!
  return ['image', 'audio', 'video'].includes(kind) ? `m.${kind}` : 'm.file'
}
