import { attribute, decodeEntities, piecesOf } from './html.ts'

/** What a person would read of a page: Markdown without menus, scripts and what is hidden. */
export type Readable = { title: string; text: string }

/** Never shown. */
const DROPPED = new Set('script style noscript template iframe svg math head object canvas select button'.split(' '))
/** Around the content, not of it; kept when nothing else is there. */
const AROUND = new Set(['nav', 'footer', 'aside', 'header', 'form', 'dialog'])
const MAIN = new Set(['main', 'article'])
const BLOCKS = new Set(
  ('address article aside blockquote body dd details dialog div dl dt fieldset figcaption figure footer form h1 h2 h3 h4 ' +
    'h5 h6 header hr li main nav ol p pre section summary table tbody thead tr ul').split(' '),
)
const VOID = new Set('area base br col embed hr img input link meta source track wbr'.split(' '))
/** A page whose `main` has less than this is not marked up by its meaning. */
const LEAST_MAIN = 200
/** Characters; longer runs without a block are split, so that no page takes more time than its length. */
const MAX_BLOCK = 20_000

type Block = { text: string; main: boolean; around: boolean }

/** The readable part of an HTML page. Relative links are completed with `base`. */
export function readable(html: string, base: string): Readable {
  const blocks: Block[] = []
  /** How many of each are open, for those that matter. */
  const open = new Map<string, number>()
  const depth = (names: Set<string>) => [...names].some((name) => (open.get(name) ?? 0) > 0)
  let title = ''
  let inTitle = false
  /** The element whose content is left out, and how often it is nested in itself. */
  let dropped: { name: string; depth: number } | undefined
  let text = ''
  let prefix = ''
  let pre = 0
  let link: { href: string; at: number } | undefined

  const flush = (): void => {
    endLink()
    const content = pre > 0 ? text.replace(/^\n/, '').trimEnd() : text.replace(/[ \t]*\n[ \t]*/g, '\n').trim()
    if (content !== '') {
      const shown = pre > 0 ? `\`\`\`\n${content}\n\`\`\`` : prefix + content
      blocks.push({ text: shown, main: depth(MAIN), around: depth(AROUND) })
      prefix = ''
    }
    text = ''
  }
  const endLink = (): void => {
    if (!link) return
    const label = text.slice(link.at).trim()
    if (label !== '' && link.href !== '') text = `${text.slice(0, link.at)}[${label}](${link.href})`
    link = undefined
  }
  const count = (name: string, by: number): void => {
    if (MAIN.has(name) || AROUND.has(name)) open.set(name, Math.max(0, (open.get(name) ?? 0) + by))
  }

  for (const piece of piecesOf(html)) {
    if (piece.type === 'text') {
      const decoded = decodeEntities(piece.text)
      if (inTitle) title ||= decoded.replace(/\s+/g, ' ').trim()
      else if (!dropped) text += pre > 0 ? decoded : joining(text, decoded.replace(/\s+/g, ' '))
      if (text.length > MAX_BLOCK) flush()
      continue
    }
    const { name } = piece
    if (name === 'title') {
      inTitle = piece.type === 'open' && title === ''
      continue
    }
    if (dropped) {
      if (name === dropped.name) dropped.depth += piece.type === 'open' ? 1 : -1
      // A head that was never closed ends where the body begins.
      if (dropped.depth === 0 || (dropped.name === 'head' && name === 'body')) dropped = undefined
      continue
    }
    const opens = piece.type === 'open'
    if (opens && !VOID.has(name) && (DROPPED.has(name) || isHidden(piece.attributes))) {
      if (!piece.closed) dropped = { name, depth: 1 }
      continue
    }
    if (name === 'br') text += '\n'
    else if (BLOCKS.has(name)) {
      flush()
      count(name, opens ? 1 : -1)
      if (name === 'pre') pre = Math.max(0, pre + (opens ? 1 : -1))
      else if (opens) prefix = name === 'li' ? '- ' : /^h[1-6]$/.test(name) ? `${'#'.repeat(Number(name[1]))} ` : prefix
      // What a heading or an item announced belongs to it alone.
      else if (name === 'li' || /^h[1-6]$/.test(name)) prefix = ''
    } else if ((name === 'td' || name === 'th') && !opens) text += ' | '
    else if (name === 'a') {
      endLink()
      if (opens) link = { href: hrefOf(attribute(piece.attributes, 'href'), base), at: text.length }
    }
  }
  flush()

  const main = blocks.filter((block) => block.main)
  const body = blocks.filter((block) => !block.around)
  const chosen = lengthOf(main) >= LEAST_MAIN ? main : body.length > 0 ? body : blocks
  const lines = chosen.map((block) => block.text.replace(/ \|$/, ''))
  return { title, text: lines.map((line, i) => gap(lines[i - 1], line) + line).join('') }
}

/** Items of a list stand together, paragraphs apart. */
const gap = (before: string | undefined, block: string): string =>
  before === undefined ? '' : block.startsWith('- ') && before.startsWith('- ') ? '\n' : '\n\n'

/** No blank after a blank. */
const joining = (before: string, next: string): string =>
  next.startsWith(' ') && (before === '' || /\s$/.test(before.slice(-1))) ? next.slice(1) : next

const lengthOf = (blocks: Block[]): number => blocks.reduce((sum, block) => sum + block.text.length, 0)

/** What people don't see, models must not read: it is where instructions to them are hidden. */
const isHidden = (attributes: string): boolean =>
  /hidden|style/i.test(attributes) &&
  (attribute(attributes, 'hidden') !== undefined || attribute(attributes, 'aria-hidden') === 'true' ||
    /(?:display\s*:\s*none|visibility\s*:\s*hidden|font-size\s*:\s*0(?![.\d])|opacity\s*:\s*0(?![.\d]))/i.test(
      attribute(attributes, 'style') ?? '',
    ))

function hrefOf(href: string | undefined, base: string): string {
  const url = href === undefined || href.startsWith('#') ? null : URL.parse(href, base)
  return url && /^https?:$/.test(url.protocol) && url.href.length < 500 ? url.href : ''
}
