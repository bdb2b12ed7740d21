import { GrammyError, HttpError } from 'grammy/web'
import { PluginError } from '../sdk/errors.ts'

/** Whether Telegram does not know the token. */
export const isRefused = (error: unknown): boolean =>
  error instanceof GrammyError && (error.error_code === 401 || error.error_code === 404)

/** When Telegram will take it, in milliseconds from now. */
export const retryAfter = (error: unknown): number | undefined => {
  const seconds = error instanceof GrammyError ? error.parameters.retry_after : undefined
  return seconds === undefined ? undefined : seconds * 1000
}

/** grammY's own message of a failed request has the address in it, and so the token. */
export const plain = (error: unknown): string =>
  error instanceof GrammyError
    ? error.description
    : error instanceof HttpError
    ? "Telegram can't be reached"
    : error instanceof Error && error.name === 'TypeError'
    ? 'the connection failed'
    : error instanceof Error
    ? error.message
    : String(error)

/** What Telegram refused, as the core knows refusals. */
export function refusal(error: unknown): PluginError {
  if (error instanceof PluginError) return error
  if (!(error instanceof GrammyError)) return new PluginError('not_connected', plain(error))
  const { error_code: status, description } = error
  if (status === 429) return new PluginError('rate_limited', description, { retryAfterMs: retryAfter(error) ?? 5000 })
  if (status === 401) return new PluginError('unauthorized', description)
  if (status === 403 || /chat not found|user is deactivated/i.test(description)) {
    return new PluginError('chat_not_found', description)
  }
  if (/message (to \w+ )?not found|can't be (edited|deleted)/i.test(description)) {
    return new PluginError('message_not_found', description)
  }
  return new PluginError(status >= 500 ? 'not_connected' : 'invalid_request', description)
}
