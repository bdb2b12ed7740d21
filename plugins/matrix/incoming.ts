import type { MessageContent } from '../../shared/gateway-protocol.ts'
import { PluginError } from '../sdk/errors.ts'
import type { ChannelApi } from '../sdk/channel.ts'
import { type MatrixApi, path } from './api.ts'
import type { RoomEvent } from './events.ts'
import type { Rooms } from './rooms.ts'
import type { Self } from './self.ts'

const KINDS: Record<string, string> = {
  'm.image': 'image',
  'm.audio': 'audio',
  'm.video': 'video',
  'm.file': 'document',
}

/** Tells the core of what people say in rooms. */
export function createIncoming({ channel, api, rooms, self }: {
  channel: ChannelApi
  api: MatrixApi
  rooms: Rooms
  self: Self
}) {
  const warned = new Set<string>()

  async function fileOf(
    { url = '', info, filename, body = 'file' }: RoomEvent['content'],
  ): Promise<{ url?: string; problem?: string }> {
    const [, server, id] = /^mxc:\/\/([^/]+)\/([^/]+)$/.exec(url) ?? []
    if (!server || !id) return { problem: 'a file without an address' }
    const max = channel.maxFileBytes
    const problem = `a file larger than ${Math.floor(max / 1024)} KB was left out`
    if ((info?.size ?? 0) > max) return { problem }
    try {
      const data = await api.download(path`client/v1/media/download/${server}/${id}`)
      return { url: await channel.file({ name: filename ?? body, type: info?.mimetype ?? '', data }) }
    } catch (error) {
      if (error instanceof PluginError && error.code === 'too_large') return { problem }
      return { problem: `a file could not be fetched: ${(error as Error).message}` }
    }
  }

  async function contentOf({ content }: RoomEvent): Promise<MessageContent | undefined> {
    const { msgtype = '', body = '', filename, geo_uri } = content
    if (msgtype === 'm.text') return { type: 'text', text: withoutFallback(content) }
    if (msgtype === 'm.emote') return { type: 'text', text: `* ${body}` }
    if (msgtype === 'm.location') {
      const [, latitude, longitude] = /^geo:(-?\d+(?:\.\d+)?),(-?\d+(?:\.\d+)?)/.exec(geo_uri ?? '') ?? []
      return latitude && longitude
        ? { type: 'location', latitude: Number(latitude), longitude: Number(longitude) }
        : undefined
    }
    if (!KINDS[msgtype]) return undefined
    const { url, problem } = await fileOf(content)
    // The body is the name of the file, unless that stands beside it.
    const caption = filename !== undefined && filename !== body ? body : ''
    const words = [caption, problem && `[${problem}]`].filter(Boolean).join('\n')
    const media_type = content['org.matrix.msc3245.voice'] ? 'voice' : KINDS[msgtype]
    return { type: 'media', media_type, ...(url ? { url } : {}), ...(words ? { caption: words } : {}) }
  }

  return async (room: string, event: RoomEvent): Promise<void> => {
    rooms.note(room, event)
    const me = self.id
    if (event.sender === me) return
    if (event.type === 'm.room.encrypted' && !warned.has(room)) {
      warned.add(room)
      channel.log.warn('A room is encrypted from end to end, and can not be read. Use one without encryption.', {
        room,
      })
    }
    const relation = event.content['m.relates_to']
    // An edit says nothing new that could be answered.
    if (event.type !== 'm.room.message' || relation?.rel_type === 'm.replace') return
    const content = await contentOf(event)
    if (!content) return
    const direct = await rooms.isDirect(room)
    const answered = relation?.is_falling_back ? undefined : relation?.['m.in_reply_to']?.event_id
    const name = await rooms.nameOf(room, event.sender)
    await channel.received({
      message_id: event.event_id,
      chat_id: room,
      sender: { id: event.sender, username: event.sender, ...(name ? { display_name: name } : {}) },
      content,
      routing: {
        channel: 'matrix',
        chat_type: direct ? 'dm' : 'group',
        thread_id: relation?.rel_type === 'm.thread' ? relation.event_id : undefined,
      },
      ...(answered ? { reply_to: answered } : {}),
      mentions_bot: direct || mentions(event.content, me),
      reply_to_bot: answered !== undefined && await rooms.isOurs(room, answered),
      timestamp: new Date(event.origin_server_ts).toISOString(),
    })
  }
}

/** By intent where the writer's program tells it, else by our full name in the text. */
function mentions({ body = '', formatted_body = '', 'm.mentions': told }: RoomEvent['content'], me: string): boolean {
  if (told) return told.user_ids?.includes(me) ?? false
  return body.includes(me) || formatted_body.includes(`https://matrix.to/#/${encodeURIComponent(me)}`) ||
    formatted_body.includes(`https://matrix.to/#/${me}`)
}

/** Older programs quote what they answer at the beginning. */
function withoutFallback({ body = '', 'm.relates_to': relation }: RoomEvent['content']): string {
  return relation?.['m.in_reply_to'] && body.startsWith('> <') ? body.replace(/^(> .*\n)+\n?/, '') : body
}
