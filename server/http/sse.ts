/** One event of a stream. `id` and `event` hold no line breaks; `data` may. */
export type SseFrame = { id?: string; event?: string; data: string } | { comment: string }

const encoder = new TextEncoder()
const HELLO = encoder.encode(': hello\nretry: 2000\n\n')
const HELLO_WITHOUT_RETRY = encoder.encode(': hello\n\n')
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
 * `retry: false` is for clients that know no such field.
 */
export function sseResponse(
  events: AsyncIterable<SseFrame | Uint8Array>,
  { signal, heartbeatMs = 5000, retry = true }: { signal: AbortSignal; heartbeatMs?: number; retry?: boolean },
): Response {
  const callbacks: (() => void)[] = []
  const bytes = bytesOf(events, signal, heartbeatMs, retry ? HELLO : HELLO_WITHOUT_RETRY, callbacks)
  const response = new Response(bytes, {
    headers: {
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-cache, no-transform',
      'x-accel-buffering': 'no',
    },
  })
  endings.set(response, callbacks)
  return response
}

/** What is still to be called when a stream ends. */
const endings = new WeakMap<Response, (() => void)[]>()

/** Calls back when a response of `sseResponse` has ended, in whatever way; false for any other response. */
export function afterStream(response: Response, callback: () => void): boolean {
  const waiting = endings.get(response)
  waiting?.push(callback)
  return waiting !== undefined
}

function bytesOf(
  events: AsyncIterable<SseFrame | Uint8Array>,
  signal: AbortSignal,
  heartbeatMs: number,
  hello: Uint8Array,
  callbacks: (() => void)[],
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
    for (const callback of callbacks.splice(0)) callback()
  }
  return new ReadableStream<Uint8Array>({
    start(controller) {
      controller.enqueue(hello)
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
