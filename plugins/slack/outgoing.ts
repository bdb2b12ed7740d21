import type { Channel, ChannelApi } from '../sdk/channel.ts'
import { splitText } from '../sdk/text.ts'
import type { SlackApi } from './api.ts'
import { sections, withButtons } from './blocks.ts'
import type { History } from './history.ts'
import { channelOf, threadOf, tsOf } from './ids.ts'
import { toMrkdwn } from './mrkdwn.ts'
import { createPosted, EVENT_TYPE } from './posted.ts'
import { SlackRefusal } from './refusal.ts'
import { createUploads } from './uploads.ts'

/** Longest text of a message, before its signs are escaped. Slack edits no text of more than 4,000 characters. */
export const MAX_TEXT = 3500
const MAX_EDIT = 4000

/** What the core wants said. */
export async function createOutgoing({ channel, api, history }: {
  channel: ChannelApi
  api: SlackApi
  history: History
}): Promise<Pick<Required<Channel>, 'send' | 'edit' | 'delete' | 'media'>> {
  const posted = createPosted({ api, log: channel.log })
  const uploads = await createUploads({ channel, api })

  async function post(
    { chat, thread, request, content, keyboard }: {
      chat: string
      thread: string | undefined
      request: string
      content: string
      keyboard?: Parameters<typeof withButtons>[1] | undefined
    },
  ): Promise<string> {
    const before = await posted.find({ channel: chat, thread }, request)
    if (before) return before
    const body = keyboard ? { blocks: withButtons(content, keyboard) } : {}
    try {
      const message = {
        channel: chat,
        thread_ts: thread,
        text: textOf(content),
        ...body,
        // What a model writes makes Slack fetch nothing.
        unfurl_links: false,
        unfurl_media: false,
        metadata: { event_type: EVENT_TYPE, event_payload: { request_id: request } },
      }
      const { ts } = await api.call<{ ts: string }>('chat.postMessage', message, { once: true })
      if (thread) history.join({ channel: chat, thread }, ts)
      return ts
    } catch (error) {
      if (!(error instanceof SlackRefusal) || error.code === 'platform_error') posted.doubt(request)
      throw error
    }
  }

  return {
    async send(message) {
      const { request_id: request, content, inline_keyboard: keyboard } = message
      return await post({ chat: channelOf(message), thread: threadOf(message), request, content, keyboard })
    },

    async edit(message) {
      const text = textOf(message.content)
      // Buttons belong to the words that they stood under; without an empty list Slack would keep them.
      const short = text.length <= MAX_EDIT
      await api.call('chat.update', {
        channel: channelOf(message),
        ts: tsOf(message.message_id),
        text: short ? text : textOf(message.content.slice(0, 500)),
        blocks: short ? [] : sections(message.content),
      })
    },

    async delete(message) {
      await api.call('chat.delete', { channel: channelOf(message), ts: tsOf(message.message_id) })
    },

    async media(message) {
      const { media, bytes = new Uint8Array(), caption = '', request_id: request } = message
      const chat = channelOf(message)
      const thread = threadOf(message)
      if (media.source === 'url') {
        const content = [caption, media.url].filter(Boolean).join('\n')
        return await post({ chat, thread, request, content })
      }
      const [first = '', ...rest] = splitText(caption, { max: MAX_TEXT, unit: 'utf16' })
      const ts = await uploads.put({
        chat,
        thread,
        request,
        bytes,
        name: media.filename ?? `file.${extensionOf(media.mime_type)}`,
        comment: first === '' ? undefined : textOf(first),
      })
      if (thread && ts) history.join({ channel: chat, thread }, ts)
      for (const [i, content] of rest.entries()) {
        await post({ chat, thread, request: `${request}-caption-${i}`, content })
      }
      return ts
    },
  }
}

/** Something is always left of a text, be it only definitions of links. */
const textOf = (content: string): string => toMrkdwn(content) || content

const extensionOf = (mime: string): string => /^\w+\/([a-z0-9]{1,5})/.exec(mime)?.[1] ?? 'bin'
