import type { Gateway } from '../plugins/gateway.ts'
import type { Chat } from './tables.ts'

/** Platforms take the sign away after about five seconds. */
const EVERY_MS = 4000
const SECONDS = 5
/** Longest time without a sign that somebody still works on it. */
const MOST_MS = 15 * 60_000

export type Typing = ReturnType<typeof createTyping>

/** "is typing…" in every chat that waits for an answer. */
export function createTyping(deps: { gateway: (name: string) => Gateway | undefined; now: () => number }) {
  const chats = new Map<string, { chat: Chat; until: number }>()
  let timer: ReturnType<typeof setInterval> | undefined
  let stopped = false
  const keyOf = (chat: Chat): string => JSON.stringify([chat.channel, chat.chat_id, chat.thread_id])

  function show({ channel, chat_id, thread_id }: Chat, seconds: number): void {
    const carrier = deps.gateway(channel)
    // One that names nothing that it can do may still do this: the reference core asks every plugin.
    const capable = carrier?.ready &&
      (carrier.ready.capabilities.length === 0 || carrier.ready.capabilities.includes('typing'))
    if (carrier?.state === 'ready' && capable) carrier.typing(chat_id, seconds, thread_id || undefined)
  }

  function refresh(): void {
    for (const [key, { chat, until }] of chats) {
      if (until < deps.now()) chats.delete(key)
      else show(chat, SECONDS)
    }
    if (chats.size === 0) pauseTimer()
  }

  function pauseTimer(): void {
    clearInterval(timer)
    timer = undefined
  }

  return {
    keep(chat: Chat): void {
      if (stopped) return
      const key = keyOf(chat)
      const known = chats.has(key)
      chats.set(key, { chat, until: deps.now() + MOST_MS })
      timer ??= setInterval(refresh, EVERY_MS)
      if (!known) show(chat, SECONDS)
    },
    end(chat: Chat): void {
      if (chats.delete(keyOf(chat)) && chats.size === 0) pauseTimer()
    },
    stop(): void {
      stopped = true
      chats.clear()
      pauseTimer()
    },
  }
}
