/**
 * A command that could not be done, in words for the owner. The core waits after `not_connected`; tries again after
 * `rate_limited` and `platform_error`; gives up after `chat_not_found`, `message_not_found`, `unauthorized`, `forbidden`
 * and `invalid_request`; and knows `not_implemented`.
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
