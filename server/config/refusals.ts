import type { ConfigProblem } from '../../shared/config.ts'
import { AppError } from '../errors.ts'
import { demandMatch, etagOf } from '../http/etag.ts'
import type { Log } from '../system/log.ts'

/** Throws `precondition_failed` when the client's `If-Match` is not of the text that is on disk. */
export function checkMatch(ifMatch: string | undefined, disk: string | undefined): void {
  // `*` asks that there be a file at all.
  const asked = disk === undefined && ifMatch?.trim() === '*' ? '' : ifMatch
  demandMatch(asked, etagOf(disk ?? ''), 'gatehouse.yaml')
}

/** Another program saved between our reading and our writing. */
export const changedMeanwhile = (): AppError =>
  new AppError('conflict', 'gatehouse.yaml was changed by another program in this very moment. Try again.')

/** A section can't be changed in a text that can't be read. */
export const brokenFile = (): AppError =>
  new AppError(
    'conflict',
    "gatehouse.yaml can't be read, so one section of it can't be changed. Mend the line that /api/config/effective " +
      'names, or replace the whole file.',
  )

/** The problems of a text as fields, each with where it stands. */
export function refusal(problems: ConfigProblem[]): AppError {
  const errors = problems.filter(({ severity }) => severity === 'error').map(({ path, message, line, column }) => ({
    pointer: path ? `/${path.replaceAll('.', '/')}` : '',
    message: path || line === null ? message : `line ${line}, column ${column}: ${message}`,
  }))
  const first = errors[0]
  const field = first?.pointer.slice(1).replaceAll('/', '.')
  return new AppError(
    'invalid_input',
    `${field ? `${field}: ` : ''}${first?.message ?? 'The configuration has an error'}`,
    {
      errors,
    },
  )
}

/** Tells the log of what is wrong. */
export function report(log: Log, problems: ConfigProblem[]): void {
  for (const { severity, message, path, origin, line, column } of problems) {
    const where = line === null ? '' : ` (gatehouse.yaml, line ${line}, column ${column})`
    const write = severity === 'error' ? log.error : log.warn
    write(`config.${severity}`, `${path && origin === 'file' ? `${path}: ` : ''}${message}${where}`, {
      path,
      origin,
      line,
      column,
    })
  }
}

/** What the file system said, for a person: a read-only mount, a full disk. */
export function unwritable(error: unknown): unknown {
  const { code } = error as NodeJS.ErrnoException
  if (!['EACCES', 'EPERM', 'EROFS', 'ENOSPC', 'EDQUOT'].includes(code ?? '')) return error
  return new AppError('unavailable', `gatehouse.yaml can't be written (${code}). Make it writable, or make room.`, {
    cause: error,
  })
}
