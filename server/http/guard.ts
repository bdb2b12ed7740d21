import ipaddr from 'ipaddr.js'
import type { Context, MiddlewareHandler } from 'hono'
import { AppError } from '../errors.ts'
import { isAmbient, isSameOrigin } from './browser.ts'
import type { AppEnv } from './env.ts'
import { setHeaders } from './headers.ts'
import type { MethodsOf } from './methods.ts'
import { problem } from './on-error.ts'
import { peerOf } from './peer.ts'

/** Read at each request, so that a changed configuration counts at once. */
export type GuardOptions = {
  /** Names that this server may be called by, beside loopback names and IP addresses: the bound host, `public_url`… */
  allowedHosts: () => readonly string[]
  /** Addresses, CIDR ranges or `loopback`, whose `X-Forwarded-*` headers count. */
  trustedProxies: () => readonly string[]
  /** Origins whose pages may read answers with a token. Empty or `*` means all: cookies never cross origins anyway. */
  corsOrigins: () => readonly string[]
  /** What OPTIONS answers of a path. */
  methodsOf: MethodsOf
}

/** The first check of requests and of WebSockets. */
export type Guard = {
  middleware: MiddlewareHandler<AppEnv>
  /** The same checks for a WebSocket, before its handshake; a `Response` refuses it. */
  checkUpgrade(request: Request, info: { remoteAddress: string }): Response | undefined
}

const METHODS = 'GET, POST, PUT, PATCH, DELETE, OPTIONS'

/** What clients of us, of OpenAI and of MCP send; no wildcard names `x-stainless-*`, so asked ones are echoed. */
const REQUEST_HEADERS =
  'content-type, authorization, if-match, if-none-match, idempotency-key, prefer, last-event-id, x-api-key, api-key, ' +
  'x-openagent-token, x-openagent-handle, x-request-id, traceparent, openai-organization, openai-project, ' +
  'openai-beta, mcp-session-id, mcp-protocol-version'

const EXPOSED =
  'x-request-id, retry-after, etag, location, link, idempotent-replayed, mcp-session-id, www-authenticate, ' +
  'x-ratelimit-limit-requests, x-ratelimit-limit-tokens, x-ratelimit-remaining-requests, ' +
  'x-ratelimit-remaining-tokens, x-ratelimit-reset-requests, x-ratelimit-reset-tokens, ratelimit, ratelimit-policy'

const SECURITY = [
  ['x-content-type-options', 'nosniff'],
  ['referrer-policy', 'no-referrer'],
  ['x-frame-options', 'DENY'],
  ['permissions-policy', 'camera=(), geolocation=(), microphone=(self), payment=(), usb=()'],
  ['cross-origin-opener-policy', 'same-origin'],
] as const

const SAME_ORIGIN = [...SECURITY, ['cross-origin-resource-policy', 'same-origin']] as const

/**
 * The first check of every request: the Host header against DNS rebinding (421), security headers, CORS.
 * A page that a stranger's DNS points at this address has the stranger's name in Host; our own names are known.
 */
export function createGuard(options: GuardOptions): Guard {
  const isKnownHost = hostCheck(options.allowedHosts)

  const allowsOrigin = (origin: string): string | undefined => {
    const origins = options.corsOrigins()
    if (origins.length === 0 || origins.includes('*')) return '*'
    return origins.includes(origin) ? origin : undefined
  }

  const middleware: MiddlewareHandler<AppEnv> = async (c, next) => {
    const origin = c.req.header('origin')
    const cors = origin === undefined ? undefined : allowsOrigin(origin)
    const request = c.req.raw
    const remoteAddress = (c.env as { remoteAddress?: string } | undefined)?.remoteAddress ?? ''
    const { host } = peerOf(request, remoteAddress, options.trustedProxies())
    if (!isKnownHost(host)) {
      c.res = problem(unknownHost(host), c.req.path, c.var.requestId ?? '')
    } else if (c.req.method === 'OPTIONS') c.res = optionsOf(c, options.methodsOf(c.req.path))
    else await next()
    if (cors === undefined) setHeaders(c, SAME_ORIGIN)
    else setHeaders(c, [...SECURITY, ...corsHeaders(cors)])
  }

  const checkUpgrade: Guard['checkUpgrade'] = (request, { remoteAddress }) => {
    const peer = peerOf(request, remoteAddress, options.trustedProxies())
    const path = new URL(request.url).pathname
    if (!isKnownHost(peer.host)) return problem(unknownHost(peer.host), path, '')
    if (isAmbient(request) && !isSameOrigin(request, peer)) return problem(foreignOrigin(), path, '')
  }

  return { middleware, checkUpgrade }
}

