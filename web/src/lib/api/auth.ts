import type {
  ApiKey,
  AuditPage,
  Browser,
  BrowserPairing,
  CreateKeyInput,
  LoggedIn,
  Me,
  PairBrowserInput,
} from '$shared/auth.ts'
import { api, type Fetch } from './client.ts'

/** Signing in and out, API keys, browsers and the audit log. */
export const auth = (fetch?: Fetch) => {
  const client = api(fetch)
  return {
    me: () => client.get<Me>('/api/auth/me', { stay: true }),
    /** Asks only whether this browser is still known; the client goes to the login page when not. */
    session: () => client.get<Me>('/api/auth/me'),
    /** Signs in with a one-time code of a link. */
    redeem: (code: string) => client.post<LoggedIn>('/api/auth/redeem', { code }, { stay: true }),
    /** Signs in with an API key. */
    login: (token: string) => client.post<LoggedIn>('/api/auth/login', { token }, { stay: true }),
    logout: () => client.post('/api/auth/logout', {}, { stay: true }),

    keys: async () => (await client.get<{ keys: ApiKey[] }>('/api/keys')).keys,
    createKey: (input: CreateKeyInput) => client.post<{ key: ApiKey; secret: string }>('/api/keys', input),
    removeKey: (id: string) => client.delete(`/api/keys/${encodeURIComponent(id)}`),

    browsers: async () => (await client.get<{ browsers: Browser[] }>('/api/browsers')).browsers,
    removeBrowser: (id: string) => client.delete(`/api/browsers/${encodeURIComponent(id)}`),
    removeOtherBrowsers: () => client.delete<{ removed: number }>('/api/browsers/others'),
    pairBrowser: (input: PairBrowserInput = {}) => client.post<BrowserPairing>('/api/pairings/browser', input),

    audit: (query: { limit?: number; cursor?: string | null; action?: string } = {}) =>
      client.get<AuditPage>('/api/audit', { query: { limit: 20, ...query } }),
  }
}
