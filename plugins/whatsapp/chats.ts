const REMEMBERED = 2000
const WINDOW_MS = 24 * 3600_000
/** The sign stays for 25 s, or until a message comes. */
const TYPING_MS = 20_000

/** What was last said to us in each chat; forgotten with the process. */
export function createChats(now: () => number) {
  const chats = new Map<string, { message: string; at: number; typed: number }>()

  return {
    heard(chat: string, message: string, at: number): void {
      chats.delete(chat)
      chats.set(chat, { message, at, typed: -Infinity })
      if (chats.size > REMEMBERED) chats.delete(chats.keys().next().value!)
    },

    /** Whether free texts may be sent for sure, since somebody wrote within the last 24 hours. */
    isOpen: (chat: string): boolean => now() - (chats.get(chat)?.at ?? -Infinity) < WINDOW_MS,

    /** We wrote, which takes the sign of typing away. */
    wrote(chat: string): void {
      const known = chats.get(chat)
      if (known) known.typed = -Infinity
    },

    /** The message below which it is time to show that we are typing, if it is. */
    toType(chat: string): string | undefined {
      const known = chats.get(chat)
      if (!known || now() - known.typed < TYPING_MS) return undefined
      known.typed = now()
      return known.message
    },
  }
}

export type Chats = ReturnType<typeof createChats>
