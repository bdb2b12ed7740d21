import { renderMarkdown } from '../sdk/markdown.ts'

const ESCAPES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' }
const escaped = (text: string): string => text.replace(/[&<>"]/g, (char) => ESCAPES[char]!)

/** Markdown in the HTML that Telegram knows (Bot API, "HTML style"). */
export const toHtml = (markdown: string): string =>
  renderMarkdown(markdown, {
    text: escaped,
    bold: (inner) => `<b>${inner}</b>`,
    italic: (inner) => `<i>${inner}</i>`,
    strike: (inner) => `<s>${inner}</s>`,
    code: (plain) => `<code>${escaped(plain)}</code>`,
    fence: (plain, language) =>
      language === ''
        ? `<pre>${escaped(plain)}</pre>`
        : `<pre><code class="language-${escaped(language)}">${escaped(plain)}</code></pre>`,
    link: (inner, href) => /^(https?|mailto|tg):/i.test(href) ? `<a href="${escaped(href)}">${inner}</a>` : inner,
    quote: (inner) => `<blockquote>${inner}</blockquote>`,
  })
