import { AppError } from '../errors.ts'
import type { McpDeps } from './deps.ts'
import { type Fetch, guardedFetch } from './guarded-fetch.ts'
import { createOAuth, type Flow, type OAuth, type OAuthIdentity, type OAuthState, SignInNeeded } from './oauth.ts'
import type { Rows } from './rows.ts'
import type { McpStore, StoredMcp } from './store.ts'

/** How long a person may take between the two halves of a sign-in. */
const LONGEST_MS = 600_000
export const CALLBACK_PATH = '/api/mcp-oauth/callback'
export const CLIENT_PATH = '/api/mcp-oauth/client.json'

type Pending = { name: string; oauth: OAuth; flow: Flow; until: number }

export type SignIn = ReturnType<typeof createSignIn>

/** Sign-ins of servers: one `OAuth` each, their state sealed in the row, and the browser's way back. */
export function createSignIn(
  deps: McpDeps & { store: McpStore; rows: () => Rows; connected: (name: string) => void },
) {
  const { store, rows, secrets, now } = deps
  const guarded = guardedFetch(deps.outbound)
  const kept = new Map<string, { oauth: OAuth; origin: string; asked: SignInNeeded | undefined }>()
  const pending = new Map<string, Pending>()

  function of(row: StoredMcp) {
    const found = kept.get(row.name)
    if (found) return found
    const spec = rows().specOf(row)
    let state = row.oauth_state === null ? {} : JSON.parse(secrets.open(row.oauth_state)) as OAuthState
    const entry = { oauth: undefined as unknown as OAuth, origin: '', asked: undefined as SignInNeeded | undefined }
    entry.oauth = createOAuth({
      serverUrl: spec.url!,
      store: {
        load: () => state,
        save: async (next) => {
          state = next
          await store.saveOAuth(row.name, next.tokens || next.client ? secrets.seal(JSON.stringify(next)) : null)
          await rows().refresh()
        },
      },
      identity: () => identityOf(entry.origin, spec.oauth_client),
      fetch: guarded,
      now,
    })
    kept.set(row.name, entry)
    return entry
  }

  return {
    /** Requests to a server, signed in when somebody did. */
    fetchOf: (row: StoredMcp): Fetch => async (url, init) => {
      const entry = of(row)
      try {
        return await entry.oauth.fetch(url, init)
      } catch (error) {
        if (error instanceof SignInNeeded) entry.asked = error
        throw error
      }
    },

    forget: (name: string): void => {
      kept.delete(name)
      for (const [state, { name: of }] of pending) if (of === name) pending.delete(state)
    },

    /** Where the person has to go; null when a kept sign-in was good enough. `origin` is how the browser reaches us. */
    async start(name: string, origin: string): Promise<string | null> {
      const row = rows().get(name)
      if (row.shown.url === null) {
        throw new AppError('conflict', `${name} is a program, which has no sign-in of this kind`)
      }
      const entry = of(row)
      entry.origin = origin
      for (const [state, { until }] of pending) if (until < now()) pending.delete(state)
      const begun = await entry.oauth.start(entry.asked).catch((error: Error) => {
        if (error instanceof AppError) throw error
        throw new AppError('bad_gateway', `${name} could not begin a sign-in: ${error.message.slice(0, 500)}`, {
          cause: error,
        })
      })
      if (!begun) {
        deps.connected(name)
        return null
      }
      if (begun.url.protocol !== 'https:' && begun.url.protocol !== 'http:') {
        throw new AppError('bad_gateway', `${name} names a sign-in page that no browser should open`)
      }
      pending.set(begun.flow.state, { name, oauth: entry.oauth, flow: begun.flow, until: now() + LONGEST_MS })
      return begun.url.href
    },

    /** Ends the sign-in that `state` belongs to, once. Returns the name of the server. */
    async finish(
      answer: { state: string; code?: string | undefined; error?: string | undefined; iss?: string | undefined },
    ): Promise<string> {
      const found = pending.get(answer.state)
      pending.delete(answer.state)
      if (!found || found.until < now()) {
        throw new AppError('bad_request', 'This sign-in is over or was never begun; start it again')
      }
      if (!answer.code) {
        throw new AppError('bad_request', `The sign-in was refused: ${(answer.error ?? 'no code').slice(0, 200)}`)
      }
      await found.oauth.finish(found.flow, { code: answer.code, iss: answer.iss }).catch((error: Error) => {
        throw new AppError('bad_gateway', `The sign-in of ${found.name} failed: ${error.message.slice(0, 500)}`, {
          cause: error,
        })
      })
      deps.connected(found.name)
      return found.name
    },

    /** The state of the sign-in of a server that is under way, for a code that a person pastes. */
    stateOf(name: string): string {
      const found = [...pending].findLast(([, { name: of }]) => of === name)
      if (!found) throw new AppError('conflict', `No sign-in of ${name} is under way; start one first`)
      return found[0]
    },

    /** Forgets the tokens of a server. */
    async signOut(name: string): Promise<void> {
      rows().get(name)
      this.forget(name)
      await store.saveOAuth(name, null)
      await rows().refresh()
    },
  }
}

/** Our identity, as seen from `origin`. Only an https address can be fetched by authorization servers. */
export function identityOf(origin: string, client?: OAuthIdentity['client']): OAuthIdentity {
  const base = (origin || 'http://localhost').replace(/\/$/, '')
  return {
    redirectUrl: base + CALLBACK_PATH,
    ...(base.startsWith('https:') ? { clientMetadataUrl: base + CLIENT_PATH } : {}),
    client,
  }
}
