import { defineChannel, type Incoming } from '../sdk/channel.ts'
import { PluginError } from '../sdk/errors.ts'

/**
 * A channel without a platform: what it is told to say comes back as a message from `echo`, but for answers, or agent
 * and echo would talk for ever. Texts that begin with a
 * slash try the rest: `/fail`, `/slow`, `/button`.
 */
defineChannel({
  id: 'echo',
  capabilities: ['reply', 'inline_keyboard'],
  limit: { max: 4000, unit: 'utf16' },

  async start(api) {
    const prefix = typeof api.config.prefix === 'string' ? api.config.prefix : 'You said: '
    // Kept by the core, so that ids do not begin anew with each start.
    let last = await api.state.get<number>('last_id') ?? 0
    const sent = new Map<string, string>()

    async function nextId(): Promise<string> {
      await api.state.set('last_id', ++last)
      return `m${last}`
    }

    async function answer(chatId: string, content: Incoming['content'], replyTo: string): Promise<void> {
      await api.received({
        message_id: await nextId(),
        chat_id: chatId,
        sender: { id: 'echo', username: 'echo', display_name: 'Echo' },
        content,
        routing: { chat_type: 'dm' },
        reply_to: replyTo,
        reply_to_bot: true,
        timestamp: new Date().toISOString(),
      })
    }

    function known(messageId: string): void {
      if (!sent.has(messageId)) throw new PluginError('message_not_found', `There is no message ${messageId}`)
    }

    api.status(true, { identity: 'echo' })

    return {
      async send({ chat_id, content, reply_to, inline_keyboard }) {
        if (content === '/fail') throw new PluginError('rate_limited', 'Not now', { retryAfterMs: 2000 })
        if (content === '/slow') await new Promise((resolve) => setTimeout(resolve, 200))
        const id = await nextId()
        sent.set(id, content)
        const button = inline_keyboard?.rows[0]?.[0]
        if (content === '/button' && button) {
          const callback = { callback_query_id: `c-${id}`, chat_id, sender: { id: 'echo' }, message_id: id }
          await api.pressed({ ...callback, data: button.callback_data })
        } else if (reply_to === undefined) {
          await answer(chat_id, { type: 'text', text: `${prefix}${content}` }, id)
        }
        return id
      },
      edit({ message_id, content }) {
        known(message_id)
        sent.set(message_id, content)
        return Promise.resolve()
      },
      delete({ message_id }) {
        known(message_id)
        sent.delete(message_id)
        return Promise.resolve()
      },
      async media({ chat_id, media, caption }) {
        const id = await nextId()
        sent.set(id, caption ?? '')
        const url = media.source === 'url' ? media.url : undefined
        await answer(chat_id, { type: 'media', media_type: 'document', url, caption }, id)
        return id
      },
      typing: (chatId, seconds) => api.log.debug('typing', { chat_id: chatId, seconds }),
      answerCallback: (callbackId) => api.log.debug('callback answered', { callback_id: callbackId }),
    }
  },
})
