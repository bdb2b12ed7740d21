import { createHash } from 'node:crypto'
import {
  type API,
  type APIActionRowComponent,
  type APIButtonComponentWithCustomId,
  ButtonStyle,
  ComponentType,
} from '@discordjs/core'
import type { Channel, OutgoingText } from '../sdk/channel.ts'
import { PluginError } from '../sdk/errors.ts'
import { lengthOf, splitText } from '../sdk/text.ts'
import { channelOf, messageId, parseMessageId } from './ids.ts'
import { refusal } from './refusal.ts'

/** Longest text of a message, in code points. */
const MAX_TEXT = 2000
const IN_ROW = 5
const MAX_ROWS = 5
const MAX_LABEL = 80
const MAX_DATA = 100

/** What a model writes calls nobody, and an answer does not ring either. */
const NOBODY = { parse: [], replied_user: false }

/** What the core wants said. */
export function createOutgoing(api: API): Pick<Required<Channel>, 'send' | 'edit' | 'delete' | 'media' | 'react'> {
  async function post(channel: string, body: Parameters<API['channels']['createMessage']>[1], request: string) {
    const sent = await api.channels.createMessage(channel, {
      ...body,
      allowed_mentions: NOBODY,
      nonce: nonceOf(request),
      enforce_nonce: true,
    }).catch((error: unknown) => {
      throw refusal(error)
    })
    return messageId(sent.channel_id, sent.id)
  }

  return {
    async send(message) {
      const channel = channelOf(message)
      const answered = parseMessageId(message.reply_to)
      return await post(channel, {
        content: message.content,
        // Only what stands in the same channel can be answered there.
        ...(answered?.channel === channel
          ? { message_reference: { message_id: answered.number, fail_if_not_exists: false } }
          : {}),
        ...(message.inline_keyboard ? { components: buttons(message.inline_keyboard) } : {}),
      }, message.request_id)
    },

    async edit({ message_id, content }) {
      const { channel, number } = known(message_id)
      // Buttons belong to the words that they stood under.
      await api.channels.editMessage(channel, number, { content, components: [], allowed_mentions: NOBODY })
        .catch((error: unknown) => {
          throw refusal(error)
        })
    },

    async delete({ message_id }) {
      const { channel, number } = known(message_id)
      await api.channels.deleteMessage(channel, number).catch((error: unknown) => {
        throw refusal(error)
      })
    },

    async react({ message_id, emoji, replaces }) {
      const { channel, number } = known(message_id)
      try {
        if (replaces) await api.channels.deleteOwnMessageReaction(channel, number, replaces)
        if (emoji) await api.channels.addMessageReaction(channel, number, emoji)
      } catch (error) {
        throw refusal(error)
      }
    },

    async media(message) {
      const { media, bytes, caption = '', request_id } = message
      const channel = channelOf(message)
      // Discord shows the picture behind an address by itself.
      const words = media.source === 'url' ? [caption, media.url].filter(Boolean).join('\n') : caption
      const short = lengthOf(words, 'chars') <= MAX_TEXT
      const first = short ? words : media.source === 'url' ? media.url : ''
      const id = await post(channel, {
        ...(first ? { content: first } : {}),
        ...(bytes !== undefined
          ? {
            files: [{
              name: media.filename ?? `file.${extensionOf(media.mime_type)}`,
              data: bytes,
              contentType: media.mime_type,
            }],
          }
          : {}),
      }, request_id)
      const rest = short ? [] : splitText(caption, { max: MAX_TEXT, unit: 'chars' })
      for (const [i, content] of rest.entries()) await post(channel, { content }, `${request_id}-caption-${i}`)
      return id
    },
  }
}

/** At most 25 characters, which our ids are longer than. The same command has the same, and is shown once. */
const nonceOf = (request: string): string => createHash('sha256').update(request).digest('base64url').slice(0, 25)

function known(id: string) {
  const message = parseMessageId(id)
  if (!message) throw new PluginError('message_not_found', `${id} is no message of Discord`)
  return message
}

type Row = APIActionRowComponent<APIButtonComponentWithCustomId>

function buttons({ rows }: NonNullable<OutgoingText['inline_keyboard']>): Row[] {
  const made: Row[] = []
  for (const row of rows) {
    for (let from = 0; from < row.length; from += IN_ROW) {
      made.push({
        type: ComponentType.ActionRow,
        components: row.slice(from, from + IN_ROW).map(({ text, callback_data }) => {
          if (callback_data.length > MAX_DATA) {
            throw new PluginError('invalid_request', `The data of a button is longer than ${MAX_DATA} characters`)
          }
          return {
            type: ComponentType.Button,
            style: ButtonStyle.Secondary,
            label: [...text].slice(0, MAX_LABEL).join(''),
            custom_id: callback_data,
          }
        }),
      })
    }
  }
  if (made.length > MAX_ROWS) throw new PluginError('invalid_request', `More than ${MAX_ROWS} rows of buttons`)
  return made
}

const extensionOf = (mime: string): string => /^\w+\/([a-z0-9]{1,5})/.exec(mime)?.[1] ?? 'bin'
