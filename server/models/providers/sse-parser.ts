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
  let buffer = ''
  /** Up to where `buffer` is known to hold no line end. */
  let scanned = 0
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
    if (colon === 0) return
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

  const read = (text: string): SseEvent[] => {
    const out: SseEvent[] = []
    buffer += withLineFeeds(text)
    let start = 0
    for (;;) {
      const end = buffer.indexOf('\n', Math.max(start, scanned))
      if (end === -1) break
      if (end === start) dispatch(out)
      else if (buffer.charCodeAt(start) !== COLON) take(buffer.slice(start, end))
      start = end + 1
    }
    if (start > 0) buffer = buffer.slice(start)
    scanned = buffer.length
    if (buffer.length + (data?.length ?? 0) > limit) throw new SseTooLarge()
    return out
  }

  return {
    push: (chunk) => read(decoder.decode(chunk, { stream: true })),
    end: () => read(`${decoder.decode()}\n\n`),
  }
}
