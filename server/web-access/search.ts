import * as v from 'valibot'
import { AppError } from '../errors.ts'
import type { Outbound } from '../http/outbound.ts'
import { attribute, decodeEntities, piecesOf } from './html.ts'

/** One page that a search found. */
export type WebHit = { title: string; url: string; snippet: string }

export type SearchSettings = {
  search: 'off' | 'searxng' | 'duckduckgo' | 'tool'
  search_url?: string | undefined
  search_tool?: string | undefined
}

const LIMITS = { maxBytes: 2 * 1024 * 1024, timeoutMs: 20_000 }
const DUCKDUCKGO = 'https://html.duckduckgo.com/html/'

/** Asks the search that the configuration names. Throws `unavailable` when it names none. */
export async function searchWeb(
  outbound: Outbound,
  { search, search_url }: SearchSettings & { search: Exclude<SearchSettings['search'], 'tool'> },
  query: string,
  signal: AbortSignal,
): Promise<WebHit[]> {
  if (search === 'off') {
    throw new AppError(
      'unavailable',
      'No web search is configured. The owner can set tools.web.search to "duckduckgo", to "searxng" with the ' +
        'address of a SearXNG server in tools.web.search_url, or to "tool" with the name of a tool in ' +
        'tools.web.search_tool.',
    )
  }
  if (search === 'duckduckgo') {
    const url = new URL(search_url ?? DUCKDUCKGO)
    url.searchParams.set('q', query)
    return hitsIn(await ask(outbound, url, 'text/html', signal), url)
  }
  if (!search_url) {
    throw new AppError('unavailable', 'tools.web.search is "searxng"; set its address in tools.web.search_url')
  }
  const url = new URL('search', search_url.endsWith('/') ? search_url : `${search_url}/`)
  url.searchParams.set('q', query)
  url.searchParams.set('format', 'json')
  return found(await ask(outbound, url, 'application/json', signal))
}

async function ask(outbound: Outbound, url: URL, accept: string, signal: AbortSignal): Promise<string> {
  const headers = { accept, 'user-agent': 'Mozilla/5.0 (compatible; Gatehouse)' }
  const response = await outbound.fetch(url, { headers, signal, ...LIMITS })
  if (response.ok) return await response.text()
  await response.body?.cancel()
  const hint = response.status === 403 && accept === 'application/json'
    ? '; allow "json" under search.formats in the settings of SearXNG'
    : ''
  throw new AppError('bad_gateway', `The web search at ${url.host} answered ${response.status}${hint}`)
}

const Answer = v.object({
  results: v.array(
    v.object({ title: v.optional(v.string(), ''), url: v.string(), content: v.nullish(v.string(), '') }),
  ),
})

function found(text: string): WebHit[] {
  try {
    return v.parse(Answer, JSON.parse(text)).results.flatMap(({ title, url, content }) =>
      shownHit(title, url, content ?? '')
    )
  } catch {
    throw new AppError('bad_gateway', 'The web search did not answer as SearXNG does; look at tools.web.search_url')
  }
}

/** Links and snippets of a page of results as DuckDuckGo's page without scripts writes it. */
function hitsIn(html: string, page: URL): WebHit[] {
  const rows: { title: string; url: string; snippet: string }[] = []
  let into: 'title' | 'snippet' | undefined
  /** The element that ends what is collected. */
  let until = ''
  for (const piece of piecesOf(html)) {
    const row = rows.at(-1)
    if (piece.type === 'text') {
      if (into && row) row[into] += decodeEntities(piece.text)
    } else if (piece.type === 'close') {
      if (piece.name === until) into = undefined
    } else {
      const classes = (attribute(piece.attributes, 'class') ?? '').split(/\s+/)
      if (classes.includes('result__a')) {
        rows.push({ title: '', url: target(attribute(piece.attributes, 'href') ?? '', page), snippet: '' })
        into = 'title'
        until = piece.name
      } else if (classes.includes('result__snippet')) {
        into = 'snippet'
        until = piece.name
      }
    }
  }
  if (rows.length === 0 && /anomaly|captcha|challenge-form/i.test(html)) {
    throw new AppError('bad_gateway', `${page.host} wants to see a person. Wait a while, or use SearXNG.`)
  }
  return rows.flatMap(({ title, url, snippet }) => shownHit(title, url, snippet))
}

/** Links lead through a page that counts; the real address is its parameter. */
function target(href: string, page: URL): string {
  const url = URL.parse(href, page)
  return url?.searchParams.get('uddg') ?? url?.href ?? ''
}

/** As it is shown; nothing where its address is none of the web. */
export const shownHit = (title: string, url: string, snippet: string): WebHit[] =>
  /^https?:\/\//.test(url) ? [{ title: tidy(title, 200), url: url.slice(0, 2000), snippet: tidy(snippet, 500) }] : []

const tidy = (text: string, max: number): string => text.replace(/\s+/g, ' ').trim().slice(0, max)
