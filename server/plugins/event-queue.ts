/** Events that may wait to be handled before reading stops. */
const MAX_WAITING = 100

export type EventQueue<E> = {
  /** Adds an event; a promise means that nothing more should be added before it resolves. */
  push(event: E): Promise<void> | undefined
  /** When all that was added has been handled. */
  idle(): Promise<void>
}

/** Hands events on strictly one after the other. `handle` must not throw. */
export function createEventQueue<E>(handle: (event: E) => Promise<void> | void): EventQueue<E> {
  let waiting: E[] = []
  let room: (() => void) | undefined
  let running: Promise<void> | undefined

  async function run(): Promise<void> {
    while (waiting.length > 0) {
      const batch = waiting
      waiting = []
      room?.()
      room = undefined
      for (const event of batch) await handle(event)
    }
    running = undefined
  }

  return {
    push(event) {
      waiting.push(event)
      running ??= run()
      if (waiting.length < MAX_WAITING) return undefined
      return new Promise((resolve) => {
        const before = room
        room = () => {
          before?.()
          resolve()
        }
      })
    },
    idle: async () => await running,
  }
}
