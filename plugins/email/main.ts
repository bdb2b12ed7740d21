import { defineChannel } from '../sdk/channel.ts'
import type { PluginError } from '../sdk/errors.ts'
import { createLetters } from './letters.ts'
import type { Mail } from './mail.ts'
import { followMailbox } from './mailbox.ts'
import { settingsOf } from './settings.ts'

/** Mail as a channel: a thread is a conversation, and an answer goes to whoever wrote, in that thread. */
defineChannel({
  id: 'email',
  capabilities: ['reply'],
  environment: { secrets: { password: 'EMAIL_PASSWORD' } },

  async start(api) {
    const settings = settingsOf(api.config, api.secrets)
    const letters = createLetters(api, settings)
    let connected = false

    async function take(mail: Mail): Promise<void> {
      if (mail.from === '' || mail.from === settings.address || mail.automatic) return
      if (settings.senderCheck === 'dmarc' && !mail.confirmed) {
        api.log.warn('A mail was left out: its server did not confirm the sender', { from: mail.from, id: mail.id })
        return
      }
      const thread = mail.references[0] ?? mail.id
      await letters.received(mail, thread)
      const left = mail.tooLarge.map((name) => `[the file ${name} is too large and was left out]`)
      const topic = mail.references.length === 0 && mail.subject !== '' ? `Subject: ${mail.subject}` : ''
      const text = [topic, mail.text, ...left].filter((part) => part !== '').join('\n\n')
      const common = {
        chat_id: mail.from,
        sender: { id: mail.from, username: mail.from, ...(mail.name ? { display_name: mail.name } : {}) },
        routing: { chat_type: 'dm' as const, thread_id: thread },
        ...(mail.date ? { timestamp: mail.date.toISOString() } : {}),
      }
      for (const [i, file] of mail.files.entries()) {
        const url = await api.file(file)
        await api.received({
          ...common,
          message_id: `${mail.id}#${i + 1}`,
          content: {
            type: 'media',
            media_type: file.type.startsWith('image/') ? 'image' : 'document',
            url,
            caption: file.name,
          },
        })
      }
      if (text !== '') await api.received({ ...common, message_id: mail.id, content: { type: 'text', text } })
      await api.settled()
    }

    await letters.tidy()
    await letters.check().catch((error: PluginError) => {
      if (error.code === 'unauthorized') throw error
      api.log.warn(`Mail can't be sent now: ${error.message}`)
    })
    await new Promise<void>((resolve, reject) => {
      const onState = (now: boolean, refused?: Error) => {
        connected = now
        if (refused) reject(refused)
        else resolve()
      }
      followMailbox({ api, settings, take, onState })
        .catch((error: Error) => api.fail('platform_error', error.message))
    })

    return {
      send: letters.send,
      media: letters.media,
      connected: () => connected,
      stop: letters.close,
    }
  },
})
