import { Marked } from 'marked'

const escape = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')

const SAFE = /^(https?|mailto|matrix):/i

/** HTML of others is shown as it was written, and pictures are links: clients load none from elsewhere. */
const marked = new Marked({
  gfm: true,
  breaks: true,
  renderer: {
    html: ({ text }) => escape(text),
    image: ({ href, text }) => SAFE.test(href) ? `<a href="${escape(href)}">${escape(text || href)}</a>` : escape(text),
    link({ href, tokens }) {
      const inner = this.parser.parseInline(tokens)
      return SAFE.test(href) ? `<a href="${escape(href)}">${inner}</a>` : inner
    },
  },
})

/** Markdown as the HTML that Matrix knows; as it was written where it is nested too deep to be read. */
export function toHtml(markdown: string): string {
  try {
    return marked.parse(markdown, { async: false }).trim()
  } catch (error) {
    if (error instanceof RangeError) return `<pre>${escape(markdown)}</pre>`
    throw error
  }
}
