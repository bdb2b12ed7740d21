import { DiscordAPIError, HTTPError, RateLimitError } from '@discordjs/rest'
import { PluginError } from '../sdk/errors.ts'

/** Waited for within one command; a longer wait is the core's, which knows what else there is to send. */
export const PATIENCE_MS = 2000

/** `RESTJSONErrorCodes` of Discord. */
const UNKNOWN_CHANNEL = 10003
const UNKNOWN_MESSAGE = 10008
const TOO_LARGE = 40005

export const isRefusedToken = (error: unknown): boolean => error instanceof DiscordAPIError && error.status === 401

/** The words of a failure, without the address of the request: that of an answered button holds its token. */
export function plain(error: unknown): string {
  if (error instanceof DiscordAPIError || error instanceof PluginError) return error.message
  if (error instanceof RateLimitError) return `Discord takes no more for ${Math.ceil(error.retryAfter / 1000)} s`
  if (error instanceof HTTPError) return `Discord answered with ${error.status}`
  if (error instanceof Error && error.name === 'AbortError') return 'Discord did not answer in time'
  return "Discord can't be reached"
}

/** A failed request, as the core is to take it. */
export function refusal(error: unknown): PluginError {
  if (error instanceof PluginError) return error
  const words = plain(error)
  if (error instanceof RateLimitError) {
    return new PluginError('rate_limited', words, { retryAfterMs: error.retryAfter })
  }
  return new PluginError(error instanceof DiscordAPIError ? codeOf(error) : 'not_connected', words)
}

function codeOf({ status, code }: DiscordAPIError): string {
  if (status === 401) return 'unauthorized'
  if (code === UNKNOWN_MESSAGE) return 'message_not_found'
  if (status === 404 || code === UNKNOWN_CHANNEL) return 'chat_not_found'
  if (status === 403) return 'forbidden'
  if (status === 413 || code === TOO_LARGE) return 'too_large'
  return 'invalid_request'
}
