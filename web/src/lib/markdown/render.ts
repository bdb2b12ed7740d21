import DOMPurify from 'dompurify'
import { Parser, Renderer, type Token, type Tokens } from 'marked'

/** Highlighted HTML of a code block, or undefined while there is none; must escape the code itself. */
export type Highlight = (code: string, language: string) => string | undefined

/**
 * One Markdown block as HTML that is safe to put in the page: raw HTML in the text is shown as text, links open in a
 * new tab, and only images of this server are loaded, so that a message cannot tell a stranger that it was read.
 */
export const renderBlock = (token: Token, highlight: Highlight): string =>
  DOMPurify.sanitize(toHtml(token, highlight), ALLOWED)

const ALLOWED = {
  ALLOWED_TAGS: [
    ...['p', 'br', 'hr', 'h1', 'h2', 'h3', 'h4', 'h5', 'h6', 'strong', 'em', 'del', 'code', 'pre', 'blockquote'],
    ...['ul', 'ol', 'li', 'a', 'img', 'table', 'thead', 'tbody', 'tr', 'th', 'td', 'input', 'div', 'span', 'button'],
  ],
  ALLOWED_ATTR: [
    ...['href', 'title', 'src', 'alt', 'class', 'align', 'start', 'type', 'checked', 'disabled', 'target', 'rel'],
    ...['tabindex', 'loading', 'data-copy', 'aria-label', 'aria-level', 'role'],
  ],
  ALLOW_DATA_ATTR: false,
}

/** The HTML before it is sanitised; apart, so that it can be tested without a DOM. */
export function toHtml(token: Token, highlight: Highlight): string {
  const renderer = new Renderer()
  renderer.html = ({ text }) => escapeHtml(text)
  // The page's own heading is the only first one; for those who hear the page, those of a text stand below it.
  renderer.heading = function ({ tokens, depth }) {
    return `<h${depth} aria-level="${depth + 2}">${this.parser.parseInline(tokens)}</h${depth}>\n`
  }
  renderer.link = function ({ href, title, tokens }) {
    const inner = this.parser.parseInline(tokens)
    const url = safeLink(href)
    return url === undefined ? inner : anchor(url, inner, title)
  }
  renderer.image = ({ href, title, text }) => {
    if (href.startsWith('/api/files?')) {
      return `<img src="${escapeHtml(href)}" alt="${escapeHtml(text)}" loading="lazy"${titleOf(title)}>`
    }
    const url = safeLink(href)
    const label = `Image: ${escapeHtml(text || href)}`
    return url === undefined ? label : anchor(url, label, title)
  }
  renderer.code = ({ text, lang }) => codeBlock(text, lang, highlight)
  renderer.table = function (table: Tokens.Table) {
    const html = Renderer.prototype.table.call(this, table)
    return `<div class="md-table" tabindex="0" role="region" aria-label="Table">${html}</div>`
  }
  return new Parser({ renderer, gfm: true }).parse([token])
}

function codeBlock(code: string, info: string | undefined, highlight: Highlight): string {
  const language = (info ?? '').trim().split(/\s+/)[0]!.toLowerCase()
  const body = highlight(code, language) ?? escapeHtml(code)
  return `<div class="md-code"><div class="md-code-head"><span>${escapeHtml(language || 'text')}</span>` +
    `<button type="button" data-copy="code" aria-label="Copy this code">Copy</button></div>` +
    `<pre tabindex="0"><code>${body}</code></pre></div>\n`
}

/** The link if it leads somewhere harmless: the web, mail, or a page of ours. */
function safeLink(href: string): string | undefined {
  if (/^[/#](?!\/)/.test(href)) return href
  try {
    const url = new URL(href)
    return ['http:', 'https:', 'mailto:'].includes(url.protocol) ? href : undefined
  } catch {
    return undefined
  }
}

const anchor = (href: string, inner: string, title?: string | null): string =>
  `<a href="${escapeHtml(href)}" target="_blank" rel="noopener noreferrer"${titleOf(title)}>${inner}</a>`

const titleOf = (title?: string | null): string => title ? ` title="${escapeHtml(title)}"` : ''

const ENTITIES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }

/** Text as it may stand in HTML, attributes included. */
export const escapeHtml = (text: string): string => text.replace(/[&<>"']/g, (char) => ENTITIES[char]!)
