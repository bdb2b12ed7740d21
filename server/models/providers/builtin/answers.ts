import type { ToolCall } from '../../provider.ts'
import { code, fence, inline, quote } from './markdown.ts'

/** One call of this turn with what came of it. */
export type Result = { call: ToolCall; content: string; failed: boolean }

/** Characters of one result that are shown; the rest is left out and said to be. */
const MAX_SHOWN = 20_000

/** The results of the calls of a turn as Markdown. */
export function answer(results: Result[]): string {
  const searches = results.filter((result) => !result.failed && isSearch(result))
  const others = results.filter((result) => !searches.includes(result))
  const parts = [searches.length > 0 ? found(searches) : '', ...others.map(one)]
  return parts.filter((part) => part !== '').join('\n\n')
}

function one(result: Result): string {
  if (result.failed) return failure(result)
  const data = parsed(result.content)
  const phrase = data && PHRASES[nameOf(result)]?.(data, result)
  return phrase || plainResult(result)
}

/** How the result of each known tool is said; a result of another shape falls back to being shown as it is. */
const PHRASES: Record<string, (data: Fields, result: Result) => string | undefined> = {
  notes_read: (data) => {
    const [path, content] = [text(data.path), text(data.content)]
    if (!path || content === undefined) return undefined
    const shown = content.trim() === '' ? '*This note is empty.*' : fence(cut(content), 'markdown')
    const rest = typeof data.next_offset === 'number' ? '\n\nThe note goes on; this is its beginning.' : ''
    return `**${inline(text(data.title) ?? path)}** (${code(path)})\n\n${shown}${rest}`
  },
  notes_create: (data, { call }) => {
    const path = text(data.path)
    if (!path) return undefined
    const content = text(call.arguments.content)?.trim()
    const verb = data.replaced ? 'I replaced the note' : 'I saved the note'
    return `${verb} ${code(path)}${content ? `:\n\n${quote(cut(content, 600))}` : '. It is empty.'}`
  },
  time_now: (data) => {
    const [time, date, zone] = [text(data.time), text(data.date), text(data.timezone)]
    if (!time || !date || !zone) return undefined
    const offset = text(data.utc_offset)
    return `It is **${inline(time.slice(0, 5))}** on ${inline(text(data.weekday) ?? '')}, ${inline(longDate(date))} ` +
      `(${code(zone)}${offset && zone !== 'UTC' ? `, UTC${inline(offset)}` : ''}).`
  },
  math_evaluate: (data) => {
    if (typeof data.result !== 'number' && !/^-?\d+$/.test(text(data.result) ?? '')) return undefined
    const exact = !Number.isInteger(data.result) || Number.isSafeInteger(data.result)
    return `${code(text(data.expression) ?? '')} ${exact ? '=' : '≈'} **${data.result}**`
  },
  models_list: (data) => {
    const models = rows(data)
    if (!models) return undefined
    const lines = models.slice(0, 100).map((model) => {
      const [id, label, subtitle] = [text(model.runtime_id) ?? '', text(model.label), text(model.subtitle)]
      return `- ${code(id)}${label && label !== id ? ` ${inline(label)}` : ''}${
        subtitle ? `, ${inline(subtitle)}` : ''
      }`
    })
    const connected = models.some((model) => !text(model.runtime_id)?.startsWith('builtin'))
    const hint = connected ? '' : '\n\nNo language model is connected yet; say `connect a model` to learn how.'
    return lines.length > 0 ? `These models can answer:\n\n${lines.join('\n')}${hint}` : 'No model is connected.'
  },
}

const SEARCHES: Record<string, string> = { notes_search: 'notes', sessions_search: 'past conversations' }

const isSearch = (result: Result): boolean =>
  SEARCHES[nameOf(result)] !== undefined && rows(parsed(result.content)) !== undefined

/** Several searches as one answer: a heading for each that found something, a sentence for those that did not. */
function found(searches: Result[]): string {
  const query = text(searches[0]?.call.arguments.query) ?? ''
  const about = query === '' ? '' : ` for “${inline(query)}”`
  const parts: string[] = []
  const empty: string[] = []
  for (const search of searches) {
    const place = SEARCHES[nameOf(search)] ?? ''
    const hits = rows(parsed(search.content)) ?? []
    if (hits.length === 0) empty.push(place)
    else {
      const head = query === '' ? `Your latest ${place}:` : `In your ${place} I found${about}:`
      parts.push(`${head}\n\n${hits.slice(0, 50).map((hit) => hitLine(hit, query !== '')).join('\n')}`)
    }
  }
  if (parts.length === 0 && query === '') return `There is nothing in your ${empty.join(' and ')} yet.`
  if (empty.length > 0) parts.push(`I found nothing${about} in your ${empty.join(' and ')}.`)
  return parts.join('\n\n')
}

/** A note or a conversation: its title, where it is, and the words that were found. */
function hitLine(hit: Fields, quoted: boolean): string {
  const id = text(hit.path) ?? text(hit.session_id) ?? text(hit.id) ?? ''
  const title = text(hit.title) ?? text(hit.session_title) ?? id
  const line = typeof hit.line === 'number' ? ` line ${hit.line}` : ''
  const said = text(hit.at) ? `, ${inline(longDate(text(hit.at) ?? ''))}` : ''
  const head = `- **${inline(title)}**${id !== '' ? ` (${code(id)}${quoted ? line : ''})` : ''}${said}`
  const snippet = text(hit.snippet) ?? text(hit.passage) ?? text(hit.text)
  return quoted && snippet?.trim() ? `${head}\n${quote(cut(snippet.trim(), 500), '  ')}` : head
}

function failure({ call, content }: Result): string {
  const why = content.trim() === '' ? '' : `\n\n${quote(cut(content.trim(), 1000))}`
  const declined = /^(?:not allowed|nobody answered)|\b(?:declined|not approved)\b/i.test(content)
  return declined
    ? `I did not do that: ${code(call.name)} was not approved.${why}`
    : `That did not work: ${code(call.name)} failed.${why}`
}

function plainResult({ call, content }: Result): string {
  if (content.trim() === '') return `${code(call.name)} is done; it returned nothing.`
  const data = parsed(content)
  const shown = data ? JSON.stringify(data, null, 2) : content
  return `${code(call.name)} returned:\n\n${fence(cut(shown), data ? 'json' : '')}`
}

type Fields = Record<string, unknown>

const nameOf = (result: Result): string => result.call.name.replaceAll('.', '_')

const text = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined)

/** The objects in a result's first list, whatever it is called. */
function rows(data: Fields | undefined): Fields[] | undefined {
  const list = data && Object.values(data).find(Array.isArray)
  return list?.filter((row): row is Fields => typeof row === 'object' && row !== null)
}

/** A result as an object; a bare list becomes one with a single field. */
function parsed(content: string): Fields | undefined {
  try {
    const value: unknown = JSON.parse(content)
    if (Array.isArray(value)) return { items: value }
    return typeof value === 'object' && value !== null ? (value as Fields) : undefined
  } catch {
    return undefined
  }
}

function cut(content: string, most = MAX_SHOWN): string {
  if (content.length <= most) return content
  return `${content.slice(0, most)}\n… (${content.length - most} more characters)`
}

const MONTHS = 'January February March April May June July August September October November December'.split(' ')

function longDate(date: string): string {
  const [year, month, day] = date.slice(0, 10).split('-').map(Number)
  return `${day} ${MONTHS[(month ?? 0) - 1] ?? ''} ${year}`
}
