import * as v from 'valibot'
import { CreateNoteInput, type Note, type NoteHit, type NoteRow } from '../../shared/vault.ts'
import { type Caller, demand } from '../auth/principal.ts'
import type { Bus } from '../bus/bus.ts'
import { AppError } from '../errors.ts'
import type { Log } from '../system/log.ts'
import { createVaultFiles } from './files.ts'
import { newFrontmatter, splitNote, strictFrontmatter } from './frontmatter.ts'
import { createNoteIndex, describe, fold, type IndexedNote, rowOf } from './note-index.ts'
import { notePath, pathOfTitle, stemOf } from './paths.ts'
import { searchNotes } from './search.ts'

/** The notes: a folder of Markdown files that people also edit with other programs (design §3). */
export type Vault = {
  list(): Promise<NoteRow[]>
  /** By path, or by title, alias or file name. Throws `not_found` and names notes that come near. */
  read(note: string): Promise<Note>
  /** Best match first; an empty query gives the notes that changed last. */
  search(query: string, limit?: number): Promise<NoteHit[]>
  /** Makes a note, or replaces the one whose `hash` is given. Throws `conflict` instead of overwriting. */
  create(caller: Caller, input: CreateNoteInput): Promise<Note>
}

export function createVault({ root, log, bus, now = () => new Date() }: {
  /** Folder of the notes; made with the first one. */
  root: string
  log: Log
  bus: Bus
  now?: () => Date
}): Vault {
  const files = createVaultFiles(root)
  const index = createNoteIndex(files)

  const open = async (path: string): Promise<Note> => {
    const file = await files.read(path)
    const { yaml, body } = splitNote(file.content)
    const { title, tags, type } = describe(file.path, file.content)
    return {
      path: file.path,
      title,
      tags,
      type,
      modified: Math.floor(file.modified_ms / 1000),
      size: file.size,
      content: file.content,
      frontmatter: yaml === null ? {} : await strictFrontmatter(yaml),
      body,
      hash: file.hash,
    }
  }

  return {
    list: async () => (await index.notes()).map(rowOf),

    read: async (name) => open(resolveNote(await index.notes(), name)),

    search: async (query, limit = 10) =>
      searchNotes(await index.notes(), query, limit).map(({ note, line, heading, snippet }) => ({
        ...rowOf(note),
        line,
        heading,
        snippet,
      })),

    create: async (caller, given) => {
      demand(caller, 'chat')
      const input = v.parse(CreateNoteInput, given)
      const path = input.path === undefined ? pathOfTitle(input.title ?? '') : notePath(input.path)
      if (input.hash === undefined) {
        // On phones and Windows, `Plan.md` and `plan.md` are one file.
        const same = (await index.notes()).find((note) => note.path.toLowerCase() === path.toLowerCase())
        if (same) throw taken(same.path)
        await files.create(path, withHead(input.content, input.title ?? stemOf(path), input.tags, now()))
      } else await files.replace(path, input.content, input.hash)
      const action = input.hash === undefined ? 'created' : 'updated'
      log.info(`vault.note_${action}`, `A note was ${action}`, { path, by: caller.id })
      bus.publish({ type: 'resource', resource: 'vault', action, id: path })
      return open(path)
    },
  }
}

/** The path of the note that a person or a model means. */
function resolveNote(notes: IndexedNote[], name: string): string {
  const wanted = name.trim().replace(/^\[\[|\]\]$/g, '').replace(/^\.?\//, '').replace(/[#|].*$/, '').trim()
  const key = fold(wanted)
  const keyWithout = key.replace(/\.md$/, '')
  const tests: ((note: IndexedNote) => boolean)[] = [
    (note) => note.path === wanted || note.path === `${wanted}.md`,
    (note) => fold(note.path).replace(/\.md$/, '') === keyWithout,
    (note) => fold(stemOf(note.path)) === keyWithout || note.folded.title === key,
    (note) => note.aliases.some((alias) => fold(alias) === key),
  ]
  for (const test of tests) {
    const found = notes.filter(test).sort((a, b) => a.path.length - b.path.length || (a.path < b.path ? -1 : 1))[0]
    if (found) return found.path
  }
  // A path that could not exist deserves its own message.
  if (wanted.includes('/')) notePath(wanted)
  const near = searchNotes(notes, wanted.replace(/["#]/g, ' '), 3).map((match) => match.note.path)
  throw new AppError(
    'not_found',
    `There is no note "${wanted.slice(0, 200)}"` + (near.length > 0 ? `; these come near: ${near.join(', ')}` : ''),
  )
}

/** `content` with a head of its own when it has none, so that every new note has a title and a date. */
const withHead = (content: string, title: string, tags: string[], at: Date): string => {
  const text = content === '' || content.endsWith('\n') ? content : `${content}\n`
  return splitNote(text).yaml === null ? newFrontmatter(title, tags, at.toISOString().slice(0, 10)) + text : text
}

const taken = (path: string): AppError =>
  new AppError('conflict', `There already is a note ${path}; choose another title, or read it and send its hash`)
