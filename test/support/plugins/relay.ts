import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import { defineChannel } from '../../../plugins/sdk/channel.ts'
import type { Update } from '../relay-platform.ts'

/** Carries the chats of `relay-platform.ts`: takes updates in order, and confirms them once the core has them. */
defineChannel({
  id: 'relay',
  capabilities: ['reply'],
  start(api) {
    const url = process.env.RELAY_URL!
    const post = async <T>(path: string, body: unknown): Promise<T> => {
      const response = await fetch(url + path, { method: 'POST', body: JSON.stringify(body) })
      if (!response.ok) throw new Error(`${path} answered ${response.status}`)
      return await response.json() as T
    }

    async function take(): Promise<void> {
      const { updates } = await post<{ updates: Update[] }>('/updates', { pid: process.pid })
      for (const { id, chat_id, text } of updates) {
        await api.received({
          message_id: id,
          chat_id,
          sender: { id: chat_id },
          content: { type: 'text', text },
          routing: { chat_type: 'dm' },
        })
      }
      if (updates.length === 0) return await sleep(20)
      await api.settled()
      await post('/confirm', { number: updates.at(-1)!.number })
    }
    async function poll(): Promise<void> {
      for (;;) await take().catch(() => sleep(50))
    }
    void poll()

    return {
      send: async ({ request_id, chat_id, content }) =>
        (await post<{ message_id: string }>('/send', { request_id, chat_id, content })).message_id,
    }
  },
})
