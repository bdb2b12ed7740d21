/** One entry of the server's log, as `GET /api/logs` returns it. */
export type LogEntry = {
  /** Epoch seconds. */
  ts: number
  level: 'debug' | 'info' | 'warn' | 'error'
  /** Dotted, so that a prefix selects a feature: `turn.failed`. */
  event: string
  message: string
  [field: string]: unknown
}

/** Writes structured entries; implementations redact secrets and never throw. */
export type Log = {
  debug(event: string, message: string, fields?: Record<string, unknown>): void
  info(event: string, message: string, fields?: Record<string, unknown>): void
  warn(event: string, message: string, fields?: Record<string, unknown>): void
  error(event: string, message: string, fields?: Record<string, unknown>): void
}
