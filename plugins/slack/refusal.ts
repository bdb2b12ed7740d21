import { PluginError } from '../sdk/errors.ts'

/** Slack answered, and said no. Anything else that fails leaves open whether something was done. */
export class SlackRefusal extends PluginError {
  /** As Slack names it, such as `channel_not_found`. */
  readonly error: string

  constructor(code: string, message: string, error: string, retryAfterMs?: number) {
    super(code, message, retryAfterMs === undefined ? {} : { retryAfterMs })
    this.error = error
  }
}

/** The answer of a failed call. */
export type Problem = {
  error?: string
  /** Scope that is missing. */
  needed?: string
  response_metadata?: { messages?: string[] }
}

const TOKEN_ERRORS = new Set([
  'invalid_auth',
  'not_authed',
  'account_inactive',
  'token_revoked',
  'token_expired',
  'not_allowed_token_type',
  'app_uninstalled',
])

/** What the core is told of Slack's errors, and what the owner can do. */
const KNOWN: Record<string, [code: string, words: string]> = {
  not_in_channel: ['forbidden', 'The bot is not in this channel; write /invite and its @name there'],
  channel_not_found: ['chat_not_found', 'There is no such channel, or it is private and the bot is not in it'],
  user_not_found: ['chat_not_found', 'There is no such person'],
  is_archived: ['chat_not_found', 'The channel is archived'],
  thread_not_found: ['chat_not_found', 'The thread is gone'],
  message_not_found: ['message_not_found', 'The message is gone'],
  cant_update_message: ['message_not_found', 'The message is not one of the bot'],
  cant_delete_message: ['message_not_found', 'The message is not one of the bot'],
  edit_window_closed: ['message_not_found', 'The workspace does not let messages be edited any more after this time'],
  msg_too_long: ['invalid_request', 'The message is too long for Slack'],
  msg_blocks_too_long: ['invalid_request', 'The message is too long for Slack'],
  file_uploads_disabled: ['forbidden', 'The workspace takes no files'],
  restricted_action: ['forbidden', 'The workspace does not let the bot write here'],
  ekm_access_denied: ['forbidden', 'The workspace does not let the bot write here'],
  cannot_dm_bot: ['forbidden', 'A bot can not write to another bot'],
  forbidden_team: ['forbidden', 'The workspace does not let this app connect'],
  internal_error: ['platform_error', 'Slack has trouble'],
  fatal_error: ['platform_error', 'Slack has trouble'],
  service_unavailable: ['not_connected', 'Slack has trouble'],
  team_added_to_org: ['not_connected', 'The workspace is being moved by Slack'],
}

/** A failed call, as the core is to take it; `token` says which one was used, as in "bot token". */
export function refusalOf(problem: Problem, token: string, retryAfterMs?: number): SlackRefusal {
  const error = problem.error ?? 'unknown_error'
  if (error === 'ratelimited' || error === 'rate_limited') {
    const words = `Slack takes no more for ${Math.ceil((retryAfterMs ?? 1000) / 1000)} s`
    return new SlackRefusal('rate_limited', words, 'ratelimited', retryAfterMs)
  }
  if (TOKEN_ERRORS.has(error)) {
    const words = `Slack refused the ${token} (${error}); copy it once more from api.slack.com/apps`
    return new SlackRefusal('unauthorized', words, error)
  }
  if (error === 'missing_scope') {
    const scope = problem.needed ?? 'another scope'
    const words = `The ${token} may not do this: give the app the scope ${scope}, install it again, and copy the token`
    return new SlackRefusal('forbidden', words, error)
  }
  if (error.startsWith('restricted_action')) return new SlackRefusal(...KNOWN.restricted_action!, error)
  const [code, words] = Object.hasOwn(KNOWN, error) ? KNOWN[error]! : ['invalid_request', 'Slack refused it']
  const details = problem.response_metadata?.messages?.join('; ').slice(0, 300)
  return new SlackRefusal(code, `${words} (${[error, details].filter(Boolean).join(': ')})`, error)
}
