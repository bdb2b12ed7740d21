/** One dispatched event of a `text/event-stream`; `event` is empty when the stream did not name it. */
export type SseEvent = { event: string; data: string }

export type SseParser = {
  /** Events that this chunk completes. Throws `SseTooLarge` when one event passes the limit. */
  push(chunk: Uint8Array): SseEvent[]
  /** The event that the stream ended in, if its last blank line never came. */
  end(): SseEvent[]
}

/** An event without an end; whoever sends it is not speaking SSE to us. */
export class SseTooLarge extends Error {}

const COLON = 0x3a
const SPACE = 0x20

/**
 * An incremental parser for server-sent events: LF, CRLF and CR line ends, comments, several data lines, a byte order
 * mark, and chunks that split anywhere, also inside a character. Unknown fields and lines without sense are skipped.
 * It runs once per token of every answer, hence index arithmetic instead of split and regular expressions.
 */
export function createSseParser(limit = 16 * 1024 * 1024): SseParser {
  const decoder = new TextDecoder()
  /** The beginning of a line whose end has not come yet. */
  let tail = ''
  let afterReturn = false
  let event = ''
  let data: string | undefined

  /** Turns CR and CRLF into LF; most streams have neither and pay one `indexOf`. */
  const withLineFeeds = (text: string): string => {
    if (afterReturn && text.length > 0) {
      afterReturn = false
      if (text.charCodeAt(0) === 0x0a) text = text.slice(1)
    }
    if (text.indexOf('\r') === -1) return text
    afterReturn = text.endsWith('\r')
    return text.replace(/\r\n?/g, '\n')
  }

  const take = (line: string): void => {
    const colon = line.indexOf(':')
    const name = colon === -1 ? line : line.slice(0, colon)
    const value = colon === -1 ? '' : line.slice(line.charCodeAt(colon + 1) === SPACE ? colon + 2 : colon + 1)
    if (name === 'data') data = data === undefined ? value : `${data}\n${value}`
    else if (name === 'event') event = value
  }

  const dispatch = (out: SseEvent[]): void => {
    if (data !== undefined) out.push({ event, data })
    event = ''
    data = undefined
  }

  const read = (raw: string): SseEvent[] => {
    const out: SseEvent[] = []
    const text = withLineFeeds(raw)
    let start = 0
    for (let end = text.indexOf('\n'); end !== -1; end = text.indexOf('\n', start)) {
      // Only new text is searched: a line of megabytes in many chunks must not be scanned once per chunk.
      const line = tail === '' ? text.slice(start, end) : tail + text.slice(start, end)
      tail = ''
      start = end + 1
      if (line === '') dispatch(out)
      else if (line.charCodeAt(0) !== COLON) take(line)
    }
    tail += start === 0 ? text : text.slice(start)
    if (tail.length + (data?.length ?? 0) > limit) throw new SseTooLarge()
    return out
  }

  return {
    push: (chunk) => read(decoder.decode(chunk, { stream: true })),
    end: () => read(`${decoder.decode()}\n\n`),
  }
}
