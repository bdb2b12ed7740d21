/** A piece of an HTML text. Broken markup gives odd pieces, never an error, and takes no longer than good markup. */
export type Piece =
  | { type: 'text'; text: string }
  | { type: 'open'; name: string; attributes: string; closed: boolean }
  | { type: 'close'; name: string }

/** Their content is no markup. */
const RAW = new Set(['script', 'style', 'textarea', 'title', 'noscript', 'template', 'iframe', 'svg', 'math'])
const NAME = /[a-zA-Z][a-zA-Z0-9:-]*/y

/** The pieces of an HTML text, in order. */
export function* piecesOf(html: string): Generator<Piece> {
  let at = 0
  while (at < html.length) {
    const open = html.indexOf('<', at)
    if (open < 0) return yield { type: 'text', text: html.slice(at) }
    if (open > at) yield { type: 'text', text: html.slice(at, open) }
    if (html.startsWith('<!--', open)) {
      at = after(html, '-->', open + 4)
      continue
    }
    const slash = html[open + 1] === '/' ? 1 : 0
    NAME.lastIndex = open + 1 + slash
    const name = NAME.exec(html)?.[0].toLowerCase()
    if (!name) {
      const other = '!?/'.includes(html[open + 1] ?? ' ')
      if (!other) yield { type: 'text', text: '<' }
      at = other ? after(html, '>', open + 1) : open + 1
      continue
    }
    const start = open + 1 + slash + name.length
    const end = endOfTag(html, start)
    at = end + 1
    if (slash) {
      yield { type: 'close', name }
      continue
    }
    const attributes = html.slice(start, end)
    const closed = attributes.endsWith('/')
    yield { type: 'open', name, attributes, closed }
    if (RAW.has(name) && !closed) {
      const close = endOfRaw(html, name, at)
      yield { type: 'text', text: html.slice(at, close) }
      at = close
    }
  }
}

/** The value of an attribute; undefined when the tag has none of this name. */
export function attribute(attributes: string, name: string): string | undefined {
  const found = attributes.slice(0, 8000).matchAll(/([^\s"'=<>/]+)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+)))?/g)
  for (const [, key, double, single, bare] of found) {
    if (key!.toLowerCase() === name) return decodeEntities(double ?? single ?? bare ?? '')
  }
  return undefined
}

const ENTITIES: Record<string, string> = {
  amp: '&',
  lt: '<',
  gt: '>',
  quot: '"',
  apos: "'",
  nbsp: ' ',
  ndash: '–',
  mdash: '—',
  hellip: '…',
  lsquo: '‘',
  rsquo: '’',
  ldquo: '“',
  rdquo: '”',
  laquo: '«',
  raquo: '»',
  bull: '•',
  middot: '·',
  copy: '©',
  reg: '®',
  trade: '™',
  deg: '°',
  euro: '€',
  pound: '£',
  times: '×',
  sect: '§',
  rarr: '→',
  larr: '←',
  auml: 'ä',
  ouml: 'ö',
  uuml: 'ü',
  Auml: 'Ä',
  Ouml: 'Ö',
  Uuml: 'Ü',
  szlig: 'ß',
  eacute: 'é',
  egrave: 'è',
  agrave: 'à',
  ccedil: 'ç',
  ntilde: 'ñ',
}

/** `&amp;` and the like as the characters that they stand for; rare names stay as they are. */
export const decodeEntities = (text: string): string =>
  text.includes('&')
    ? text.replace(/&(?:#x([0-9a-f]{1,6})|#(\d{1,7})|([a-zA-Z]{2,8}));/gi, (whole, hex, decimal, name) => {
      if (name) return Object.hasOwn(ENTITIES, name) ? ENTITIES[name]! : whole
      const code = hex ? parseInt(hex, 16) : Number(decimal)
      return code > 31 && code < 0x110000 && (code < 0xd800 || code > 0xdfff) ? String.fromCodePoint(code) : ' '
    })
    : text

const after = (html: string, mark: string, from: number): number => {
  const found = html.indexOf(mark, from)
  return found < 0 ? html.length : found + mark.length
}

/** Of the `>` that ends a tag; one inside a quoted value does not. */
function endOfTag(html: string, from: number): number {
  let quote = ''
  for (let at = from; at < html.length; at++) {
    const char = html[at]!
    if (quote) {
      if (char === quote) quote = ''
    } else if (char === '>') return at
    else if ((char === '"' || char === "'") && /[=\s]/.test(html[at - 1]!)) quote = char
  }
  // A quote that never ends: the tag ends where it would without it.
  const plain = html.indexOf('>', from)
  return plain < 0 ? html.length : plain
}

function endOfRaw(html: string, name: string, from: number): number {
  const close = new RegExp(`</${name}(?=[\\s/>])`, 'gi')
  close.lastIndex = from
  return close.exec(html)?.index ?? html.length
}
