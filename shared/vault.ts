import * as v from 'valibot'

/** One note as a list shows it (spec openagent-api §4). */
export type NoteRow = {
  /** Relative to the vault, with `/` and `.md`. */
  path: string
  title: string
  tags: string[]
  type: string | null
  /** Epoch seconds. */
  modified: number
  /** Bytes. */
  size: number
}

/** A note found by a search, with the place that matched best. */
export type NoteHit = NoteRow & {
  /** A few lines around the match, as they stand in the note. */
  snippet: string
  /** Line of the snippet in the file, from 1. */
  line: number
  /** The heading above the match, when there is one. */
  heading: string | null
}

/** A whole note. */
export type Note = NoteRow & {
  /** The file's text as it is on disk. */
  content: string
  frontmatter: Record<string, unknown>
  /** The text below the frontmatter. */
  body: string
  /** SHA-256 of the file in hexadecimal; sent back to replace it. */
  hash: string
}

/** What a search takes; an empty query lists the most recently changed notes. */
export const SearchNotesInput = v.strictObject({
  query: v.optional(
    v.pipe(v.string('must be text'), v.maxLength(500, 'must have at most 500 characters')),
    '',
  ),
  limit: v.optional(
    v.pipe(
      v.number('must be a number'),
      v.integer('must be a whole number'),
      v.minValue(1, 'must be at least 1'),
      v.maxValue(50, 'must be at most 50'),
    ),
    10,
  ),
})
export type SearchNotesInput = v.InferInput<typeof SearchNotesInput>

/** Largest text of one note, in characters. */
export const MAX_NOTE = 1_000_000

const NoteText = v.pipe(v.string('must be text'), v.maxLength(MAX_NOTE, `is longer than ${MAX_NOTE} characters`))

/** A new note by title or path, or the next text of one whose `hash` was read before. */
export const CreateNoteInput = v.pipe(
  v.strictObject({
    title: v.optional(
      v.pipe(
        v.string('must be text'),
        v.trim(),
        v.minLength(1, 'must not be empty'),
        v.maxLength(200, 'must have at most 200 characters'),
      ),
    ),
    path: v.optional(v.pipe(v.string('must be text'), v.trim(), v.maxLength(1000))),
    content: v.optional(NoteText, ''),
    tags: v.optional(
      v.pipe(v.array(v.pipe(v.string(), v.trim(), v.minLength(1), v.maxLength(100))), v.maxLength(50)),
      [],
    ),
    hash: v.optional(v.pipe(v.string('must be text'), v.regex(/^[0-9a-f]{64}$/, 'must be the hash of a note'))),
  }),
  v.check((input) => input.title !== undefined || input.path !== undefined, 'give a title or a path'),
)
export type CreateNoteInput = v.InferInput<typeof CreateNoteInput>
