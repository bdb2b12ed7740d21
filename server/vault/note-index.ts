import type { NoteRow } from '../../shared/vault.ts'
import { AppError } from '../errors.ts'
import type { FileRow, VaultFiles } from './files.ts'
import { looseFrontmatter, splitNote, tagsOf, textsOf } from './frontmatter.ts'
import { stemOf } from './paths.ts'

/** A note as the search sees it. `folded` is in lower case and without accents. */
export type IndexedNote = FileRow & {
  title: string
  aliases: string[]
  tags: string[]
  type: string | null
  /** The text below the frontmatter, and how many lines stand above it. */
  text: string
  offset: number
  folded: { title: string; names: string; tags: string[]; headings: string; text: string }
}

/** Characters of text kept in memory; notes beyond are read again for each search. */
const KEPT = 32 * 1024 * 1024

/** Gives all notes as they are on the disk now, reading only files whose time or size changed. */
export function createNoteIndex(files: VaultFiles): { notes(): Promise<IndexedNote[]> } {
  let known = new Map<string, IndexedNote>()
  let running: Promise<IndexedNote[]> | undefined

  const refresh = async (): Promise<IndexedNote[]> => {
    const next = new Map<string, IndexedNote>()
    const notes: IndexedNote[] = []
    let kept = 0
    for (const batch of inBatches(await files.list(), 32)) {
      for (const note of await Promise.all(batch.map((row) => current(known.get(row.path), row, files)))) {
        if (!note) continue
        notes.push(note)
        kept += note.text.length
        if (kept <= KEPT) next.set(note.path, note)
      }
    }
    known = next
    return notes
  }

  return {
    // Searches that come together share one walk.
    notes: () => (running ??= refresh().finally(() => (running = undefined))),
  }
}

/** The row that lists and searches show. */
export const rowOf = (note: IndexedNote): NoteRow => ({
  path: note.path,
  title: note.title,
  tags: note.tags,
  type: note.type,
  modified: Math.floor(note.modified_ms / 1000),
  size: note.size,
})

/** Title, aliases, tags and type of a note's text. */
export function describe(path: string, content: string) {
  const { yaml, body, offset } = splitNote(content)
  const front = looseFrontmatter(yaml ?? '')
  const heading = /^#[ \t]+(\S.*)$/m.exec(body.slice(0, 2000))?.[1]?.trim()
  return {
    title: textsOf(front.title)[0] ?? heading ?? stemOf(path),
    aliases: textsOf(front.aliases ?? front.alias),
    tags: [...new Set([...tagsOf(front.tags ?? front.tag), ...inlineTags(body)])],
    type: textsOf(front.type)[0] ?? null,
    body,
    offset,
  }
}

/** Lower case, without accents; keeps line breaks, so that lines can be compared by number. */
export const fold = (text: string): string => text.normalize('NFKD').replace(/\p{M}/gu, '').toLowerCase()

async function current(known: IndexedNote | undefined, row: FileRow, files: VaultFiles) {
  if (known && known.modified_ms === row.modified_ms && known.size === row.size) return known
  try {
    const { content } = await files.read(row.path)
    return indexed(row, content)
  } catch (error) {
    // Gone since the walk, or a name or size that we do not serve: it is no note for us.
    if (error instanceof AppError) return undefined
    throw error
  }
}

function indexed(row: FileRow, content: string): IndexedNote {
  const { title, aliases, tags, type, body, offset } = describe(row.path, content)
  const headings = [...body.matchAll(/^#{1,6}[ \t]+(\S.*)$/gm)].map((match) => match[1] ?? '')
  return {
    ...row,
    title,
    aliases,
    tags,
    type,
    text: body,
    offset,
    folded: {
      title: fold(title),
      names: fold([row.path, ...aliases].join('\n')),
      tags: tags.map(fold),
      headings: fold(headings.join('\n')),
      text: fold(body),
    },
  }
}

/** `#tags` in the text: not in code, not numbers alone (spec conventions §4.6). */
function inlineTags(body: string): string[] {
  if (!body.includes('#')) return []
  const prose = body.replace(/^(```|~~~)[\s\S]*?^\1/gm, '').replace(/`[^`\n]*`/g, '')
  return [...prose.matchAll(/(?<=^|\s)#([\p{L}\p{N}_/-]+)/gmu)]
    .map((match) => match[1] ?? '')
    .filter((tag) => !/^[\d/_-]+$/.test(tag))
}

function* inBatches<T>(items: T[], size: number): Iterable<T[]> {
  for (let at = 0; at < items.length; at += size) yield items.slice(at, at + size)
}
