import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import { auth, type OAuthClientProvider } from '@modelcontextprotocol/sdk/client/auth.js'
import type { OAuthClientInformationMixed, OAuthTokens } from '@modelcontextprotocol/sdk/shared/auth.js'
import { scripted } from '../server/models/providers/scripted.ts'
import { OWNER_TOKEN, type TestApp, testApp } from './support/app.ts'
import { mcpPeer } from './support/mcp-client.ts'

const REDIRECT = 'http://127.0.0.1:7777/callback'

let app: TestApp
let url: string
let cookie: string
before(async () => {
  app = await testApp({ model: scripted(['Hello.']) })
  url = await app.listen()
  const response = await fetch(`${url}/api/auth/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ token: OWNER_TOKEN }),
  })
  cookie = response.headers.get('set-cookie')!.split(';')[0]!
})
after(() => app.close())

/** What the browser of the owner does with the address that a client sends it to. */
async function consent(address: URL | string, form: Record<string, string | string[]>): Promise<URL> {
  const body = new URLSearchParams()
  for (const [name, values] of Object.entries(form)) for (const value of [values].flat()) body.append(name, value)
  const response = await fetch(address, {
    method: 'POST',
    headers: { cookie, origin: url, 'sec-fetch-site': 'same-origin' },
    body,
    redirect: 'manual',
  })
  assert.equal(response.status, 303, await response.text())
  return new URL(response.headers.get('location')!)
}

const register = async (redirect_uris: string[], client_name = 'A <b>client</b>') => {
  const response = await app.request('/api/oauth/register', {
    token: null,
    method: 'POST',
    json: { redirect_uris, client_name },
  })
  return { status: response.status, client: await response.json() as { client_id: string; client_name: string } }
}

/** A request as a client would begin it, with its verifier. */
async function begin(more: Record<string, string> = {}) {
  const { client } = await register([REDIRECT])
  const verifier = randomBytes(32).toString('base64url')
  const query = new URLSearchParams({
    client_id: client.client_id,
    redirect_uri: REDIRECT,
    response_type: 'code',
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
    state: 'xyz',
    ...more,
  })
  return { client, verifier, address: `${url}/api/oauth/authorize?${query}` }
}

const exchange = (form: Record<string, string>): Promise<Response> =>
  fetch(`${url}/api/oauth/token`, { method: 'POST', body: new URLSearchParams(form) })

describe('signing in as an MCP client', () => {
  it('a client without a key is told where to sign in, does, and may do what the owner chose', async () => {
    const refused = await app.request('/mcp', { token: null, method: 'POST', json: {} })
    assert.equal(refused.status, 401)
    assert.match(
      refused.headers.get('www-authenticate')!,
      /resource_metadata="http[^"]*\/oauth-protected-resource\/mcp"/,
    )

    let client: OAuthClientInformationMixed | undefined
    let tokens: OAuthTokens | undefined
    let verifier = ''
    let sentTo: URL | undefined
    const provider: OAuthClientProvider = {
      redirectUrl: REDIRECT,
      clientMetadata: { client_name: 'Tester', redirect_uris: [REDIRECT] },
      clientInformation: () => client,
      saveClientInformation: (given) => void (client = given),
      tokens: () => tokens,
      saveTokens: (given) => void (tokens = given),
      redirectToAuthorization: (address) => void (sentTo = address),
      saveCodeVerifier: (given) => void (verifier = given),
      codeVerifier: () => verifier,
    }
    const serverUrl = `${url}/mcp`
    assert.equal(await auth(provider, { serverUrl }), 'REDIRECT')
    const back = await consent(sentTo!, { decision: 'allow', scope: ['read', 'chat'], days: '30' })
    assert.equal(back.origin, 'http://127.0.0.1:7777')
    const authorizationCode = back.searchParams.get('code')!
    assert.equal(await auth(provider, { serverUrl, authorizationCode }), 'AUTHORIZED')

    const peer = await mcpPeer(url, { token: tokens!.access_token })
    assert.equal((await peer.call('ask_agent', { text: 'Hi' })).text, 'Hello.')
    await peer.close()
    const { keys } = await app.json<{ keys: { name: string; scopes: string[]; expires_at: number }[] }>('/api/keys')
    assert.equal(keys[0]!.name, 'Tester (MCP)')
    assert.deepEqual(keys[0]!.scopes, ['read', 'chat'])
    assert.ok(keys[0]!.expires_at < Date.now() / 1000 + 31 * 86_400)
  })

  it('another Gatehouse signs in here and has our tools in its list, but not our agent', async () => {
    const other = await testApp({ model: scripted([]) })
    try {
      await other.json('/api/config/outbound', { method: 'PATCH', json: { allow: ['127.0.0.1'] } })
      await other.json('/api/mcps', { json: { name: 'first', url: `${url}/mcp` } })
      const begun = await other.json<{ url: string }>('/api/mcps/first/oauth/start', { json: {} })
      const back = await consent(begun.url, { decision: 'allow', scope: ['read', 'chat'], days: '1' })
      await other.json('/api/mcps/first/oauth/finish', { json: { code: back.href } })
      await other.json('/api/mcps/first/start', { json: {} })
      const { tools } = await other.json<{ tools: { tool: string }[] }>('/api/mcp-tools')
      const names = tools.map(({ tool }) => tool)
      assert.ok(names.includes('notes_search') && !names.includes('ask_agent'), names.join())
    } finally {
      await other.close()
    }
  })

  it('a code counts once, only with its verifier, and a second use ends the key of the first', async () => {
    const { client, verifier, address } = await begin()
    const code = (await consent(address, { decision: 'allow', scope: 'read', days: '1' })).searchParams.get('code')!
    const form = {
      grant_type: 'authorization_code',
      client_id: client.client_id,
      redirect_uri: REDIRECT,
      code,
      code_verifier: verifier,
    }
    const first = await exchange(form)
    assert.equal(first.status, 200)
    assert.equal(first.headers.get('cache-control'), 'no-store')
    const { access_token } = await first.json() as { access_token: string }
    assert.equal((await app.request('/api/auth/me', { token: access_token })).status, 200)
    const again = await exchange(form)
    assert.equal(again.status, 400)
    assert.equal((await again.json() as { error: string }).error, 'invalid_grant')
    assert.equal((await app.request('/api/auth/me', { token: access_token })).status, 401)

    const twice = await begin()
    const shared = (await consent(twice.address, { decision: 'allow', scope: 'read' })).searchParams.get('code')!
    const both = { ...form, client_id: twice.client.client_id, code: shared, code_verifier: twice.verifier }
    const answers = await Promise.all([exchange(both), exchange(both)])
    for (const answer of answers.filter(({ status }) => status === 200)) {
      const token = (await answer.json() as { access_token: string }).access_token
      assert.equal((await app.request('/api/auth/me', { token })).status, 401)
    }

    const other = await begin()
    const second = (await consent(other.address, { decision: 'allow', scope: 'read' })).searchParams.get('code')!
    const stolen = { ...form, client_id: other.client.client_id, code: second, code_verifier: 'x'.repeat(43) }
    assert.equal((await exchange(stolen)).status, 400)
    assert.equal((await exchange({ ...stolen, code_verifier: other.verifier })).status, 400)
  })

  it('a no of the owner, and a request without PKCE or for another server, go back to the client as errors', async () => {
    const { address } = await begin()
    const denied = await consent(address, { decision: 'deny' })
    assert.equal(denied.searchParams.get('error'), 'access_denied')
    assert.equal(denied.searchParams.get('state'), 'xyz')
    assert.equal(denied.searchParams.get('code'), null)
    const plain = await begin({ code_challenge_method: 'plain' })
    assert.equal((await consent(plain.address, {})).searchParams.get('error'), 'invalid_request')
    const elsewhere = await begin({ resource: 'https://elsewhere.example/mcp' })
    assert.equal((await consent(elsewhere.address, {})).searchParams.get('error'), 'invalid_target')
  })

  it('the page shows what a client says of itself as text, asks for the fewest rights, and goes to nobody unknown', async () => {
    const { address } = await begin({ scope: 'admin chat' })
    const page = await fetch(address, { headers: { cookie } })
    const html = await page.text()
    assert.match(page.headers.get('content-security-policy')!, /frame-ancestors 'none'/)
    assert.match(html, /A &#60;b&#62;client/)
    assert.doesNotMatch(html, /<b>client/)
    assert.match(html, /value="chat" checked/)
    assert.doesNotMatch(html, /value="admin" checked/)
    assert.match(html, /127\.0\.0\.1:7777/)

    const unknown = await fetch(
      address.replace(encodeURIComponent(REDIRECT), encodeURIComponent('https://evil.example/')),
      {
        headers: { cookie },
        redirect: 'manual',
      },
    )
    assert.equal(unknown.status, 400)
    assert.match(await unknown.text(), /redirect_uri/)
  })

  it('a browser that nobody signed in gets no form; a key and a foreign page can not say yes', async () => {
    const { address } = await begin()
    const stranger = await fetch(address)
    assert.match(await stranger.text(), /http-equiv="refresh"/)
    const still = await fetch(`${address}&again=1`)
    assert.match(await still.text(), /Sign in first/)
    const body = new URLSearchParams({ decision: 'allow', scope: 'admin' })
    const withKey = await fetch(address, { method: 'POST', headers: { authorization: `Bearer ${OWNER_TOKEN}` }, body })
    assert.equal(withKey.status, 403)
    const foreign = await fetch(address, {
      method: 'POST',
      headers: { cookie, origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' },
      body,
    })
    assert.equal(foreign.status, 403)
  })

  it('registers only addresses that a browser may be sent to', async () => {
    const status = async (uri: string) => (await register([uri])).status
    for (const uri of ['https://app.example/cb', 'http://localhost:1/cb', 'cursor://anysphere.cursor/callback']) {
      assert.equal(await status(uri), 201, uri)
    }
    for (
      const uri of ['http://app.example/cb', 'javascript:alert(1)', 'data:text/html,x', 'https://a.example/#x', 'no']
    ) {
      assert.equal(await status(uri), 400, uri)
    }
    assert.equal((await register([REDIRECT], 'Two\n\u202elines')).client.client_name, 'Two lines')
    const forged = await fetch(`${url}/api/oauth/authorize?client_id=v1:00:x&redirect_uri=https://a.example/`)
    assert.equal(forged.status, 400)
  })
})
