/**
 * Our client as the conformance suite drives it: the last argument is the server's address, the environment says which
 * scenario. The suite's authorization server answers at once, so the "browser" is one request.
 */
import { connect, type Connection, type Hooks } from '../../server/mcp/connect.ts'
import { createOAuth, type OAuthState, SignInNeeded } from '../../server/mcp/oauth.ts'
import { currentRuntime } from '../../server/runtime/current.ts'

const url = process.argv.at(-1)!
const scenario = process.env.MCP_CONFORMANCE_SCENARIO ?? ''
const context = JSON.parse(process.env.MCP_CONFORMANCE_CONTEXT || '{}') as {
  client_id?: string
  client_secret?: string
}
const MOST_SIGN_INS = 3

let state: OAuthState = {}
const oauth = createOAuth({
  serverUrl: url,
  store: { load: () => state, save: (next) => Promise.resolve(void (state = next)) },
  identity: () => ({
    redirectUrl: 'http://localhost:3000/callback',
    clientMetadataUrl: 'https://conformance-test.local/client-metadata.json',
    client: context.client_id ? { client_id: context.client_id, client_secret: context.client_secret! } : null,
  }),
  fetch,
  now: Date.now,
})

/** Signs in whenever the server asks for it, a few times at most. */
async function signedIn<T>(work: () => Promise<T>): Promise<T> {
  for (let tries = 0;; tries++) {
    try {
      return await work()
    } catch (error) {
      if (!(error instanceof SignInNeeded) || tries === MOST_SIGN_INS) throw error
      const begun = await oauth.start(error)
      if (!begun) continue
      const response = await fetch(begun.url, { redirect: 'manual' })
      const back = new URL(response.headers.get('location')!)
      const iss = back.searchParams.get('iss') ?? undefined
      await oauth.finish(begun.flow, { code: back.searchParams.get('code')!, iss })
    }
  }
}

const runtime = await currentRuntime()
const hooks: Hooks = {
  onToolsChanged: () => {},
  onLost: () => {},
  onLine: () => {},
  elicit: () => Promise.resolve({ action: 'accept', content: {} }),
}
const spec = { command: null, args: [], url, env: {}, headers: {}, inputs: {}, oauth_client: null }
const signal = new AbortController().signal
const connection: Connection = await signedIn(() =>
  connect(
    { spec, transport: 'http', cwd: undefined, roots: [] },
    hooks,
    { runtime, fetch: oauth.fetch, childEnv: {}, version: '0' },
    { timeoutMs: 10_000, signal },
  )
)
for (const tool of await signedIn(() => connection.listTools(10_000))) {
  const args = tool.name === 'add_numbers' ? { a: 5, b: 3 } : {}
  if (scenario === 'initialize') break
  await signedIn(() => connection.call(tool.name, args, { signal, timeoutMs: 20_000 }))
}
await connection.close()
