import type { EventStore } from '@modelcontextprotocol/sdk/server/webStandardStreamableHttp.js'
import type { JSONRPCMessage } from '@modelcontextprotocol/sdk/types.js'

/** Characters and messages of one session that are kept for a client that lost its stream. */
const MAX_CHARACTERS = 512 * 1024
const MAX_EVENTS = 500

/**
 * The last messages of one session, in memory, so that a stream that broke can be taken up with `Last-Event-ID`. What
 * is older than that is gone; the newest message is kept however long it is. There is no `getStreamIdForEventId`: with
 * it the SDK refuses a client that comes back before we noticed that it was gone, instead of ending the old stream.
 */
export function createReplay(): EventStore {
  const kept: { id: string; stream: string; message: JSONRPCMessage; size: number }[] = []
  let size = 0
  let count = 0

  const streamOf = (id: string): string => id.slice(0, id.lastIndexOf('.'))
  const numberOf = (id: string): number => Number(id.slice(id.lastIndexOf('.') + 1))

  return {
    storeEvent(stream, message) {
      const event = { id: `${stream}.${++count}`, stream, message, size: JSON.stringify(message).length }
      kept.push(event)
      size += event.size
      while (kept.length > 1 && (size > MAX_CHARACTERS || kept.length > MAX_EVENTS)) size -= kept.shift()!.size
      return Promise.resolve(event.id)
    },
    async replayEventsAfter(id, { send }) {
      const stream = streamOf(id)
      const missed = kept.filter((event) => event.stream === stream && numberOf(event.id) > numberOf(id))
      // A priming event is an empty one, only there to carry an id.
      for (const event of missed) if ('jsonrpc' in event.message) await send(event.id, event.message)
      return stream
    },
  }
}
