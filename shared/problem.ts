/** The body of every error under `/api` (RFC 9457); `error` repeats `detail` for older clients. */
export type Problem = {
  type: string
  title: string
  status: number
  detail: string
  code: string
  error: string
  requestId: string
  retryable: boolean
  /** Refused fields of the input, by RFC 6901 pointer. */
  errors?: { pointer: string; message: string }[]
}
