import { type RawBuilder, sql } from 'kysely'
import { invalid } from '../errors.ts'

/** The place in a list that is ordered by when somebody was last seen: the last entry of the page before. */
export type SeenCursor = { seen: number; channel: string; id: string }

/** What a client sends back to read on. */
export const cursorOf = ({ seen, channel, id }: SeenCursor): string =>
  Buffer.from(JSON.stringify([seen, channel, id])).toString('base64url')

/** Throws `invalid_input` for what no list gave. */
export function parseCursor(text: string): SeenCursor {
  try {
    const [seen, channel, id] = JSON.parse(Buffer.from(text, 'base64url').toString()) as unknown[]
    if (Number.isSafeInteger(seen) && typeof channel === 'string' && typeof id === 'string') {
      return { seen: seen as number, channel, id }
    }
  } catch { /* No JSON: the same answer. */ }
  throw invalid('cursor', 'is not one that this list gave')
}

/** A page of rows, of which there is one more where the list goes on. */
export function pageOf<Row, Entry>(rows: readonly Row[], limit: number, of: {
  entry: (row: Row) => Entry
  cursor: (row: Row) => string
}): { entries: Entry[]; nextCursor: string | null } {
  const shown = rows.slice(0, limit)
  return { entries: shown.map(of.entry), nextCursor: rows.length > limit ? of.cursor(shown.at(-1)!) : null }
}

/** Whether one of these holds the words, whatever their case; nothing in them is a wildcard. */
export function holds(words: string, ...columns: (string | RawBuilder<unknown>)[]): RawBuilder<boolean> {
  const pattern = `%${words.replace(/[\\%_]/g, (sign) => `\\${sign}`)}%`
  const each = columns.map((column) =>
    sql`${typeof column === 'string' ? sql.ref(column) : column} like ${pattern} escape '\\'`
  )
  return sql<boolean>`(${sql.join(each, sql` or `)})`
}
