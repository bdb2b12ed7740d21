import type { API } from '@discordjs/core'
import type { ChannelApi } from '../sdk/channel.ts'
import { channelOf } from './ids.ts'
import { plain, refusal } from './refusal.ts'

/** Discord shows it for ten seconds. */
const REFRESH_MS = 8000
const MAX_CHATS = 1000

/** Typing, which the core asks for by chat: it is shown in the thread of the chat that somebody wrote in last. */
export function createTyping({ channel, api }: { channel: ChannelApi; api: API }) {
  const threads = new Map<string, string>()
  const running = new Map<string, ReturnType<typeof setTimeout>>()

  async function show(chat: string, where: string, until: number): Promise<void> {
    await api.channels.showTyping(where)
    if (Date.now() + REFRESH_MS >= until) return void running.delete(chat)
    const timer = setTimeout(() => {
      show(chat, where, until).catch((error: unknown) => channel.log.debug(`No typing: ${plain(error)}`))
    }, REFRESH_MS)
    running.set(chat, timer)
  }

  function end(chat: string): void {
    clearTimeout(running.get(chat))
    running.delete(chat)
  }
  channel.signal.addEventListener('abort', () => [...running.keys()].forEach(end), { once: true })

  return {
    wroteIn({ chat_id, thread_id }: { chat_id: string; thread_id: string | undefined }): void {
      threads.delete(chat_id)
      if (thread_id) threads.set(chat_id, thread_id)
      if (threads.size > MAX_CHATS) threads.delete(threads.keys().next().value!)
    },

    /** Only a core of ours tells the thread. */
    async typing(chat: string, seconds: number, thread = threads.get(chat)): Promise<void> {
      end(chat)
      if (seconds <= 0) return
      const where = channelOf({ chat_id: chat, thread_id: thread })
      await show(chat, where, Date.now() + seconds * 1000).catch((error: unknown) => {
        throw refusal(error)
      })
    },
  }
}
