import { tokenOf } from '../http/browser.ts'
import { COOKIE } from './browser-sessions.ts'

/** What a request shows to be let in; `token` came in a header, `cookie` was added by a browser by itself. */
export type Credential = { kind: 'token' | 'cookie'; value: string }

/** Longer than any credential of ours; what is longer isn't even hashed. */
const LONGEST = 512

const COOKIE_VALUE = new RegExp(`(?:^|;\\s*)${COOKIE}=([^;]*)`)

/** The credential of a request: a token from any of its headers before a cookie. */
export function credentialOf(headers: Headers): Credential | undefined {
  const token = tokenOf(headers)
  if (token !== undefined) return { kind: 'token', value: token.slice(0, LONGEST) }
  const cookie = headers.get('cookie')
  const value = cookie && COOKIE_VALUE.exec(cookie)?.[1]
  return value ? { kind: 'cookie', value: value.slice(0, LONGEST) } : undefined
}
