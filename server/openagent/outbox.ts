import type { ServerFrame } from '../../shared/openagent.ts'
import type { Socket } from '../runtime/port.ts'

/** Frames to one socket, whose memory stays bounded however slowly the client reads. */
export type Outbox = {
  /** For small answers; a client that asks without reading the answers is cut. */
  send(frame: ServerFrame): void
  /** For frames that are made once for many sockets; false when it was left out because the client is behind. */
  offer(json: string): boolean
  /** Resolves when there is room; false when the socket closed meanwhile, also by patience that ran out. */
  room(offset: number): Promise<boolean>
  /** Nothing is sent or waited for any more. */
  close(): void
}

/** Bytes that may wait for the client before its readers pause. */
const HIGH_WATER = 1024 * 1024
/** Bytes beyond which even answers are too many. */
const LIMIT = 4 * HIGH_WATER
const LOOK_AGAIN_MS = 50
/** How long the close frame may take to get through before the connection is cut. */
const CLOSING_MS = 5000

/** Our own close code: the client reads too slowly; the reason says where to resume. */
export const TOO_SLOW = 4008

/** `patienceMs` is how long a client may leave no room. */
export function createOutbox(socket: Socket, patienceMs: number): Outbox {
  let seq = 0
  let closed = false
  let lookAgain: (() => void) | undefined

  function cut(reason: string): void {
    closed = true
    socket.close(TOO_SLOW, reason)
    const timer = setTimeout(() => socket.terminate(), CLOSING_MS)
    ;(timer as { unref?: () => void }).unref?.()
  }

  return {
    send(frame) {
      if (closed) return
      if (socket.bufferedAmount > LIMIT) return cut('Answers are not being read')
      socket.send(JSON.stringify('session_id' in frame ? { ...frame, seq: ++seq } : frame))
    },
    offer(json) {
      if (closed || socket.bufferedAmount > HIGH_WATER) return false
      socket.send(json)
      return true
    },
    async room(offset) {
      const since = performance.now()
      while (!closed && socket.bufferedAmount > HIGH_WATER) {
        if (performance.now() - since > patienceMs) cut(`Too slow. Resume: session_open with "after": ${offset}`)
        else await new Promise<void>((resolve) => (lookAgain = resolve, setTimeout(resolve, LOOK_AGAIN_MS)))
      }
      return !closed
    },
    close() {
      closed = true
      lookAgain?.()
    },
  }
}
