import { Buffer } from 'node:buffer'
import type { HttpRequest, PluginRoute } from '../../shared/plugin-routes.ts'

/** Never for a plugin: what lets somebody in here. */
const OURS = new Set(['cookie', 'x-api-key', 'api-key', 'x-openagent-token', 'proxy-authorization'])

/** The headers that the plugin gets, names in lower case. */
export function headersFor(
  { auth }: PluginRoute,
  headers: Headers,
  ownToken: string | undefined,
): Record<string, string> {
  const given: Record<string, string> = {}
  for (const [name, value] of headers) {
    if (OURS.has(name)) continue
    // A platform may send what it was told to; nobody else's reaches a plugin by mistake.
    if (name === 'authorization' && (auth === 'gateway' || isOwn(value, ownToken))) continue
    given[name] = value
  }
  return given
}

const isOwn = (authorization: string, ownToken: string | undefined): boolean =>
  /\bgk_/.test(authorization) || (ownToken !== undefined && authorization.includes(ownToken))

/** As text where the bytes are exactly that text in UTF-8, else as base64. */
export function encoded(bytes: Uint8Array): Pick<HttpRequest, 'body' | 'encoding'> {
  try {
    return { body: new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes), encoding: 'utf8' }
  } catch {
    return { body: Buffer.from(bytes).toString('base64'), encoding: 'base64' }
  }
}
