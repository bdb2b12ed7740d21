import { api, type Fetch } from './client.ts'

/** Who this browser is. */
export type Me = {
  handle: string
  scopes: string[]
  kind: string
  name: string
  agent_name: string
  version: string
}

export const auth = (fetch?: Fetch) => {
  const client = api(fetch)
  return {
    me: () => client.get<Me>('/api/auth/me', { stay: true }),
    /** Asks only whether this browser is still known; the client goes to the login page when not. */
    session: () => client.get<Me>('/api/auth/me'),
    /** Signs in with a one-time code of a link. */
    redeem: (code: string) => client.post('/api/auth/redeem', { code }, { stay: true }),
    /** Signs in with an API key. */
    login: (token: string) => client.post('/api/auth/login', { token }, { stay: true }),
    logout: () => client.post('/api/auth/logout', {}, { stay: true }),
  }
}
