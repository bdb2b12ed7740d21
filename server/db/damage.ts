import { DatabaseRefused } from './migrate.ts'
import { SqlError } from './sql-error.ts'

/** What a person is told whose database file can't be read as one; undefined for every other error. */
export function damageOf(error: unknown, url: string): DatabaseRefused | undefined {
  if (!(error instanceof SqlError) || !/^SQLITE_(NOTADB|CORRUPT)/.test(error.code)) return undefined
  const what = error.code.startsWith('SQLITE_NOTADB') ? 'is not a database' : 'is damaged'
  return new DatabaseRefused(
    `${url} ${what} (${error.message}). Nothing was changed. Move the file away and put a backup in its place, or ` +
      'start with another home folder.',
    { cause: error },
  )
}
