import { Buffer } from 'node:buffer'

const LF = 10

/** What a piece of output completed: lines without their ends; undefined stands for one that was too long. */
export type Split = {
  lines: (string | undefined)[]
  /** Bytes of this piece that belong to a line that is too long. */
  discarded: number
}

export type LineSplitter = {
  push(chunk: Uint8Array): Split
  /** The last line, when its end is missing. */
  end(): string | undefined
}

/**
 * Splits bytes at LF and nowhere else, so that no character is torn; one CR before it goes, bad UTF-8 becomes U+FFFD.
 * A line longer than `max` bytes is dropped, and only that one: what comes after it is read as ever.
 */
export function createLineSplitter(max: number): LineSplitter {
  const decoder = new TextDecoder()
  let parts: Uint8Array[] = []
  let size = 0
  let dropping = false

  function take(last: Uint8Array): string | undefined {
    const tooLong = dropping || size + last.length > max
    const bytes = tooLong ? undefined : parts.length === 0 ? last : Buffer.concat([...parts, last], size + last.length)
    forget()
    dropping = false
    if (!bytes) return undefined
    const text = decoder.decode(bytes)
    return text.endsWith('\r') ? text.slice(0, -1) : text
  }

  function forget(): void {
    parts = []
    size = 0
  }

  return {
    push(chunk) {
      const lines: (string | undefined)[] = []
      let discarded = 0
      let from = 0
      for (let at = chunk.indexOf(LF); at >= 0; at = chunk.indexOf(LF, from)) {
        if (dropping) discarded += at - from
        lines.push(take(chunk.subarray(from, at)))
        from = at + 1
      }
      if (from === chunk.length) return { lines, discarded }
      if (dropping) return { lines, discarded: discarded + chunk.length - from }
      size += chunk.length - from
      // A copy: a runtime may use the memory of a chunk again.
      parts.push(chunk.slice(from))
      if (size > max) {
        discarded += size
        dropping = true
        forget()
      }
      return { lines, discarded }
    },
    end: () => parts.length > 0 ? take(new Uint8Array()) : undefined,
  }
}
