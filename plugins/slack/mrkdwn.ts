import { renderMarkdown } from '../sdk/markdown.ts'

/** Stands beside each mark until it is known what is next to it; a noncharacter, so no text has one. */
const EDGE = '\uFDD0'
const MARKED = new RegExp(`${EDGE}[*_~\`]|[*_~\`]${EDGE}`, 'g')
/** Slack only reads a mark that has no letter before or behind it; this is no letter, and can't be seen. */
const GAP = '\u200B'

/** What would be a link, a call or an entity stands as it was written. */
export const escapeText = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')

/** Marks do not reach over the end of a line. */
const mark = (sign: string) => (inner: string): string =>
  inner.split('\n').map((line) => line.trim() === '' ? line : `${EDGE}${sign}${line}${sign}${EDGE}`).join('\n')

/** Markdown as a model writes it in Slack's mrkdwn. It calls nobody: `<!channel>` and the like are escaped. */
export function toMrkdwn(markdown: string): string {
  const text = renderMarkdown(markdown.replaceAll(EDGE, ''), {
    text: escapeText,
    bold: mark('*'),
    italic: mark('_'),
    strike: mark('~'),
    code: (plain) => mark('`')(escapeText(plain.replaceAll('`', 'ˋ').replaceAll('\n', ' '))),
    // The first line would show the language as code.
    fence: (plain) => `\`\`\`\n${escapeText(plain.replaceAll('```', `\`${GAP}\`${GAP}\``))}\n\`\`\``,
    link,
    quote: (inner) => inner.split('\n').map((line) => `> ${line}`).join('\n'),
  })
  return text
    .replace(new RegExp(`(?<=[\\p{L}\\p{N}])${EDGE}|${EDGE}(?=[\\p{L}\\p{N}])`, 'gu'), GAP)
    .replaceAll(EDGE, '')
}

function link(inner: string, href: string): string {
  // Within a link, marks would be shown as signs.
  const label = inner.replace(MARKED, '').replaceAll('\n', ' ').replaceAll('|', '¦')
  if (!/^(https?:\/\/|mailto:)/i.test(href)) return inner
  const address = href.replace(/[<>|\s]/g, (sign) => encodeURIComponent(sign)).replaceAll('&', '&amp;')
  return `<${address}|${label}>`
}
