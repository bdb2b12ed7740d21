import { Buffer } from 'node:buffer'
import type * as v from 'valibot'
import {
  type HttpAnswer,
  type HttpRequest,
  type HttpRouteDefinition,
  MAX_ANSWER_BODY,
} from '../../shared/plugin-routes.ts'
import type { CallContext } from './capabilities.ts'
import { PluginError } from './errors.ts'

/** A request for a route. The body is as it was sent, byte for byte. */
export type PluginRequest = {
  method: HttpRequest['method']
  /** Below the plugin's own address, as it was sent. */
  path: string
  /** Without the question mark, as it was sent. */
  query: string
  searchParams: URLSearchParams
  headers: Headers
  /** Address of the sender. */
  remote: string
  bytes(): Uint8Array
  text(): string
  /** Throws `PluginError` with code `invalid_request` when the body is no JSON. */
  json(): unknown
}

/** An answer: a `Response`, or its parts, or only its text. An object as body is sent as JSON; nothing at all is 204. */
export type PluginAnswer =
  | Response
  | string
  | { status?: number; headers?: Record<string, string>; body?: string | Uint8Array | object }
  | undefined
  | void

/** A route below the plugin's address; the manifest has to declare it. */
export type PluginHttpRoute = v.InferInput<typeof HttpRouteDefinition> & {
  handle(request: PluginRequest, context: CallContext): PluginAnswer | Promise<PluginAnswer>
}

/** What the core sent, with its body in the form that is asked for. */
export function requestOf({ body, encoding, headers, query, ...rest }: HttpRequest): PluginRequest {
  const bytes = () =>
    encoding === 'base64' ? new Uint8Array(Buffer.from(body, 'base64')) : new TextEncoder().encode(body)
  const text = () => encoding === 'base64' ? new TextDecoder().decode(bytes()) : body
  return {
    ...rest,
    query,
    searchParams: new URLSearchParams(query),
    headers: new Headers(headers),
    bytes,
    text,
    json() {
      try {
        return JSON.parse(text()) as unknown
      } catch (error) {
        throw new PluginError('invalid_request', `The body is no JSON: ${(error as Error).message}`)
      }
    },
  }
}

/** As the core takes it; throws `PluginError` with code `too_large`. */
export async function answerOf(answer: PluginAnswer): Promise<HttpAnswer> {
  if (answer === undefined || answer === null) return { status: 204, headers: {}, body: '', encoding: 'utf8' }
  if (answer instanceof Response) {
    const bytes = new Uint8Array(await answer.arrayBuffer())
    return { status: answer.status, headers: Object.fromEntries(answer.headers), ...packed(bytes) }
  }
  const { status = 200, headers = {}, body = '' } = typeof answer === 'string' ? { body: answer } : answer
  if (typeof body === 'string') return { status, headers, ...packed(new TextEncoder().encode(body)) }
  if (body instanceof Uint8Array) return { status, headers, ...packed(body) }
  const json = packed(new TextEncoder().encode(JSON.stringify(body)))
  return { status, headers: { 'content-type': 'application/json', ...headers }, ...json }
}

/** In the shorter of the two forms: text with many signs that JSON has to escape is longer than base64. */
function packed(bytes: Uint8Array): Pick<HttpAnswer, 'body' | 'encoding'> {
  if (bytes.byteLength > MAX_ANSWER_BODY) {
    throw new PluginError('too_large', `The answer has more than ${MAX_ANSWER_BODY} bytes`)
  }
  const base64 = () => ({ body: Buffer.from(bytes).toString('base64'), encoding: 'base64' as const })
  try {
    const body = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
    return JSON.stringify(body).length > bytes.byteLength * 4 / 3 + 4 ? base64() : { body, encoding: 'utf8' }
  } catch {
    return base64()
  }
}
