import type { HighlighterCore } from 'shiki/core'
import { grammarName, loadGrammar } from './languages.ts'
import { escapeHtml } from './render.ts'

/** Past this many characters colours cost more than they give. */
const LONGEST = 60_000
/** Blocks whose colours are remembered, so that scrolling back shows them at once. */
const REMEMBERED = 400

/**
 * Colours code off the first paint: `get` answers at once with what is known and fetches the rest, and readers of
 * `get` run again when it is there. Colours are class names, for the content security policy forbids inline styles.
 */
class Highlighter {
  #done = new Map<string, string>()
  #wanted = new Set<string>()
  #version = $state(0)
  #core: Promise<HighlighterCore> | undefined

  /** Coloured HTML of `code`, or undefined when it is not ready, too long, or of an unknown language. */
  get = (code: string, language: string): string | undefined => {
    const name = grammarName(language)
    if (name === undefined || code.length > LONGEST) return undefined
    const key = `${name}\n${code}`
    const html = this.#done.get(key)
    if (html !== undefined) return html
    void this.#version
    if (!this.#wanted.has(key)) {
      this.#wanted.add(key)
      void this.#colour(key, code, name)
    }
    return undefined
  }

  async #colour(key: string, code: string, name: string): Promise<void> {
    try {
      const core = await (this.#core ??= load())
      if (!core.getLoadedLanguages().includes(name)) await core.loadLanguage(await loadGrammar(name))
      await idle()
      const { tokens } = core.codeToTokens(code, {
        lang: name,
        theme: 'css-variables',
        // A line that takes longer stays as it is and spoils those after it; the first one compiles the grammar.
        tokenizeTimeLimit: 4000,
        tokenizeMaxLineLength: 2000,
      })
      const lines = tokens.map((line) => line.map((token) => span(token.content, token.color)).join(''))
      this.#done.set(key, lines.join('\n'))
      if (this.#done.size > REMEMBERED) this.#done.delete(this.#done.keys().next().value!)
      this.#wanted.delete(key)
      this.#version++
    } catch {
      // The chunk could not be fetched (offline): the code stays plain and is asked for again at the next render.
      this.#core = undefined
      this.#wanted.delete(key)
    }
  }
}

/** One for the page: grammars are large, and a coloured block does not depend on who shows it. */
export const highlighter = new Highlighter()

async function load(): Promise<HighlighterCore> {
  const [{ createCssVariablesTheme, createHighlighterCore }, { createJavaScriptRegexEngine }] = await Promise.all([
    import('shiki/core'),
    import('shiki/engine/javascript'),
  ])
  return createHighlighterCore({
    themes: [createCssVariablesTheme()],
    langs: [],
    engine: createJavaScriptRegexEngine({ forgiving: true }),
  })
}

/** `var(--shiki-token-keyword)` becomes the class `tok-keyword`. */
function span(text: string, color: string | undefined): string {
  const name = /^var\(--shiki-token-([a-z-]+)\)$/.exec(color ?? '')?.[1]
  return name === undefined ? escapeHtml(text) : `<span class="tok-${name}">${escapeHtml(text)}</span>`
}

const idle = (): Promise<void> =>
  new Promise((resolve) => {
    if (typeof requestIdleCallback === 'function') requestIdleCallback(() => resolve(), { timeout: 200 })
    else setTimeout(resolve, 0)
  })
