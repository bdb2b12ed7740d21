import { Buffer } from 'node:buffer'
import type { HttpAnswer } from '../../shared/plugin-routes.ts'

/** What a plugin may say about its answer. Everything else could reach beyond it: cookies, policies, the cache. */
const PASSED = new Set([
  'allow',
  'content-disposition',
  'content-language',
  'content-type',
  'etag',
  'last-modified',
  'location',
  'retry-after',
  // Handshakes of webhooks.
  'webhook-allowed-origin',
  'webhook-allowed-rate',
  'x-hook-secret',
])

/** Types that a page of this server would run or be drawn by; `nosniff` keeps it from any other. */
const ACTIVE = /script|css|wasm|multipart/i

const WITHOUT_BODY = new Set([204, 205, 304])

/**
 * A plugin's answer as the browser or the platform gets it. It comes from the origin of the control page, so whatever
 * it holds is drawn without scripts, forms or that origin's rights, and can't be loaded as a script or style.
 */
export function responseOf({ status, headers, body, encoding }: HttpAnswer): Response {
  const given = Object.entries(headers)
    .map(([name, value]): [string, string] => [name.trim().toLowerCase(), value])
    .filter(([name, value]) => PASSED.has(name) && isPlain(value) && (name !== 'location' || isAddress(value)))
  const all = new Headers(given)
  const type = all.get('content-type')
  if (!type || ACTIVE.test(type)) all.set('content-type', 'text/plain; charset=utf-8')
  all.set('content-security-policy', "sandbox; default-src 'none'")
  all.set('x-content-type-options', 'nosniff')
  all.set('cache-control', 'no-store')
  if (WITHOUT_BODY.has(status)) {
    all.delete('content-type')
    return new Response(null, { status, headers: all })
  }
  return new Response(encoding === 'base64' ? Buffer.from(body, 'base64') : body, { status, headers: all })
}

/** Printable ASCII, as every HTTP implementation takes it. */
const isPlain = (value: string): boolean => /^[\x20-\x7e]{0,4096}$/.test(value)

const isAddress = (value: string): boolean => {
  const url = URL.canParse(value, 'https://x') ? new URL(value, 'https://x') : undefined
  return url?.protocol === 'https:' || url?.protocol === 'http:'
}
