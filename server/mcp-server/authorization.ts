import { createHash, randomBytes } from 'node:crypto'
import * as v from 'valibot'
import { Scope } from '../../shared/auth.ts'
import type { Auth } from '../auth/service.ts'
import type { Caller } from '../auth/principal.ts'
import { AppError, invalid } from '../errors.ts'
import type { Secrets } from '../secrets/service.ts'

/** Body of a registration (RFC 7591), as far as it is used; whatever else is in it is let pass. */
export const RegisterInput = v.object({
  redirect_uris: v.pipe(
    v.array(v.pipe(v.string(), v.maxLength(2000))),
    v.minLength(1, 'must name where the browser comes back to'),
    v.maxLength(10),
  ),
  client_name: v.optional(v.pipe(v.string(), v.trim(), v.maxLength(100)), ''),
})

const Client = v.object({
  kind: v.literal('mcp-client'),
  name: v.string(),
  redirects: v.array(v.string()),
})
type Client = v.InferOutput<typeof Client>

const word = v.pipe(v.string('is missing'), v.minLength(1, 'is missing'), v.maxLength(4096))

/** Query of an authorization request (RFC 6749 §4.1.1, RFC 7636, RFC 8707). */
export const AuthorizeQuery = v.object({
  client_id: word,
  redirect_uri: word,
  response_type: v.optional(v.string(), ''),
  code_challenge: v.optional(v.pipe(v.string(), v.maxLength(200)), ''),
  code_challenge_method: v.optional(v.string(), ''),
  scope: v.optional(v.pipe(v.string(), v.maxLength(500)), ''),
  state: v.optional(v.pipe(v.string(), v.maxLength(2000))),
  resource: v.optional(v.pipe(v.string(), v.maxLength(2000))),
})
export type AuthorizeQuery = v.InferOutput<typeof AuthorizeQuery>

/** What the owner decides about. */
export type AuthorizationRequest = AuthorizeQuery & { client: Client; scopes: Scope[] }

/** What the owner decided. */
export type Consent = { scopes: Scope[]; days: number }

type Code = {
  request: AuthorizationRequest
  consent: Consent
  caller: Caller
  /** Epoch milliseconds. */
  until: number
  /** The key that it was exchanged for. */
  key?: string
}

/** A refusal that the client gets at its own address, or as JSON (RFC 6749 §4.1.2.1, §5.2). */
export class OAuthRefusal extends Error {
  override name = 'OAuthRefusal'
  readonly code: string
  constructor(code: string, message: string) {
    super(message)
    this.code = code
  }
}

const CODE_MS = 120_000
const MAX_CODES = 1000
/** What a client gets that asks for nothing in particular; never `admin`. */
const USUAL: Scope[] = ['read', 'chat']
const DAY_MS = 86_400_000

export type Authorization = ReturnType<typeof createAuthorization>

/**
 * A small authorization server for MCP clients: they register themselves, the owner consents in his browser, and the
 * token is an API key like any other, which ends on its day or when it is revoked on the page of keys.
 */
