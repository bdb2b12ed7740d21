import { fold, type IndexedNote } from './note-index.ts'

/** Where a note matched, and how well. */
export type Match = { note: IndexedNote; score: number; line: number; heading: string | null; snippet: string }

const MAX_TERMS = 12
const SNIPPET = 300

/**
 * The notes that match, best first. Words are wanted all; only when no note has them all, as many as there are.
 * `"in quotes"` is one phrase, `#tag` a tag. Without a word the notes come by date, newest first.
 */
export function searchNotes(notes: IndexedNote[], query: string, limit: number): Match[] {
  const terms = termsOf(query)
  if (terms.length === 0) {
    const recent = [...notes].sort((a, b) => b.modified_ms - a.modified_ms || (a.path < b.path ? -1 : 1))
    return recent.slice(0, limit).map((note) => ({ note, score: 0, ...placeOf(note, []) }))
  }
  const scored = notes.map((note) => ({ note, ...score(note, terms) })).filter((row) => row.hits > 0)
  const most = scored.reduce((best, row) => Math.max(best, row.hits), 0)
  return scored
    .filter((row) => row.hits === most)
    .sort((a, b) => b.score - a.score || b.note.modified_ms - a.note.modified_ms)
    .slice(0, limit)
    .map(({ note, score }) => ({ note, score, ...placeOf(note, terms) }))
}

type Term = { text: string; tag: boolean }

function termsOf(query: string): Term[] {
  const terms: Term[] = []
  for (const match of fold(query).matchAll(/"([^"]+)"|#([\p{L}\p{N}_/-]+)|([\p{L}\p{N}_][\p{L}\p{N}_'’.@-]*)/gu)) {
    const [, phrase, tag, word] = match
    if (tag) terms.push({ text: tag, tag: true })
    else if (phrase?.trim()) terms.push({ text: phrase.trim(), tag: false })
    else if (word) terms.push({ text: stem(word), tag: false })
  }
  return terms.slice(0, MAX_TERMS)
}

/** Without a possessive, a plural or a full stop, so that "dentists" finds "dentist" and the other way round. */
function stem(word: string): string {
  const bare = word.replace(/['’]s$/, '').replace(/[.'’-]+$/, '')
  return bare.length > 3 && /[^s]s$/.test(bare) ? bare.slice(0, -1) : bare
}

function score(note: IndexedNote, terms: Term[]): { hits: number; score: number } {
  let hits = 0
  let total = 0
  for (const term of terms) {
    const value = term.tag ? tagScore(note, term.text) : textScore(note, term.text)
    if (value > 0) hits++
    total += value
  }
  return { hits, score: total }
}

const tagScore = (note: IndexedNote, tag: string): number =>
  note.folded.tags.some((own) => own === tag || own.startsWith(`${tag}/`)) ? 10 : 0

function textScore(note: IndexedNote, term: string): number {
  const { title, names, tags, headings, text } = note.folded
  let value = title === term ? 20 : 0
  value += 10 * occurrences(title, term, 1)
  value += 6 * occurrences(names, term, 1)
  value += tags.some((tag) => tag.includes(term)) ? 5 : 0
  value += 4 * occurrences(headings, term, 2)
  return value + occurrences(text, term, 5)
}

const LETTER = /[\p{L}\p{N}]/u

/** How often `term` is there, up to `most`; inside of a word it counts a quarter ("art" in "start"). */
function occurrences(text: string, term: string, most: number): number {
  let found = 0
  let within = 0
  for (let at = text.indexOf(term); at !== -1 && found < most; at = text.indexOf(term, at + term.length)) {
    if (at === 0 || !LETTER.test(text[at - 1] ?? '')) found++
    else if (++within >= most) break
  }
  return Math.max(found, within / 4)
}

/** The line that has the most of the terms, with what follows it in the same paragraph. */
function placeOf(note: IndexedNote, terms: Term[]): { line: number; heading: string | null; snippet: string } {
  const lines = note.text.split('\n')
  const words = terms.filter((term) => !term.tag).map((term) => term.text)
  const folded = words.length > 0 ? note.folded.text.split('\n') : []
  let best = -1
  let most = 0
  folded.forEach((line, at) => {
    const count = words.filter((word) => line.includes(word)).length
    // A heading only tells what the lines below it are about.
    const value = count === 0 ? 0 : count * 2 - (line.startsWith('#') ? 1 : 0)
    if (value > most) [best, most] = [at, value]
  })
  if (best === -1) best = Math.max(0, lines.findIndex((line) => line.trim() !== '' && !line.startsWith('#')))
  return {
    line: best + 1 + note.offset,
    heading: headingAbove(lines, best),
    snippet: snippetAt(lines, folded, best, words),
  }
}

function snippetAt(lines: string[], folded: string[], at: number, words: string[]): string {
  const line = lines[at]?.trim() ?? ''
  if (line.length > SNIPPET) {
    const places = words.map((word) => folded[at]?.indexOf(word) ?? -1).filter((place) => place >= 0)
    return cut(line, places.length > 0 ? Math.min(...places) : 0)
  }
  const taken = [line]
  for (let next = at + 1; next < lines.length && taken.length < 4; next++) {
    const more = lines[next]?.trim() ?? ''
    // An empty line ends the paragraph, but not right below a heading.
    if (more === '' && taken.length === 1 && line.startsWith('#')) continue
    if (more === '' || more.startsWith('#') || taken.join('\n').length + more.length > SNIPPET) break
    taken.push(more)
  }
  return taken.join('\n')
}

function cut(line: string, place: number): string {
  const start = Math.max(0, Math.min(place - 80, line.length - SNIPPET))
  const piece = line.slice(start, start + SNIPPET)
  const whole = piece.replace(start > 0 ? /^\S*\s/ : /^/, '').replace(
    start + SNIPPET < line.length ? /\s\S*$/ : /$/,
    '',
  )
  return `${start > 0 ? '…' : ''}${whole}${start + SNIPPET < line.length ? '…' : ''}`
}

function headingAbove(lines: string[], at: number): string | null {
  for (let line = at - 1; line >= 0; line--) {
    const match = /^#{1,6}\s+(.+)$/.exec(lines[line] ?? '')
    if (match) return (match[1] ?? '').trim()
  }
  return null
}
