/** Finished works that are remembered; Slack says a thing again within minutes. */
const REMEMBERED = 5000

/** Works in the order in which they came, chat by chat, and each of them once. */
export function createTurns() {
  const lines = new Map<string, Promise<unknown>>()
  const known = new Map<string, Promise<void>>()

  return {
    /** Waits for everything before it in the same chat. */
    inTurn(chat: string, work: () => Promise<void>): Promise<void> {
      const result = (lines.get(chat) ?? Promise.resolve()).then(work)
      const settled = result.catch(() => {}).then(() => {
        if (lines.get(chat) === settled) lines.delete(chat)
      })
      lines.set(chat, settled)
      return result
    },

    /** Resolves when the work of this name is done, whoever began it. What failed may be tried again. */
    once(name: string, work: () => Promise<void>): Promise<void> {
      const before = known.get(name)
      if (before) return before
      const result = work()
      known.set(name, result)
      if (known.size > REMEMBERED) known.delete(known.keys().next().value!)
      result.catch(() => known.delete(name))
      return result
    },
  }
}