export function createAuthorization(
  { secrets, keys, now }: { secrets: Secrets; keys: Auth['keys']; now: () => number },
) {
  const codes = new Map<string, Code>()

  const clientOf = (id: string): Client => {
    try {
      return v.parse(Client, JSON.parse(secrets.open(id)))
    } catch {
      throw invalid('client_id', 'is not one that this server gave; let the client register again')
    }
  }

  function forgetOld(): void {
    for (const [code, { until }] of codes) if (until < now()) codes.delete(code)
  }

  return {
    /** The id holds the registration itself, sealed: strangers may register, and must not fill our database. */
    register({ redirect_uris, client_name }: v.InferOutput<typeof RegisterInput>) {
      redirect_uris.forEach((uri, i) => checkRedirect(uri, `redirect_uris.${i}`))
      // What a program calls itself stands in our pages and lists, on one line.
      const name = client_name.replace(/[\p{C}\p{Z}]+/gu, ' ').trim() || 'An MCP client'
      const client: Client = { kind: 'mcp-client', name, redirects: redirect_uris }
      return {
        client_id: secrets.seal(JSON.stringify(client)),
        client_id_issued_at: Math.floor(now() / 1000),
        client_name: client.name,
        redirect_uris,
        grant_types: ['authorization_code'],
        response_types: ['code'],
        token_endpoint_auth_method: 'none',
      }
    },

    /**
     * Reads a request. Throws `AppError` where nobody may be sent anywhere, for the client or its address is not
     * known; `OAuthRefusal` for what the client is told at that address. `resource` is the address of our door.
     */
    read(query: AuthorizeQuery, resource: string): AuthorizationRequest {
      const client = clientOf(query.client_id)
      if (!client.redirects.some((uri) => isSameRedirect(uri, query.redirect_uri))) {
        throw invalid('redirect_uri', 'is not one that this client registered')
      }
      return { ...query, client, scopes: scopesOf(query, resource) }
    },

    /** Throws `forbidden` for a caller who may make no keys. */
    async consent(caller: Caller, request: AuthorizationRequest, consent: Consent): Promise<string> {
      if (!caller.scopes.has('admin')) throw new AppError('forbidden', 'Only an admin may let a client in')
      if (caller.kind !== 'user') throw new AppError('forbidden', 'Only a person in a browser may let a client in')
      forgetOld()
      if (codes.size >= MAX_CODES) throw new AppError('rate_limited', 'Too many sign-ins wait; try again in a minute')
      const code = randomBytes(32).toString('base64url')
      codes.set(code, { request, consent, caller, until: now() + CODE_MS })
      return code
    },

    /** Exchanges a code for a key, once. Throws `OAuthRefusal`. */
    async exchange(form: Record<string, string>, resource: string) {
      if (form.grant_type !== 'authorization_code') {
        throw new OAuthRefusal('unsupported_grant_type', 'Only authorization_code is known here; sign in again')
      }
      forgetOld()
      const found = codes.get(form.code ?? '')
      const refused = new OAuthRefusal('invalid_grant', 'The code is wrong, was used, or is too old; sign in again')
      if (!found) throw refused
      const { request, consent, caller } = found
      if (found.key !== undefined) {
        // Somebody has a code that was not meant for him, and one of the two got a key.
        codes.delete(form.code!)
        await keys.remove(caller, found.key).catch((error: unknown) => {
          // Not made yet, or revoked by the owner meanwhile.
          if (!(error instanceof AppError && error.code === 'not_found')) throw error
        })
        throw refused
      }
      const challenge = createHash('sha256').update(form.code_verifier ?? '').digest('base64url')
      const isHis = form.client_id === request.client_id && form.redirect_uri === request.redirect_uri
      if (!isHis || challenge !== request.code_challenge) {
        codes.delete(form.code!)
        throw refused
      }
      if (form.resource !== undefined && !isOurs(form.resource, resource)) {
        throw new OAuthRefusal('invalid_target', `The resource of this server is ${resource}`)
      }
      // Before anything waits: of two exchanges at once only one gets through.
      found.key = ''
      const { key, secret } = await keys.create(caller, {
        name: `${request.client.name.slice(0, 80)} (MCP)`,
        scopes: consent.scopes,
        expires_at: (now() + consent.days * DAY_MS) / 1000,
      })
      found.key = key.id
      // It was used a second time while the key was made.
      if (codes.get(form.code!) !== found) {
        await keys.remove(caller, key.id)
        throw refused
      }
      return {
        access_token: secret,
        token_type: 'Bearer',
        expires_in: consent.days * 86_400,
        scope: consent.scopes.join(' '),
      }
    },
  }
}

function scopesOf(query: AuthorizeQuery, resource: string): Scope[] {
  if (query.response_type !== 'code') {
    throw new OAuthRefusal('unsupported_response_type', 'response_type must be code')
  }
  if (query.code_challenge_method !== 'S256' || !/^[\w-]{43}$/.test(query.code_challenge)) {
    throw new OAuthRefusal('invalid_request', 'code_challenge is missing: PKCE with S256 is needed')
  }
  if (query.resource !== undefined && !isOurs(query.resource, resource)) {
    throw new OAuthRefusal('invalid_target', `The resource of this server is ${resource}`)
  }
  const asked = query.scope.split(' ').filter((scope): scope is Scope => v.is(Scope, scope))
  return asked.length > 0 ? [...new Set(asked)] : USUAL
}

/** The door itself, or the server that it belongs to. */
const isOurs = (asked: string, resource: string): boolean => {
  const plain = asked.replace(/\/+$/, '')
  return plain === resource || plain === resource.replace(/\/mcp$/, '')
}

/** Web pages by https, programs on the own machine, and programs that have a scheme of their own. */
function checkRedirect(uri: string, field: string): void {
  const url = URL.parse(uri)
  if (!url || url.hash !== '' || url.username !== '' || url.password !== '') {
    throw invalid(field, 'must be an absolute address without a fragment')
  }
  if (url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(url))) return
  if (/^(https?|wss?|ftp|file|data|javascript|vbscript|blob|about|filesystem):$/.test(url.protocol)) {
    throw invalid(field, 'must be https, or http on this machine, or a scheme of the program')
  }
}

/** A program on the own machine listens where there is room: there the port may differ (RFC 8252 §7.3). */
function isSameRedirect(registered: string, asked: string): boolean {
  if (registered === asked) return true
  const [a, b] = [URL.parse(registered), URL.parse(asked)]
  if (!a || !b || b.hash !== '' || b.username !== '' || a.protocol !== 'http:' || !isLoopback(a)) return false
  a.port = b.port
  return a.href === b.href
}

const isLoopback = ({ hostname }: URL): boolean => /^(localhost|127\.0\.0\.1|\[::1\])$/.test(hostname)
