import type {
  ApiKey,
  AuditCheck,
  AuditPage,
  Browser,
  BrowserPairing,
  CreateKeyInput,
  LoggedIn,
  Me,
  PairBrowserInput,
} from '$shared/auth.ts'
import { api, type Fetch } from './client.ts'

/** An action that ends with a dot stands for all that begin with it; `since` is in epoch seconds. */
export type AuditFilter = { action?: string; actor?: string; about?: string; since?: number }

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

    audit: (query: AuditFilter & { limit?: number; cursor?: string | null } = {}) =>
      client.get<AuditPage>('/api/audit', { query: { limit: 20, ...query } }),
    /** Recomputes every hash of the log, which takes a while for a long one. */
    verifyAudit: () => client.get<AuditCheck>('/api/audit/verify', { timeout: 120_000 }),
  }
}
