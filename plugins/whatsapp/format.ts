import { renderMarkdown } from '../sdk/markdown.ts'

const around = (mark: string) => (inner: string): string => {
  // A mark next to a space is shown as it is, and one over a line end as well.
  const [, before, words, after] = /^(\s*)(.*?)(\s*)$/s.exec(inner) as unknown as [string, string, string, string]
  return words === '' ? inner : before + words.split('\n').map((line) => line && mark + line + mark).join('\n') + after
}

/** Markdown in the marks that WhatsApp knows: `*bold* _italic_ ~struck~ `code` > quote`. */
export const toWhatsApp = (markdown: string): string =>
  renderMarkdown(markdown, {
    text: (plain) => plain,
    bold: around('*'),
    italic: around('_'),
    strike: around('~'),
    code: (plain) => `\`${plain}\``,
    fence: (plain) => `\`\`\`${plain}\`\`\``,
    link: (inner, href) => /^(https?|mailto|tel):/i.test(href) ? `${inner} (${href})` : inner,
    quote: (inner) => inner.split('\n').map((line) => `> ${line}`).join('\n'),
  })
