import type { BrowserPairing, PairBrowserInput } from '../../shared/auth.ts'
import { AppError } from '../errors.ts'
import type { Audit } from './audit.ts'
import { type Caller, can, demand, type Scope } from './principal.ts'
import type { AuthStore, StoredLink } from './store.ts'
import { stamp } from './times.ts'
import { hashOf, normalCode, randomShortCode, randomToken } from './tokens.ts'

const LOGIN_MS = 15 * 60_000
const PAIRING_MS = 10 * 60_000

/** Codes that open one browser session each: a first start's, an administrator's, or one for a second browser. */
export type LoginLinks = {
  /** A link that makes the first browser the owner; `undefined` while the owner has a browser or a key. */
  first(baseUrl: string): Promise<string | undefined>
  /** Another link for 15 minutes, for those who may run commands on the server. */
  create(baseUrl: string, options?: { handle?: string; scopes?: Scope[]; caller?: Caller }): Promise<string>
  /** A link and a short code for another browser of the caller's handle. */
  pair(caller: Caller, baseUrl: string, input: PairBrowserInput, address?: string): Promise<BrowserPairing>
  /** Takes a code, which is then used up; `undefined` for a wrong, used or expired one. */
  take(code: string): Promise<StoredLink | undefined>
}

/** Keeps login links in the store, as hashes, until they are taken or outdated. */
export function createLoginLinks(
  { store, audit, now }: { store: AuthStore; audit: Audit; now: () => number },
): LoginLinks {
  async function add(link: Omit<StoredLink, 'created_at' | 'expires_at'>, lifeMs: number, shortCode?: string) {
    const code = randomToken(16)
    const times = { created_at: now(), expires_at: now() + lifeMs }
    await store.addLink({ ...link, ...times }, hashOf(code), shortCode === undefined ? null : hashOf(shortCode))
    return { code, ...times }
  }

  return {
    async first(baseUrl) {
      if (await store.hasOwner(now())) return undefined
      const link = { kind: 'first' as const, handle: 'owner', scopes: ['admin' as const], created_by: 'start' }
      return urlOf(baseUrl, (await add(link, LOGIN_MS)).code)
    },

    async create(baseUrl, options = {}) {
      const { handle = 'owner', scopes = ['admin' as const], caller } = options
      const { code } = await add({ kind: 'login', handle, scopes, created_by: caller?.id ?? 'console' }, LOGIN_MS)
      await audit.record({ caller, action: 'link.created', detail: { handle, scopes } })
      return urlOf(baseUrl, code)
    },

    async pair(caller, baseUrl, input, address = '') {
      demand(caller, 'admin')
      const scopes = [...new Set(input.scopes ?? caller.scopes)]
      const missing = scopes.find((scope) => !can(caller, scope))
      if (missing) throw new AppError('forbidden', `You can't give the scope "${missing}", for you don't have it`)
      const code = randomShortCode()
      const link = { kind: 'pairing' as const, handle: caller.handle, scopes, created_by: caller.id }
      const { code: longCode, expires_at } = await add(link, PAIRING_MS, code)
      await audit.record({ caller, action: 'link.created', detail: { handle: caller.handle, scopes }, address })
      const url = urlOf(baseUrl, longCode)
      const { renderSVG } = await import('uqr')
      return { code, url, ...stamp('expires_at', expires_at), qr: renderSVG(url) }
    },

    async take(code) {
      const link = await store.takeLink(hashOf(normalCode(code)), now())
      if (link?.kind === 'first') await store.removeFirstLinks()
      return link
    },
  }
}

/** In the fragment, which browsers send to nobody and servers don't log. */
const urlOf = (baseUrl: string, code: string): string => `${baseUrl.replace(/\/+$/, '')}/login#code=${code}`
