import { ApiError } from './api/client.ts'

/** An error in words for the person at the page. */
export type Explanation = {
  what: string
  /** What to do about it. */
  mend?: string
  /** Refused fields by their dotted name; forms show them at the field. */
  fields: { name: string; message: string }[]
  /** Only where the log has more to say. */
  requestId?: string
}

const MENDS: Record<string, string> = {
  network: 'Check that Gatehouse is running and that this device is online, then try again.',
  timeout: 'It may be busy. Try again in a moment.',
  precondition_failed: 'Somebody changed it meanwhile. Load it again, then repeat your change.',
  rate_limited: 'Wait a moment, then try again.',
  internal: 'Search the Logs page for the request id.',
}

/** The one translator from whatever was thrown to words. */
export function explain(error: unknown): Explanation {
  if (!(error instanceof ApiError)) {
    return { what: error instanceof Error ? error.message : String(error), fields: [] }
  }
  const wait = error.retryAfter ? `Try again in ${error.retryAfter} s.` : undefined
  const fields = error.errors.map(({ pointer, message }) => ({ name: pointer.slice(1).replaceAll('/', '.'), message }))
  // One refused field is already named in the message.
  const shown = fields.length > 1 ? fields : []
  const requestId = error.status >= 500 ? error.requestId : undefined
  return { what: error.message, mend: wait ?? MENDS[error.code], fields: shown, requestId }
}

/** What is wrong with one field (dotted name) of a refused form. */
export function fieldError(error: unknown, name: string): string | undefined {
  if (!(error instanceof ApiError)) return undefined
  return error.errors.find(({ pointer }) => pointer === `/${name.replaceAll('.', '/')}`)?.message
}
