/** How a platform counts the length of a message. */
export type TextUnit = 'utf16' | 'chars' | 'bytes'

/** The longest text of one message. */
export type TextLimit = { max: number; unit: TextUnit }

const encoder = new TextEncoder()

/** The length of a text as the platform counts it. */
export function lengthOf(text: string, unit: TextUnit): number {
  if (unit === 'utf16') return text.length
  if (unit === 'bytes') return encoder.encode(text).length
  let count = 0
  for (const _ of text) count++
  return count
}

/** Where a piece may end, the best place first. */
const SEAMS = [/\n\s*\n/g, /\n/g, /[.!?…]["')\]]?\s+/g, /\s+/g]

/**
 * A text in pieces that each fit, cut between paragraphs, lines, sentences or words where possible, and never within a
 * character. A code fence that is cut is closed and opened again with its language. No piece is empty.
 */
export function splitText(text: string, limit: TextLimit): string[] {
  const pieces: string[] = []
  let rest = text
  let fence: Fence | undefined
  while (rest.trim() !== '') {
    const head = fence ? `${lengthOf(fence.open, limit.unit) > limit.max / 3 ? fence.mark : fence.open}\n` : ''
    if (lengthOf(head + rest, limit.unit) <= limit.max) {
      pieces.push(head + rest)
      break
    }
    // Room for a closing line is kept whether or not one turns out to be needed.
    const room = limit.max - lengthOf(head, limit.unit) - LONGEST_MARK - 1
    const size = Math.max(1, fitting(rest, Math.max(1, room), limit.unit))
    const end = seam(rest, size)
    const piece = rest.slice(0, end).replace(/\s+$/, '')
    const open = fenceAfter(piece, fence)
    if (piece !== '') pieces.push(head + piece + (open ? `\n${open.mark}` : ''))
    rest = open ? rest.slice(end).replace(/^[ \t]*\n/, '') : rest.slice(end).replace(/^\s*\n|^[ \t]+/, '')
    fence = open
  }
  return pieces
}

/** How many code units of a text fit, without cutting a character in two. */
function fitting(text: string, max: number, unit: TextUnit): number {
  let used = 0
  let at = 0
  for (const character of text) {
    used += lengthOf(character, unit)
    if (used > max) return at === 0 ? character.length : at
    at += character.length
  }
  return at
}

/** The best place to cut at or before `size`; a place in the first half would leave small pieces. */
function seam(text: string, size: number): number {
  const head = text.slice(0, size)
  for (const pattern of SEAMS) {
    let best = 0
    for (const match of head.matchAll(pattern)) best = match.index + match[0].length
    if (best > size / 2) return best
  }
  return size
}

/** The line that opens a code block again, and what closes it. */
type Fence = { open: string; mark: string }

/** Signs of a fence; more of them are an ornament. */
const LONGEST_MARK = 8
const FENCE = /^ {0,3}(?:(`{3,8})(?!`)([^`]*)|(~{3,8})(?!~)(.*))$/

/** The fence that is open at the end of a text that began in `before`. */
function fenceAfter(text: string, before: Fence | undefined): Fence | undefined {
  let open = before
  for (const line of text.split('\n')) {
    const found = FENCE.exec(line)
    if (!found) continue
    const [mark, about] = [found[1] ?? found[3]!, (found[2] ?? found[4]!).trim()]
    if (!open) open = { open: mark + about.slice(0, 30), mark }
    else if (about === '' && mark.startsWith(open.mark)) open = undefined
  }
  return open
}
