import { lexer, type Token, type Tokens } from 'marked'

/** How a platform writes what Markdown means; each is given text that is escaped already, except where it says so. */
export type Marks = {
  /** Escapes plain text. */
  text(plain: string): string
  bold(inner: string): string
  italic(inner: string): string
  strike(inner: string): string
  /** Of plain text. */
  code(plain: string): string
  /** Of plain text; the language is empty when none was named. */
  fence(plain: string, language: string): string
  /** `href` is plain. */
  link(inner: string, href: string): string
  quote(inner: string): string
}

/**
 * Markdown as a model writes it in the marks of a platform. Headings are bold, bullets are dots, numbers are kept,
 * tables stand aligned in a fence, rules are dashes, and HTML is shown as it was written; so is a text that is nested
 * too deep to be read.
 */
export function renderMarkdown(markdown: string, marks: Marks): string {
  try {
    return blocks(lexer(markdown, { gfm: true }), marks).trim()
  } catch (error) {
    if (error instanceof RangeError) return marks.text(markdown.trim())
    throw error
  }
}

const RULE = '――――――――'

function blocks(tokens: Token[], marks: Marks): string {
  const parts: string[] = []
  for (const token of tokens) {
    const text = block(token as Tokens.Generic, marks)
    if (text !== '') parts.push(text)
  }
  return parts.join('\n\n')
}

function block(token: Tokens.Generic, marks: Marks): string {
  switch (token.type) {
    case 'space':
    case 'def':
      return ''
    case 'heading':
      return marks.bold(inline(token.tokens ?? [], { ...marks, bold: (inner) => inner }))
    case 'code':
      return marks.fence(token.text as string, /^\S*/.exec(token.lang as string | undefined ?? '')![0])
    case 'blockquote':
      return marks.quote(blocks(token.tokens ?? [], marks))
    case 'list':
      return list(token as Tokens.List, marks, 0)
    case 'table':
      return marks.fence(table(token as Tokens.Table), '')
    case 'hr':
      return marks.text(RULE)
    case 'html':
      return marks.text((token.raw as string).trim())
    default:
      return token.tokens ? inline(token.tokens, marks) : marks.text(plainOf(token))
  }
}

function list(token: Tokens.List, marks: Marks, depth: number): string {
  const first = typeof token.start === 'number' ? token.start : 1
  const indent = '  '.repeat(depth)
  const lines: string[] = []
  token.items.forEach((item, i) => {
    const bullet = item.task ? (item.checked ? '☑' : '☐') : token.ordered ? `${first + i}.` : depth === 0 ? '•' : '◦'
    const parts = item.tokens.filter(({ type }) => type !== 'space' && type !== 'checkbox')
    const own: string[] = []
    const below: string[] = []
    for (const part of parts) {
      if (part.type === 'list') below.push(list(part as Tokens.List, marks, depth + 1))
      else own.push(block(part as Tokens.Generic, marks))
    }
    lines.push(`${indent}${bullet} ${own.join(`\n${indent}  `)}`.trimEnd(), ...below)
  })
  return lines.join('\n')
}

function inline(tokens: Token[], marks: Marks): string {
  return tokens.map((token) => span(token as Tokens.Generic, marks)).join('')
}

function span(token: Tokens.Generic, marks: Marks): string {
  const inner = (): string => inline(token.tokens ?? [], marks)
  switch (token.type) {
    case 'strong':
      return marks.bold(inner())
    case 'em':
      return marks.italic(inner())
    case 'del':
      return marks.strike(inner())
    case 'codespan':
      return marks.code(token.text as string)
    case 'br':
      return '\n'
    case 'link':
      // A bare address needs no mark.
      return token.text === token.href || `mailto:${token.text}` === token.href
        ? marks.text(token.text as string)
        : marks.link(inner(), token.href as string)
    case 'image':
      return marks.link(marks.text((token.text as string) || (token.href as string)), token.href as string)
    case 'checkbox':
      return ''
    case 'html':
      return /^<br\s*\/?>$/i.test(token.raw as string) ? '\n' : marks.text(token.raw as string)
    default:
      return token.tokens ? inner() : marks.text(plainOf(token))
  }
}

/** Without the backslash of an escape. */
const plainOf = (token: Tokens.Generic): string => (token.text ?? token.raw) as string

/** Aligned columns for a fixed-width face. */
function table(token: Tokens.Table): string {
  const rows = [token.header, ...token.rows].map((row) => row.map((cell) => plain(cell.tokens)))
  const widths = token.header.map((_, i) => Math.max(...rows.map((row) => [...(row[i] ?? '')].length)))
  const line = (row: string[]): string =>
    row.map((cell, i) => {
      const gap = ' '.repeat(widths[i]! - [...cell].length)
      return token.align[i] === 'right' ? gap + cell : cell + gap
    }).join(' | ').trimEnd()
  return [line(rows[0]!), widths.map((width) => '-'.repeat(width)).join('-+-'), ...rows.slice(1).map(line)].join('\n')
}

const BARE: Marks = {
  text: (plain) => plain,
  bold: (inner) => inner,
  italic: (inner) => inner,
  strike: (inner) => inner,
  code: (plain) => plain,
  fence: (plain) => plain,
  link: (inner) => inner,
  quote: (inner) => inner,
}

const plain = (tokens: Token[]): string => inline(tokens, BARE).replaceAll('\n', ' ')
