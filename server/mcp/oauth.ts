import { randomBytes } from 'node:crypto'
import type { OAuthClientProvider, OAuthDiscoveryState } from '@modelcontextprotocol/sdk/client/auth.js'
import type { OAuthClientInformationMixed, OAuthTokens } from '@modelcontextprotocol/sdk/shared/auth.js'
import type { Fetch } from './guarded-fetch.ts'

/** Everything that is kept of a sign-in; sealed at rest. */
export type OAuthState = {
  client?: OAuthClientInformationMixed | undefined
  tokens?: OAuthTokens | undefined
  /** Epoch milliseconds. */
  expires_at?: number | undefined
  discovery?: OAuthDiscoveryState | undefined
}

export type OAuthStore = { load(): OAuthState; save(state: OAuthState): Promise<void> }

/** How this client presents itself to authorization servers. */
export type OAuthIdentity = {
  redirectUrl: string
  /** Address of our client metadata document, where it can be fetched over https. */
  clientMetadataUrl?: string | undefined
  /** Registered by hand, for servers without dynamic registration. */
  client?: { client_id: string; client_secret?: string; scope?: string } | null | undefined
}

/** Nobody is signed in, or not any more. */
export class SignInNeeded extends Error {
  override name = 'SignInNeeded'
  /** What the server asked for. */
  readonly scope: string | undefined
  readonly resourceMetadataUrl: URL | undefined
  constructor(scope?: string, resourceMetadataUrl?: URL) {
    super('The server wants you to sign in')
    this.scope = scope
    this.resourceMetadataUrl = resourceMetadataUrl
  }
}

/** Tokens that end so soon are renewed before they are used. */
const RENEW_MS = 30_000

/**
 * OAuth 2.1 of one server over the SDK's `auth`: discovery, registration, PKCE, resource indicators. What is ours is
 * where it is kept, that only one request at a time renews a token, and that a sign-in never starts by itself.
 */