/** The refusal of a browser's request that another site caused. */
export const foreignOrigin = (): AppError =>
  new AppError(
    'forbidden',
    'This request came from another site. If a proxy serves this page, list it in server.trusted_proxies ' +
      'and let it send X-Forwarded-Proto and X-Forwarded-Host.',
  )

const unknownHost = (host: string): AppError =>
  new AppError(
    'misdirected',
    `This server is not known as "${
      host.slice(0, 100)
    }". Add the name to server.allowed_hosts, or set server.public_url.`,
  )

/** A browser's preflight is answered for every path: the request after it says better what is wrong. */
function optionsOf(c: Context<AppEnv>, methods: string[]): Response {
  if (c.req.header('access-control-request-method') !== undefined) return preflight(c.req.raw)
  if (methods.length > 0) return new Response(null, { status: 204, headers: { allow: methods.join(', ') } })
  return problem(new AppError('not_found', `There is no ${c.req.path}`), c.req.path, c.var.requestId ?? '')
}

function preflight(request: Request): Response {
  const asked = (request.headers.get('access-control-request-headers') ?? '').toLowerCase().split(',')
  const extra = asked.map((name) => name.trim()).filter((name) => /^x-stainless-[\w-]{1,60}$/.test(name))
  return new Response(null, {
    status: 204,
    headers: {
      'access-control-allow-methods': METHODS,
      'access-control-allow-headers': [REQUEST_HEADERS, ...extra].join(', '),
      'access-control-max-age': '600',
    },
  })
}

const corsHeaders = (origin: string): (readonly [string, string])[] => [
  ['cross-origin-resource-policy', 'cross-origin'],
  ['access-control-allow-origin', origin],
  ['access-control-expose-headers', EXPOSED],
  ...(origin === '*' ? [] : [['vary', 'Origin']] as const),
]

/** Remembers answers, for the same few names come with every request; forgets when the configuration changes. */
function hostCheck(allowedHosts: () => readonly string[]): (host: string) => boolean {
  let seen = new Map<string, boolean>()
  let seenFor = ''
  return (host) => {
    const allowed = allowedHosts()
    const config = allowed.join()
    if (config !== seenFor || seen.size > 500) {
      seen = new Map()
      seenFor = config
    }
    let known = seen.get(host)
    if (known === undefined) {
      known = isKnown(host, allowed)
      seen.set(host, known)
    }
    return known
  }
}

function isKnown(host: string, allowed: readonly string[]): boolean {
  const name = host.replace(/:\d*$/, '').replace(/^\[(.*)\]$/, '$1').replace(/\.$/, '')
  if (name === 'localhost' || name.endsWith('.localhost') || ipaddr.isValid(name)) return true
  return allowed.some((entry) => {
    const wanted = entry.toLowerCase().replace(/^https?:\/\//, '').replace(/\/.*$/, '')
    if (wanted === '*' || wanted === host) return true
    const wantedName = wanted.replace(/:\d*$/, '')
    return wantedName.startsWith('*.') ? name.endsWith(wantedName.slice(1)) : wantedName === name
  })
}
