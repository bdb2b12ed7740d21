import { createHash, randomUUID } from 'node:crypto'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'

type Answer = { status?: number; headers?: Record<string, string>; json?: unknown }

/** An MCP server over streamable HTTP behind a sign-in, its authorization server, and an MCP registry, in one. */
export async function mcpOverHttp(options: { signIn?: boolean } = {}) {
  const tokens = new Set<string>()
  const refreshTokens = new Set<string>()
  const codes = new Map<string, { challenge: string; redirect: string; resource: string }>()
  const seen = { refreshes: 0, reused: 0, registrations: 0, exchanges: 0, calls: 0, resources: [] as string[] }
  let base = ''

  const issue = () => {
    const [access_token, refresh_token] = [randomUUID(), randomUUID()]
    tokens.add(access_token)
    refreshTokens.add(refresh_token)
    return { json: { access_token, refresh_token, token_type: 'Bearer', expires_in: 3600 } }
  }

  const routes: Record<string, (request: IncomingMessage, body: string, url: URL) => Answer> = {
    'POST /mcp': (request, body) => {
      const token = request.headers.authorization?.replace(/^Bearer /, '')
      if (options.signIn && !tokens.has(token ?? '')) {
        const where = `Bearer resource_metadata="${base}/.well-known/oauth-protected-resource/mcp"`
        return { status: 401, headers: { 'www-authenticate': where } }
      }
      const { id, method, params } = JSON.parse(body) as {
        id?: number
        method: string
        params: { protocolVersion: string }
      }
      if (id === undefined) return { status: 202 }
      if (method === 'tools/call') seen.calls++
      const result = method === 'initialize'
        ? {
          protocolVersion: params.protocolVersion,
          capabilities: { tools: {} },
          serverInfo: { name: 'web', version: '2' },
        }
        : method === 'tools/list'
        ? { tools: [{ name: 'hello', inputSchema: { type: 'object' }, annotations: { readOnlyHint: true } }] }
        : { content: [{ type: 'text', text: 'hello from the web' }] }
      return { json: { jsonrpc: '2.0', id, result } }
    },
    'GET /.well-known/oauth-protected-resource/mcp': () => ({
      json: { resource: `${base}/mcp`, authorization_servers: [base], scopes_supported: ['tools'] },
    }),
    'GET /.well-known/oauth-authorization-server': () => ({
      json: {
        issuer: base,
        authorization_endpoint: `${base}/authorize`,
        token_endpoint: `${base}/token`,
        registration_endpoint: `${base}/register`,
        response_types_supported: ['code'],
        grant_types_supported: ['authorization_code', 'refresh_token'],
        code_challenge_methods_supported: ['S256'],
        token_endpoint_auth_methods_supported: ['none'],
      },
    }),
    'POST /register': (_, body) => {
      seen.registrations++
      return { status: 201, json: { ...JSON.parse(body) as object, client_id: randomUUID() } }
    },
    'GET /authorize': (_, __, { searchParams }) => {
      const code = randomUUID()
      const of = (name: string) => searchParams.get(name) ?? ''
      codes.set(code, { challenge: of('code_challenge'), redirect: of('redirect_uri'), resource: of('resource') })
      seen.resources.push(of('resource'))
      return { status: 302, headers: { location: `${of('redirect_uri')}?code=${code}&state=${of('state')}` } }
    },
    'POST /token': (_, body) => {
      const form = new URLSearchParams(body)
      const refused = { status: 400, json: { error: 'invalid_grant' } }
      if (form.get('grant_type') === 'refresh_token') {
        seen.refreshes++
        if (refreshTokens.delete(form.get('refresh_token') ?? '')) return issue()
        seen.reused++
        return refused
      }
      seen.exchanges++
      const code = codes.get(form.get('code') ?? '')
      codes.delete(form.get('code') ?? '')
      const verified = createHash('sha256').update(form.get('code_verifier') ?? '').digest('base64url')
      const good = code && code.challenge === verified && code.redirect === form.get('redirect_uri')
      return good && form.get('resource') === `${base}/mcp` ? issue() : refused
    },
    'GET /v0.1/servers': (_, __, { searchParams }) => ({
      json: {
        servers: [{ server: ENTRY, _meta: { q: searchParams.get('search') } }],
        metadata: { nextCursor: 'more', count: 1 },
      },
    }),
    'GET /v0.1/servers/io.example%2Fweather/versions/latest': () => ({ json: { server: ENTRY } }),
  }

  const server: Server = createServer((request, response) => {
    let body = ''
    request.on('data', (chunk: Uint8Array) => (body += new TextDecoder().decode(chunk)))
    request.on('end', () => {
      const url = new URL(request.url ?? '/', base)
      const answer = routes[`${request.method} ${url.pathname}`]?.(request, body, url) ?? { status: 404, json: {} }
      response.writeHead(answer.status ?? 200, { 'content-type': 'application/json', ...answer.headers })
      response.end(answer.json === undefined ? '' : JSON.stringify(answer.json))
    })
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`

  return {
    base,
    seen,
    /** As when time passes: only refresh tokens are good now. */
    expire: () => tokens.clear(),
    isToken: (text: string) => [...tokens, ...refreshTokens].some((token) => text.includes(token)),
    close: () =>
      new Promise<void>((done) => {
        server.close(() => done())
        server.closeAllConnections()
      }),
  }
}

const ENTRY = {
  name: 'io.example/weather',
  title: 'Weather',
  description: 'Forecasts',
  version: '1.2.3',
  packages: [
    {
      registryType: 'npm',
      identifier: '@example/weather',
      version: '1.2.3',
      transport: { type: 'stdio' },
      environmentVariables: [{ name: 'WEATHER_KEY', isRequired: true, isSecret: true, description: 'Your key' }],
      packageArguments: [{ type: 'named', name: '--units', valueHint: 'units', default: 'metric' }],
    },
    { registryType: 'npm', identifier: '--eval=evil', version: '1', transport: { type: 'stdio' } },
  ],
  remotes: [{
    type: 'streamable-http',
    url: 'https://{region}.weather.example/mcp',
    variables: { region: { description: 'eu or us' } },
  }],
}
