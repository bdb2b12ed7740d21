/**
 * Text as the database and every reader can hold it, so that all see the same: a NUL, at which SQLite's text ends, and
 * halves of characters become U+FFFD.
 */
export const plainText = (text: string): string =>
  (text.includes('\0') ? text.replaceAll('\0', '\ufffd') : text).toWellFormed()

/** Makes deltas plain one by one; half a character at the end of one waits for its other half. */
export function plainDeltas(): (delta: string) => string {
  let half = ''
  return (delta) => {
    const text = half + delta
    half = (text.charCodeAt(text.length - 1) & 0xfc00) === 0xd800 ? text.slice(-1) : ''
    return plainText(half ? text.slice(0, -1) : text)
  }
}
