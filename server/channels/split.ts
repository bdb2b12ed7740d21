import type { TextUnit } from '../../shared/channels.ts'

/** The longest text that a platform takes as one message, in its own unit. */
export type TextLimit = { size: number; unit: TextUnit }

/** Of platforms whose plugin does not tell. */
const KNOWN: Record<string, TextLimit> = {
  telegram: { size: 4096, unit: 'utf16' },
  discord: { size: 2000, unit: 'chars' },
  slack: { size: 3500, unit: 'chars' },
  whatsapp: { size: 4096, unit: 'chars' },
  matrix: { size: 30_000, unit: 'bytes' },
  irc: { size: 400, unit: 'bytes' },
}
const USUAL: TextLimit = { size: 4000, unit: 'utf16' }

export const knownLimit = (platform: string): TextLimit => KNOWN[platform.toLowerCase()] ?? USUAL

const encoder = new TextEncoder()

/** The length of a text as the platform counts it. */
export function lengthIn(text: string, unit: TextUnit): number {
  if (unit === 'utf16') return text.length
  if (unit === 'bytes') return encoder.encode(text).length
  let count = 0
  for (const _ of text) count++
  return count
}

/** Whether a text is no longer than a message; of one that is far longer, nothing is counted. */
const fits = (text: string, { size, unit }: TextLimit): boolean =>
  text.length <= (unit === 'chars' ? 2 : 1) * size && lengthIn(text, unit) <= size

/**
 * Cuts a Markdown text into messages. Cuts lie between paragraphs, else lines, else words; a code fence that is cut is
 * closed and opened again; links, inline code, emphasis, HTML entities and what is one sign to the eye stay whole
 * wherever they fit at all. No part is empty.
 */
export function splitText(text: string, limit: TextLimit): string[] {
  const { size, unit } = limit
  const parts: string[] = []
  let rest = text.trim()
  let fence: Fence | undefined
  while (rest !== '') {
    const opening = fence === undefined ? '' : `${lengthIn(fence.open, unit) > size / 3 ? fence.mark : fence.open}\n`
    if (fits(opening + rest, limit)) {
      parts.push(opening + rest)
      break
    }
    // Room for the closing fence is kept whether or not one turns out to be needed.
    const room = size - lengthIn(opening, unit) - LONGEST_MARK - 1
    const cut = cutOf(rest, Math.max(1, room), unit, fence !== undefined)
    const head = rest.slice(0, cut).trimEnd()
    const open = fenceAfter(head, fence)
    if (head.trim() !== '') parts.push(opening + head + closingOf(open))
    // Within code the indentation of the next line stays.
    rest = open ? rest.slice(cut).replace(/^\n+/, '') : rest.slice(cut).trimStart()
    fence = open
    if (fence && rest.trim() === fence.mark) break
  }
  return parts
}

/**
 * What the first of its messages shows of a text that is still being written; '' where nothing does. Only as much of
 * the text is looked at as can matter.
 */
export function firstPart(text: string, limit: TextLimit): string {
  // A sign of `chars` may be two of a string's. What begins before the cut and ends behind it decides where the cut is.
  const begun = text.slice(0, 2 * limit.size + LOOK_AHEAD)
  return splitText(begun + closingOf(fenceAfter(begun)), limit)[0] ?? ''
}

/** The beginning of a text, in at most so many UTF-16 units, with no sign cut. */
export const beginning = (text: string, size: number): string =>
  text.length <= size ? text : text.slice(0, endWithin(text, size, 'utf16'))

/** Characters; longer than anything that stays whole. */
const LOOK_AHEAD = 2100

/** Where to cut so that what comes before has at most `room` units. */
function cutOf(text: string, room: number, unit: TextUnit, inCode: boolean): number {
  const end = endWithin(text, room, unit)
  const window = text.slice(0, end + 1)
  const spans = inCode ? [] : spansOf(text.slice(0, end + LOOK_AHEAD))
  const whole = (at: number): boolean => at > 0 && spans.every(([from, to]) => at <= from || at >= to)
  // A cut in the first third would leave a message that is nearly empty.
  const least = Math.floor(end / 3)
  for (const breaks of ['\n\n', '\n', ' ']) {
    for (let at = window.lastIndexOf(breaks); at > least; at = window.lastIndexOf(breaks, at - 1)) {
      if (at <= end && whole(at)) return at
    }
  }
  const span = spans.find(([from, to]) => from < end && to > end)
  if (span && span[0] > least) return span[0]
  return end
}

/** The last boundary between signs at which the text before fits. */
function endWithin(text: string, room: number, unit: TextUnit): number {
  const end = pointsWithin(text, room, unit)
  if (end >= text.length) return text.length
  // One sign that is longer than a message is cut between code points, after at least one.
  const sign = signs.segment(text.slice(0, end + 64)).containing(end)?.index ?? 0
  return sign > 0 ? sign : Math.max(end, String.fromCodePoint(text.codePointAt(0)!).length)
}

/** The last boundary between code points at which the text before fits. */
function pointsWithin(text: string, room: number, unit: TextUnit): number {
  if (unit === 'bytes') return encoder.encodeInto(text.slice(0, room), new Uint8Array(room)).read
  let end = 0
  for (let used = 0; end < text.length; used++) {
    const size = text.codePointAt(end)! > 0xffff ? 2 : 1
    if ((unit === 'utf16' ? end + size : used + 1) > room) break
    end += size
  }
  return end
}

const signs = new Intl.Segmenter(undefined, { granularity: 'grapheme' })

/** What must not be cut: links and images, inline code, emphasis, entities, addresses. */
const SPANS = new RegExp(
  [
    '!?\\[[^\\[\\]\\n]{0,500}\\]\\([^)\\n]{0,1500}\\)',
    '`[^`\\n]{1,500}`',
    '\\*\\*[^*\\n]{1,500}\\*\\*',
    '__[^_\\n]{1,500}__',
    '~~[^~\\n]{1,500}~~',
    '(?<![\\w*])\\*[^*\\n ][^*\\n]{0,500}\\*',
    'https?://[^\\s)>\\]]{1,1500}',
    '&(?:#\\d{1,7}|#x[0-9a-fA-F]{1,6}|\\w{2,31});',
  ].join('|'),
  'g',
)

const spansOf = (text: string): [number, number][] =>
  [...text.matchAll(SPANS)].map((match) => [match.index, match.index + match[0].length])

/** A code block that is open: the line that opens it again, and what closes it. */
type Fence = { open: string; mark: string }

/** Signs of a fence; more of them are an ornament. */
const LONGEST_MARK = 8
const FENCE = /^ {0,3}(?:(`{3,8})(?!`)([^`]*)|(~{3,8})(?!~)(.*))$/

const closingOf = (fence: Fence | undefined): string => fence ? `\n${fence.mark}` : ''

/** The code block in which a text ends; undefined outside of code. */
function fenceAfter(text: string, before?: Fence): Fence | undefined {
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
