/** One event of a stream. `id` and `event` hold no line breaks; `data` may. */
export type SseFrame = { id?: string; event?: string; data: string } | { comment: string }

const encoder = new TextEncoder()
const HELLO = encoder.encode(': hello\nretry: 2000\n\n')
const HEARTBEAT = encoder.encode(': hb\n\n')

/** A frame as bytes. Encode once what many readers get. */
export function encodeFrame(frame: SseFrame): Uint8Array {
  if ('comment' in frame) return encoder.encode(`: ${oneLine(frame.comment)}\n\n`)
  let text = ''
  if (frame.id !== undefined) text += `id: ${oneLine(frame.id)}\n`
  if (frame.event !== undefined) text += `event: ${oneLine(frame.event)}\n`
  const data = /[\r\n]/.test(frame.data) ? frame.data.split(/\r\n|\r|\n/).join('\ndata: ') : frame.data
  return encoder.encode(`${text}data: ${data}\n\n`)
}

/**
 * A `text/event-stream` response (spec conventions §4.2). Events are pulled one at a time as the client reads them, so
 * one that does not read stops the iteration. `return` of the iterator is called when the client goes, when `signal`
 * aborts and when the response is cancelled. Bytes are sent as they are: frames that `encodeFrame` made before.
 */
export function sseResponse(
  events: AsyncIterable<SseFrame | Uint8Array>,
  { signal, heartbeatMs = 5000 }: { signal: AbortSignal; heartbeatMs?: number },
): Response {
  return new Response(bytesOf(events, signal, heartbeatMs), {
    headers: {
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-cache, no-transform',
      'x-accel-buffering': 'no',
    },
  })
}

function bytesOf(
  events: AsyncIterable<SseFrame | Uint8Array>,
  signal: AbortSignal,
  heartbeatMs: number,
): ReadableStream<Uint8Array> {
  const iterator = events[Symbol.asyncIterator]()
  let heartbeat: ReturnType<typeof setInterval> | undefined
  let ended = false
  let abort = () => {}
  const end = () => {
    if (ended) return
    ended = true
    clearInterval(heartbeat)
    signal.removeEventListener('abort', abort)
    // A generator that waits inside `next` takes this only when that settles: the source must heed `signal` too.
    iterator.return?.()?.catch(() => {})
  }
  return new ReadableStream<Uint8Array>({
    start(controller) {
      controller.enqueue(HELLO)
      abort = () => {
        if (ended) return
        end()
        controller.close()
      }
      if (signal.aborted) return abort()
      signal.addEventListener('abort', abort)
      heartbeat = setInterval(() => {
        // Only an idle client that has read everything is told that the stream lives.
        if ((controller.desiredSize ?? 0) > 0) controller.enqueue(HEARTBEAT)
      }, heartbeatMs)
    },
    async pull(controller) {
      try {
        const { done, value } = await iterator.next()
        if (ended) return
        if (done) {
          end()
          return controller.close()
        }
        controller.enqueue(value instanceof Uint8Array ? value : encodeFrame(value))
        heartbeat?.refresh?.()
      } catch (error) {
        if (ended) return
        end()
        // A cut, not a clean end: the client comes back with its last id.
        controller.error(error)
      }
    },
    cancel: end,
  })
}

const oneLine = (text: string): string => text.replace(/[\r\n\0]+/g, ' ')
