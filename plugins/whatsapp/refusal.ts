import { PluginError } from '../sdk/errors.ts'

/** A failure as the Graph API and the webhook write it. */
export type GraphError = {
  code?: number | undefined
  title?: string | undefined
  message?: string | undefined
  error_subcode?: number | undefined
  error_data?: { details?: string | undefined } | undefined
}

type Meaning = { code: string; words?: string; retryAfterMs?: number }

const TOKEN = 'Meta refused the access token: make a new one for the system user, one that does not expire, and set it'
const PERMISSION = 'The access token may not do this: it needs whatsapp_business_messaging for this business account'
const AWAY = 'Nobody can be reached there on WhatsApp; a test number also has to know its recipients'
const CLOSED = 'The 24 hours window is closed: the person has to write again before a free text can be sent'
const LOCKED = 'Meta has restricted this account; see the WhatsApp Manager'

/** By number: https://developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes */
const MEANINGS: Record<number, Meaning> = {
  0: { code: 'unauthorized', words: TOKEN },
  190: { code: 'unauthorized', words: TOKEN },
  3: { code: 'unauthorized', words: PERMISSION },
  10: { code: 'unauthorized', words: PERMISSION },
  200: { code: 'unauthorized', words: PERMISSION },
  131005: { code: 'unauthorized', words: PERMISSION },
  33: { code: 'unauthorized', words: 'The phone number ID is unknown, or the access token may not use it' },
  368: { code: 'forbidden', words: LOCKED },
  131031: { code: 'forbidden', words: LOCKED },
  130497: { code: 'forbidden', words: 'This account may not write to people of that country' },
  131042: { code: 'forbidden', words: 'The account can not be billed; see its payment settings at Meta' },
  131047: { code: 'forbidden', words: CLOSED },
  131021: { code: 'chat_not_found', words: 'The number can not write to itself' },
  131026: { code: 'chat_not_found', words: AWAY },
  131030: { code: 'chat_not_found', words: AWAY },
  // A pair of numbers may speak once in six seconds, beyond a burst.
  131056: { code: 'rate_limited', retryAfterMs: 6000 },
  130429: { code: 'rate_limited', retryAfterMs: 5000 },
  4: { code: 'rate_limited', retryAfterMs: 60_000 },
  80007: { code: 'rate_limited', retryAfterMs: 60_000 },
  131048: { code: 'rate_limited', retryAfterMs: 60_000 },
  1: { code: 'platform_error' },
  2: { code: 'not_connected' },
  131000: { code: 'platform_error' },
  131016: { code: 'not_connected' },
  131057: { code: 'not_connected' },
}

/** What Meta refused, as the core knows refusals. `status` is that of HTTP, if it came so. */
export function refusal(error: GraphError, status = 0, retryAfterMs?: number): PluginError {
  const said = [error.title ?? error.message, error.error_data?.details].filter((part, i, all) =>
    part && all.indexOf(part) === i
  ).join(': ')
  const named = error.code === undefined ? said || `status ${status}` : `${said || 'no reason given'} (${error.code})`
  const { code, words, retryAfterMs: usual } = meaningOf(error, status)
  const wait = retryAfterMs ?? usual
  return new PluginError(code, words ? `${words} – ${named}` : named, {
    ...(wait === undefined ? {} : { retryAfterMs: wait }),
  })
}

function meaningOf({ code, error_subcode, message = '' }: GraphError, status: number): Meaning {
  // "Unsupported get request": the object is not there, or not ours.
  if (code === 100 && error_subcode === 33) return MEANINGS[33]!
  if (/appsecret_proof/i.test(message)) {
    return { code: 'unauthorized', words: 'The app secret is not that of the app that the access token is for' }
  }
  const known = code === undefined ? undefined : MEANINGS[code]
  if (known) return known
  if (code !== undefined && code > 200 && code < 300) return MEANINGS[200]!
  if (status === 401) return MEANINGS[190]!
  if (status === 429) return { code: 'rate_limited', retryAfterMs: 5000 }
  return { code: status >= 500 ? 'not_connected' : 'invalid_request' }
}
