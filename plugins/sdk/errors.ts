/**
 * A command that could not be done, in words for the owner. Well-known codes: `chat_not_found`, `message_not_found`,
 * `rate_limited`, `unauthorized`, `platform_error`, `invalid_request`, `not_connected`.
 */
export class PluginError extends Error {
  readonly code: string
  /** When the platform will take it, in milliseconds from now. */
  readonly retryAfterMs: number | undefined

  constructor(code: string, message: string, options: { retryAfterMs?: number; cause?: unknown } = {}) {
    super(message, { cause: options.cause })
    this.code = code
    this.retryAfterMs = options.retryAfterMs
  }
}

/** What is told to the core about any failure. */
export function describeError(error: unknown): { code: string; message: string; retry_after_ms?: number } {
  const message = error instanceof Error ? error.message : String(error)
  if (!(error instanceof PluginError)) return { code: 'platform_error', message }
  return {
    code: error.code,
    message,
    ...(error.retryAfterMs === undefined ? {} : { retry_after_ms: Math.max(0, Math.round(error.retryAfterMs)) }),
  }
}
