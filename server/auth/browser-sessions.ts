import { ulid } from 'ulid'
import { notFound } from '../errors.ts'
import type { Browser } from '../../shared/auth.ts'
import type { CredentialDeps } from './api-keys.ts'
import { type Caller, can, type Scope } from './principal.ts'
import type { StoredBrowser } from './store.ts'
import { stamp } from './times.ts'
import { hashOf, randomToken } from './tokens.ts'

/** Name of the session cookie. */
export const COOKIE = 'gatehouse_session'

/** How long an unused session lives; each use begins it anew. */
export const SESSION_MS = 90 * 24 * 3600_000

/** Whose session to open, and from where. */
export type OpenBrowser = {
  handle: string
  scopes: Scope[]
  userAgent: string
  address: string
  /** The key that opened it, with which it ends. */
  key?: { id: string; expires_at: number | null } | undefined
  /** Fingerprint of the token of the environment, if that opened it. */
  ownerToken?: string | null
}

/** Logged-in browsers. */
export type BrowserSessions = {
  /** Those of the caller's handle; of everybody for an admin. */
  list(caller: Caller): Promise<Browser[]>
  /** Opens a session and returns the cookie's value. */
  open(options: OpenBrowser): Promise<{ token: string; caller: Caller }>
  /** Ends one session: of the caller's handle, if it can do no more than the caller; any for an admin. */
  remove(caller: Caller, id: string, address?: string): Promise<void>
  /** Ends the other sessions of the caller's handle, under the same rule, and returns how many. */
  removeOthers(caller: Caller, address?: string): Promise<number>
}

/** Keeps browser sessions in the store and tells everybody of those that end. */
export function createBrowserSessions({ store, audit, now, revoked, changed }: CredentialDeps): BrowserSessions {
  async function end(caller: Caller, browser: StoredBrowser, address: string): Promise<void> {
    if (!await store.removeBrowser(browser.id)) throw notFound('browser', browser.id)
    revoked(browser.id)
    const action = browser.id === caller.id ? 'browser.logged_out' : 'browser.removed'
    await audit.record({ caller, action, target: browser.id, detail: { name: browser.name }, address })
    changed('deleted', browser.id)
  }

  return {
    async list(caller) {
      const browsers = await store.listBrowsers(now(), can(caller, 'admin') ? undefined : caller.handle)
      return browsers.map((browser) => toWire(browser, caller))
    },

    async open({ handle, scopes, userAgent, address, key, ownerToken }) {
      await store.removeExpiredBrowsers(now())
      const token = randomToken(32)
      const endsAt = key?.expires_at ?? null
      const browser: StoredBrowser = {
        id: `browser_${ulid(now())}`,
        name: browserName(userAgent),
        handle,
        scopes,
        key_id: key?.id ?? null,
        owner_token: ownerToken ?? null,
        address,
        created_at: now(),
        last_seen_at: now(),
        expires_at: Math.min(now() + SESSION_MS, endsAt ?? Infinity),
        ends_at: endsAt,
      }
      await store.addBrowser(browser, hashOf(token))
      changed('created', browser.id)
      return { token, caller: { kind: 'user', handle, id: browser.id, name: browser.name, scopes: new Set(scopes) } }
    },

    async remove(caller, id, address = '') {
      const browser = await store.getBrowser(id)
      if (!browser || !mayEnd(caller, browser)) throw notFound('browser', id)
      await end(caller, browser, address)
    },

    async removeOthers(caller, address = '') {
      const others = (await store.listBrowsers(now(), caller.handle)).filter((browser) =>
        browser.id !== caller.id && mayEnd(caller, browser)
      )
      for (const browser of others) await end(caller, browser, address)
      return others.length
    },
  }
}

/** A key that may only read must not log its owner out. */
const mayEnd = (caller: Caller, browser: StoredBrowser): boolean =>
  can(caller, 'admin') || (browser.handle === caller.handle && browser.scopes.every((scope) => can(caller, scope)))

/** `Set-Cookie` for a session's token; an empty one takes the cookie away. */
export function sessionCookie(token: string, secure: boolean): string {
  const age = token === '' ? 0 : SESSION_MS / 1000
  return `${COOKIE}=${token}; Path=/; HttpOnly; SameSite=Strict; Max-Age=${age}${secure ? '; Secure' : ''}`
}

/** "Firefox on Linux", from a User-Agent header; order matters, for most browsers claim to be others too. */
export function browserName(userAgent: string): string {
  const browsers = [['Edg', 'Edge'], ['OPR/', 'Opera'], ['Firefox/', 'Firefox'], ['FxiOS/', 'Firefox']]
  const more = [['CriOS/', 'Chrome'], ['Chrome/', 'Chrome'], ['Safari/', 'Safari'], ['curl/', 'curl']]
  const systems = [['iPhone', 'iPhone'], ['iPad', 'iPad'], ['Android', 'Android'], ['Windows', 'Windows']]
  const others = [['CrOS', 'ChromeOS'], ['Mac OS', 'macOS'], ['Linux', 'Linux']]
  const match = (marks: string[][]) => marks.find(([mark]) => userAgent.includes(mark!))?.[1]
  const browser = match([...browsers, ...more]) ?? 'A browser'
  const system = match([...systems, ...others])
  return system === undefined ? browser : `${browser} on ${system}`
}

const toWire = (browser: StoredBrowser, caller: Caller): Browser => ({
  id: browser.id,
  name: browser.name,
  handle: browser.handle,
  scopes: browser.scopes,
  address: browser.address,
  ...stamp('created_at', browser.created_at),
  ...stamp('last_seen_at', browser.last_seen_at),
  ...stamp('expires_at', browser.expires_at),
  current: browser.id === caller.id,
})
