import { AppError } from '../errors.ts'

/** What the database said no to. `message` is SQLite's own; it names tables and columns, never values. */
export class SqlError extends Error {
  override name = 'SqlError'
  /** `SQLITE_CONSTRAINT`, `SQLITE_FULL`…, or with more detail behind it: `SQLITE_CONSTRAINT_UNIQUE`. */
  readonly code: string

  constructor(message: string, code: string, cause: unknown) {
    super(message, { cause })
    this.code = code
  }
}

/** An error of the native binding (which prints as an empty object) or of the remote client, as `SqlError`. */
export function sqlError(error: unknown): unknown {
  const { code, message } = (error ?? {}) as { code?: unknown; message?: unknown }
  if (error instanceof SqlError || typeof code !== 'string' || !code.startsWith('SQLITE_')) return error
  return new SqlError(String(message).replace(/^SQLITE_\w+: (SQLite error: )?/, ''), code, error)
}

/** Whether a write was refused because a value that must be unique is there already. */
export const isUniqueViolation = (error: unknown): boolean =>
  error instanceof SqlError && error.code.startsWith('SQLITE_CONSTRAINT') && /UNIQUE constraint/.test(error.message)

/** Whether another connection holds the database; the one that met it may be poisoned. */
export const isBusy = (error: unknown): boolean =>
  /^SQLITE_(BUSY|LOCKED)/.test(String((error as { code?: unknown } | undefined)?.code))

/** Codes of a disk or a file that can't be written now; nothing was wrong with what was written. */
const UNWRITABLE = /^SQLITE_(FULL|IOERR|READONLY|CANTOPEN|ABORT_ROLLBACK)/

/** What callers are told when a write failed for want of a working disk; undefined for every other error. */
export function unwritable(error: unknown): AppError | undefined {
  const found = error instanceof SqlError ? error : (error as { cause?: unknown } | undefined)?.cause
  if (!(found instanceof SqlError) || !UNWRITABLE.test(found.code)) return undefined
  const full = /^SQLITE_(FULL|ABORT_ROLLBACK)/.test(found.code)
  return new AppError(
    'unavailable',
    full
      ? 'Nothing was stored: the disk is full. Make room on it, then send this again'
      : `Nothing was stored: the database file cannot be written (${found.message}). Check its disk, then send this again`,
    { headers: { 'retry-after': '10' }, cause: found },
  )
}
