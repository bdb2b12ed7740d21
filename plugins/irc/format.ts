import { type Marks, renderMarkdown } from '../sdk/markdown.ts'

/** https://modern.ircdocs.horse/formatting */
const BOLD = '\x02'
const ITALIC = '\x1d'
const STRIKE = '\x1e'
const MONO = '\x11'

const wrap = (mark: string) => (inner: string): string =>
  // Formatting ends with its line.
  inner.split('\n').map((line) => line.trim() === '' ? line : `${mark}${line}${mark}`).join('\n')

const MARKS: Marks = {
  text: (plain) => withoutCodes(plain),
  bold: wrap(BOLD),
  italic: wrap(ITALIC),
  strike: wrap(STRIKE),
  code: (plain) => wrap(MONO)(withoutCodes(plain)),
  fence: (plain) => wrap(MONO)(withoutCodes(plain)),
  link: (inner, href) => `${inner} <${withoutCodes(href)}>`,
  quote: (inner) => inner.split('\n').map((line) => `> ${line}`).join('\n'),
}

/** Markdown as lines with IRC's formatting, none of them empty. */
export const toLines = (markdown: string): string[] =>
  renderMarkdown(markdown, MARKS).split('\n').map((line) => line.trimEnd()).filter((line) => line.trim() !== '')

/** What others formatted, as plain text. */
export const withoutFormat = (text: string): string =>
  text.replace(/\x03(\d{1,2}(,\d{1,2})?)?|\x04([0-9a-fA-F]{6}(,[0-9a-fA-F]{6})?)?/g, '').replace(
    /[\x02\x0f\x11\x16\x1d-\x1f]/g,
    '',
  )

/** Text without characters that are formatting or more. */
const withoutCodes = (text: string): string => text.replaceAll('\t', '    ').replace(/[\x00-\x09\x0b-\x1f\x7f]/g, '')
