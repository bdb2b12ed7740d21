/** Escape sequences as a whole: CSI, then strings such as titles and links, then the short ones. */
// deno-lint-ignore no-control-regex
const SEQUENCES =
  /(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c\n]*(?:\x07|\x1b\\|\x9c)?|\x1b[ -/]*[0-~]?/g
/** What is left of control characters, and those that turn the direction of text around. */
// deno-lint-ignore no-control-regex
const CONTROLS = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/g
/** A sequence whose end may be in the next piece. */
// deno-lint-ignore no-control-regex
const UNFINISHED = /(?:\x1b|(?:\x1b\[|\x9b)[0-?]*[ -/]*|\x1b[\]PX^_][^\x07\x1b\n]*\x1b?)$/
const LONGEST_SEQUENCE = 512

/** Text of a model, a note or a log without anything that a terminal would obey; line breaks and tabs stay. */
export const clean = (text: string): string => text.replace(SEQUENCES, '').replace(CONTROLS, '')

/** `clean` on one line. */
export const cleanLine = (text: string): string => clean(text.replace(/\s*[\r\n]+\s*/g, ' '))

/** An id that people compare: what can't be seen, or only looks like something else, is written as its number. */
export const visible = (id: string): string =>
  id.replace(
    /[\p{C}\p{Zl}\p{Zp}\u2000-\u200a\u00a0\u3000]|^ +| +$/gu,
    (characters) => [...characters].map((one) => `\\u{${one.codePointAt(0)!.toString(16)}}`).join(''),
  )

/** `clean` for text that comes in pieces: a sequence may be split between two of them. */
export function createCleaner(): (piece: string) => string {
  let held = ''
  return (piece) => {
    const text = held + piece
    const start = text.search(UNFINISHED)
    held = start >= 0 && text.length - start <= LONGEST_SEQUENCE ? text.slice(start) : ''
    return clean(held === '' ? text : text.slice(0, start))
  }
}

/** Pretty JSON that is safe to print: what `JSON.stringify` leaves of control characters is escaped. */
export const safeJson = (value: unknown, indent?: number): string =>
  JSON.stringify(value, null, indent).replace(
    /[\x7f-\x9f\u202a-\u202e\u2066-\u2069]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