export function createOAuth(deps: {
  serverUrl: string
  store: OAuthStore
  identity: () => OAuthIdentity
  fetch: Fetch
  now: () => number
}) {
  const { serverUrl, store, fetch, now } = deps
  const sdk = () => import('@modelcontextprotocol/sdk/client/auth.js')

  /** A provider for one run of `auth`; `flow` takes what a sign-in in the browser needs, and only then one starts. */
  function providerOf(identity: OAuthIdentity, flow: Flow): OAuthClientProvider {
    const change = (part: Partial<OAuthState>) => store.save({ ...store.load(), ...part })
    return {
      redirectUrl: identity.redirectUrl,
      ...(identity.clientMetadataUrl ? { clientMetadataUrl: identity.clientMetadataUrl } : {}),
      clientMetadata: clientMetadata(identity),
      state: () => flow.state,
      clientInformation: () => identity.client ?? store.load().client,
      saveClientInformation: (client) => identity.client ? undefined : change({ client }),
      tokens: () => store.load().tokens,
      saveTokens: (tokens) =>
        change({ tokens, expires_at: tokens.expires_in === undefined ? undefined : now() + tokens.expires_in * 1000 }),
      redirectToAuthorization: (url) => void (flow.url = url),
      saveCodeVerifier: (verifier) => void (flow.verifier = verifier),
      codeVerifier: () => flow.verifier ?? '',
      saveDiscoveryState: (discovery) => change({ discovery }),
      discoveryState: () => store.load().discovery,
      invalidateCredentials: async (scope) => {
        const state = store.load()
        if (scope === 'all' || scope === 'client') delete state.client
        if (scope === 'all' || scope === 'tokens') delete state.tokens
        if (scope === 'all' || scope === 'discovery') delete state.discovery
        await store.save(state)
      },
    }
  }

  let renewing: Promise<void> | undefined
  /** One renewal at a time: refresh tokens are mostly good for one use. Rejects with `SignInNeeded`. */
  const renew = (used: string | undefined, asked: SignInNeeded): Promise<void> => {
    const { tokens } = store.load()
    if (tokens && tokens.access_token !== used) return Promise.resolve()
    return renewing ??= (async () => {
      if (!tokens?.refresh_token) throw asked
      const flow: Flow = { state: '' }
      const { auth } = await sdk()
      const result = await auth(providerOf(deps.identity(), flow), { serverUrl, fetchFn: fetch }).catch(() =>
        'REDIRECT'
      )
      if (result !== 'AUTHORIZED') throw asked
    })().finally(() => (renewing = undefined))
  }

  return {
    /** A fetch that carries the token, renews it when it ran out, and throws `SignInNeeded` when nothing helps. */
    async fetch(url: string | URL, init: RequestInit = {}): Promise<Response> {
      const send = () => {
        const headers = new Headers(init.headers)
        const token = store.load().tokens?.access_token
        if (token) headers.set('authorization', `Bearer ${token}`)
        return { token, response: fetch(url, { ...init, headers }) }
      }
      const { expires_at, tokens } = store.load()
      if (tokens?.refresh_token && expires_at !== undefined && expires_at - now() < RENEW_MS) {
        await renew(tokens.access_token, new SignInNeeded())
      }
      const first = send()
      const response = await first.response
      const { extractWWWAuthenticateParams } = await sdk()
      if (response.status !== 401 && response.status !== 403) return response
      const { scope, resourceMetadataUrl, error } = extractWWWAuthenticateParams(response)
      if (response.status === 403 && error !== 'insufficient_scope') return response
      await response.body?.cancel()
      const asked = new SignInNeeded(scope, resourceMetadataUrl)
      // A token with too few rights is not mended by renewing it.
      if (response.status === 403) throw asked
      await renew(first.token, asked)
      const again = await send().response
      if (again.status !== 401) return again
      await again.body?.cancel()
      throw asked
    },

    /** Begins a sign-in: where to send the person, or undefined when a kept token was renewed instead. */
    async start(asked?: SignInNeeded): Promise<{ url: URL; flow: Flow } | undefined> {
      const flow: Flow = { state: randomBytes(24).toString('base64url') }
      const { auth } = await sdk()
      const state = store.load()
      // The person asked for a new sign-in; what was discovered may have changed since.
      await store.save({ ...(state.client ? { client: state.client } : {}) })
      const result = await auth(providerOf(deps.identity(), flow), {
        serverUrl,
        ...(asked?.scope ? { scope: asked.scope } : {}),
        ...(asked?.resourceMetadataUrl ? { resourceMetadataUrl: asked.resourceMetadataUrl } : {}),
        fetchFn: fetch,
      })
      return result === 'AUTHORIZED' || !flow.url ? undefined : { url: flow.url, flow }
    },

    /** Ends a sign-in with the code that came back; `iss` is who sent it, where it was said. */
    async finish(flow: Flow, { code, iss }: { code: string; iss?: string | undefined }): Promise<void> {
      const { auth } = await sdk()
      const { discovery } = store.load()
      if (iss !== undefined && discovery && !isIssuer(iss, discovery)) {
        throw new Error(`the answer came from ${iss}, not from where it was begun`)
      }
      await auth(providerOf(deps.identity(), flow), { serverUrl, authorizationCode: code, fetchFn: fetch })
    },
  }
}

export type OAuth = ReturnType<typeof createOAuth>

/**
 * Whether a code that `iss` gave may go to the token address that was discovered (RFC 9207). A server could name the
 * sign-in page of another, to be handed that one's code; what it says of its own issuer counts only for its own host.
 */
function isIssuer(iss: string, { authorizationServerUrl, authorizationServerMetadata }: OAuthDiscoveryState): boolean {
  const plain = (url: string): string => (URL.parse(url)?.href ?? url).replace(/\/$/, '')
  if (plain(iss) === plain(authorizationServerUrl)) return true
  const { issuer, token_endpoint } = authorizationServerMetadata ?? {}
  return issuer !== undefined && plain(iss) === plain(issuer) &&
    URL.parse(iss)?.origin === URL.parse(token_endpoint ?? '')?.origin
}

/** What one sign-in needs until the browser is back. */
export type Flow = { state: string; verifier?: string; url?: URL }

/** Our client metadata document (draft-ietf-oauth-client-id-metadata-document) and registration. */
export const clientMetadata = ({ redirectUrl, clientMetadataUrl, client }: OAuthIdentity) => ({
  ...(clientMetadataUrl ? { client_id: clientMetadataUrl } : {}),
  client_name: 'Gatehouse',
  redirect_uris: [redirectUrl],
  grant_types: ['authorization_code', 'refresh_token'],
  response_types: ['code'],
  token_endpoint_auth_method: client?.client_secret ? 'client_secret_post' : 'none',
  ...(client?.scope ? { scope: client.scope } : {}),
})
