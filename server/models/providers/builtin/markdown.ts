// Text of notes, results and plugins is data: nothing in it may become a link, an image, HTML or the end of a quote.

/** Text on one line inside a sentence. */
export const inline = (text: string): string => escape(text.replace(/\s+/g, ' ').trim())

/** Text as a quotation. */
export const quote = (text: string, indent = ''): string =>
  text
    .split(/\r?\n/)
    .map((line) => `${indent}> ${escape(line.trim()).replace(/^(#|~~~|===|---)/, '\\$1')}`.trimEnd())
    .join('\n')

/** A name, path or value as code. */
export function code(text: string): string {
  const line = text.replace(/\s+/g, ' ').trim()
  const ticks = '`'.repeat(longestRun(line) + 1)
  const space = line.startsWith('`') || line.endsWith('`') ? ' ' : ''
  return ticks + space + line + space + ticks
}

/** Text as it stands, in a block that it can't close. */
export function fence(text: string, language = ''): string {
  const ticks = '`'.repeat(Math.max(3, longestRun(text) + 1))
  return `${ticks}${language}\n${text.replace(/\n+$/, '')}\n${ticks}`
}

const escape = (text: string): string => text.replace(/[\\`<[\]]/g, '\\$&')

const longestRun = (text: string): number =>
  [...text.matchAll(/`+/g)].reduce((most, run) => Math.max(most, run[0].length), 0)
