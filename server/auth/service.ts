import { timingSafeEqual } from 'node:crypto'
import type { LoggedIn } from '../../shared/auth.ts'
import type { Bus } from '../bus/bus.ts'
import { AppError } from '../errors.ts'
import { type Peer, peerOf } from '../http/peer.ts'
import type { Log } from '../system/log.ts'
import { type ApiKeys, createApiKeys, ENVIRONMENT_KEY } from './api-keys.ts'
import { type Audit, createAudit } from './audit.ts'
import { type BrowserSessions, createBrowserSessions, type OpenBrowser } from './browser-sessions.ts'
import { credentialOf } from './credentials.ts'
import { createKnownCallers, type Known } from './known-callers.ts'
import { createLoginLinks, type LoginLinks } from './login-links.ts'
import type { Caller } from './principal.ts'
import type { AuthStore } from './store.ts'
import { hashOf } from './tokens.ts'
import { createWrongTries, GUESSABLE_BELOW, type Origin, originOf } from './wrong-tries.ts'

/** Who sent a request by its device certificate; throws `unauthorized` with the reason when it has a bad one. */
export type CertificateVerifier = (request: Request) => Promise<Caller | undefined>

/** What the runtime told about the connection. */
export type RequestInfo = { remoteAddress: string }

/** A cookie to set beside the answer. */
export type Opened = LoggedIn & { token: string }

/** Everything about who comes in; other features need `audit.record` of it, the plumbing `requireCaller`. */
export type Auth = {
  keys: ApiKeys
  browsers: BrowserSessions
  links: LoginLinks
  audit: Audit
  /**
   * Who sends this request; `undefined` when it shows no valid credential.
   * Throws `rate_limited` instead after too many wrong ones from one address.
   */
  authenticate(request: Request, info: RequestInfo): Promise<Caller | undefined>
  /** As `authenticate`, but throws `unauthorized`. */
  requireCaller(request: Request, info: RequestInfo): Promise<Caller>
  /** Opens a browser session by a one-time code. */
  redeem(code: string, request: Request, info: RequestInfo): Promise<Opened>
  /** Opens a browser session by an API key or GATEHOUSE_TOKEN. */
  login(token: string, request: Request, info: RequestInfo): Promise<Opened>
  /** The address, scheme and host that the client sees, as far as trusted proxies tell. */
  peer(request: Request, info: RequestInfo): Peer
  /** Ends what runs by itself and waits for what is still being written. */
  stop(): Promise<void>
}

/** What `createAuth` is built from; only the store, the log and the bus are needed. */
export type AuthOptions = {
  store: AuthStore
  /** Epoch milliseconds. */
  now?: () => number
  log: Log
  bus: Bus
  /** GATEHOUSE_TOKEN. */
  token?: string | undefined
  /** The owner's credential for terminals on this machine; only this run knows it. */
  terminalToken?: string | undefined
  verifyCertificate?: CertificateVerifier | undefined
  trustedProxies?: () => readonly string[]
  /** How often to end the open streams of keys that expired. */
  sweepMs?: number
}

