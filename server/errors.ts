/** Codes of errors that the caller can act on, and the HTTP status that each becomes (RFC 9110). */
const STATUS = {
  bad_request: 400,
  invalid_input: 400,
  unauthorized: 401,
  forbidden: 403,
  not_found: 404,
  method_not_allowed: 405,
  timeout: 408,
  conflict: 409,
  gone: 410,
  precondition_failed: 412,
  too_large: 413,
  unsupported_media_type: 415,
  misdirected: 421,
  unprocessable: 422,
  upgrade_required: 426,
  rate_limited: 429,
  internal: 500,
  bad_gateway: 502,
  unavailable: 503,
  upstream_timeout: 504,
} as const

export type ErrorCode = keyof typeof STATUS

/** One field that was refused: an RFC 6901 pointer into the input, and what to change. */
export type FieldError = { pointer: string; message: string }

/**
 * An error whose message is meant for the caller: what happened, and what to do about it.
 * `http/on-error.ts` turns it into `application/problem+json`; anything else that is thrown is a bug and answers 500.
 */
export class AppError extends Error {
  readonly code: ErrorCode
  readonly status: (typeof STATUS)[ErrorCode]
  /** Refused fields, for forms. */
  readonly errors: FieldError[]
  /** Extra response headers, such as `retry-after` in seconds. */
  readonly headers: Record<string, string>

  constructor(
    code: ErrorCode,
    message: string,
    more: { errors?: FieldError[]; headers?: Record<string, string>; cause?: unknown } = {},
  ) {
    super(message, { cause: more.cause })
    this.name = 'AppError'
    this.code = code
    this.status = STATUS[code]
    this.errors = more.errors ?? []
    this.headers = more.headers ?? {}
  }
}

export const notFound = (what: string, id: string): AppError => new AppError('not_found', `${what} ${id} was not found`)

/** A single refused field of the input; `field` is a dotted path such as `attachments.0.kind`. */
export const invalid = (field: string, message: string): AppError =>
  new AppError('invalid_input', `${field}: ${message}`, {
    errors: [{ pointer: `/${field.replaceAll('.', '/')}`, message }],
  })