/** Who may come in (design §5): keys, browsers, one-time links, the token of the environment, device certificates. */
export function createAuth(options: AuthOptions): Auth {
  const {
    store,
    now = Date.now,
    log,
    bus,
    token: ownerToken,
    terminalToken,
    verifyCertificate,
    trustedProxies = () => [],
    sweepMs = 15_000,
  } = options
  const audit = createAudit({ store, now })
  const known = createKnownCallers({ store, log, now, expired: (id) => revoked(id), sweepMs })
  const wrongTries = createWrongTries({ audit, now })

  const revoked = (id: string) => {
    known.forget(id)
    bus.publish({ type: 'principal_revoked', id })
  }
  const changed = (action: 'created' | 'deleted', id: string) =>
    bus.publish({ type: 'resource', resource: 'key', action, id })
  const shared = { store, audit, now, revoked, changed }
  const keys = createApiKeys(shared)
  const browsers = createBrowserSessions(shared)
  const links = createLoginLinks(shared)

  const ownerKeys = [
    ...ownerKey(ownerToken, ENVIRONMENT_KEY, 'GATEHOUSE_TOKEN'),
    ...ownerKey(terminalToken, 'terminal', 'Terminal'),
  ]
  if (ownerToken && ownerToken.length < GUESSABLE_BELOW) {
    log.warn('auth.weak_token', `GATEHOUSE_TOKEN has under ${GUESSABLE_BELOW} characters. Use: openssl rand -hex 32`)
  }

  // Of the hash, so that the table has nothing that the token could be guessed from more cheaply than from a request.
  const fingerprint = ownerToken ? hashOf(hashOf(ownerToken)) : null
  let tidied: Promise<void> | undefined
  /** Once, before the first session is looked up. */
  const tidy = () =>
    tidied ??= store.removeBrowsersOfOtherTokens(fingerprint).catch((error) => {
      tidied = undefined
      throw error
    })

  const peer = (request: Request, info: RequestInfo) => peerOf(request, info.remoteAddress, trustedProxies())

  const from = (request: Request, info: RequestInfo) => originOf(request, peer(request, info))

  /** The origin is asked for only when it matters, for finding it costs more than the rest. */
  async function find(kind: 'token' | 'cookie', value: string, origin: () => Origin): Promise<Known | undefined> {
    const hash = hashOf(value)
    const owner = kind === 'token'
      ? ownerKeys.find(({ digest }) => timingSafeEqual(Buffer.from(hash), digest))
      : undefined
    if (owner) {
      wrongTries.check('token', value, origin)
      return owner.known
    }
    if (kind === 'cookie') await tidy()
    return await known.find(kind, hash)
  }

  async function authenticate(request: Request, info: RequestInfo): Promise<Caller | undefined> {
    const credential = credentialOf(request.headers)
    if (credential?.kind !== 'token') {
      const device = await verifyCertificate?.(request)
      if (device) return device
    }
    if (!credential) return undefined
    const origin = () => from(request, info)
    const entry = await find(credential.kind, credential.value, origin)
    if (entry) return entry.caller
    // An outdated cookie is no guess: a tab that was left open must not lock out the login that follows.
    if (credential.kind === 'token') await wrongTries.count('token', origin(), new URL(request.url).pathname)
    return undefined
  }

  type Who = Pick<OpenBrowser, 'handle' | 'scopes' | 'key' | 'ownerToken'>
  async function open(request: Request, address: string, how: string, who: Who): Promise<Opened> {
    const userAgent = request.headers.get('user-agent') ?? ''
    const { token, caller } = await browsers.open({ ...who, userAgent, address })
    await audit.record({ caller, action: 'login.succeeded', target: caller.id, detail: { how }, address })
    return { token, handle: who.handle, scopes: who.scopes }
  }

  return {
    keys,
    browsers,
    links,
    audit,
    authenticate,
    peer,
    async requireCaller(request, info) {
      const caller = await authenticate(request, info)
      if (!caller) throw unauthorized()
      return caller
    },

    async redeem(code, request, info) {
      const origin = from(request, info)
      wrongTries.check('code', code, () => origin)
      const link = await links.take(code)
      if (!link) {
        await wrongTries.count('code', origin, '/api/auth/redeem')
        throw new AppError('unauthorized', 'This code is wrong, was used, or has expired. Ask for a new one.')
      }
      return open(request, origin.address, link.kind, { handle: link.handle, scopes: link.scopes })
    },

    async login(token, request, info) {
      const origin = from(request, info)
      const entry = await find('token', token, () => origin)
      if (!entry) {
        await wrongTries.count('token', origin, '/api/auth/login')
        throw unauthorized()
      }
      const { handle, scopes, id } = entry.caller
      const opened = id === ENVIRONMENT_KEY ? fingerprint : null
      return open(request, origin.address, 'key', { handle, scopes: [...scopes], key: entry.key, ownerToken: opened })
    },

    stop: () => known.stop(),
  }
}

/** A credential of the owner that is in no table; none without a token. */
function ownerKey(token: string | undefined, id: string, name: string): { digest: Buffer; known: Known }[] {
  if (!token) return []
  const caller: Caller = { kind: 'key', handle: 'owner', id, name, scopes: new Set(['admin']) }
  const known = { caller, expiresAt: null, endsAt: null, lastUsedAt: Infinity, readAt: Infinity }
  return [{ digest: Buffer.from(hashOf(token)), known }]
}

/** The same words whether a credential is missing, unknown, expired or revoked. */
const unauthorized = (): AppError =>
  new AppError('unauthorized', 'This needs a valid credential: an API key as bearer token, or a logged-in browser.', {
    headers: { 'www-authenticate': 'Bearer' },
  })
