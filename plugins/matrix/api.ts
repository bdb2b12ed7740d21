import { PluginError } from '../sdk/errors.ts'

/** One call of the client–server API: `path` is below `/_matrix/`, its parts are escaped by `path`. */
export type MatrixApi = {
  call<T = Record<string, unknown>>(
    method: 'GET' | 'POST' | 'PUT',
    path: string,
    options?: { body?: unknown; query?: Record<string, string | undefined>; timeoutMs?: number },
  ): Promise<T>
  /** The bytes of a file; undefined when it has more than `max`. */
  download(path: string): Promise<AsyncIterable<Uint8Array>>
  upload(bytes: Uint8Array, type: string, name: string): Promise<string>
}

const TIMEOUT_MS = 30_000
/** For a whole file, in either direction. */
const FILE_MS = 120_000

/** Joins the parts of a path, which may hold any character. */
export const path = (strings: TemplateStringsArray, ...values: string[]): string =>
  strings.map((part, i) => part + (i < values.length ? encodeURIComponent(values[i]!) : '')).join('')

/** The API of one account. Fails as the core knows failures; never with the token in it. */
export function createApi({ homeserver, token, signal }: {
  homeserver: string
  token: string
  signal: AbortSignal
}): MatrixApi {
  const root = homeserver.replace(/\/+$/, '')

  async function request(path: string, init: RequestInit, timeoutMs = TIMEOUT_MS): Promise<Response> {
    let response: Response
    try {
      response = await fetch(`${root}/_matrix/${path}`, {
        ...init,
        headers: { authorization: `Bearer ${token}`, ...init.headers },
        signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
      })
    } catch (cause) {
      if (signal.aborted) throw signal.reason
      throw new PluginError('not_connected', `${new URL(root).host} can not be reached`, { cause })
    }
    if (response.ok) return response
    const problem = await response.json().catch(() => ({})) as Problem
    throw refusal(response.status, problem)
  }

  return {
    async call<T>(method: string, path: string, { body, query = {}, timeoutMs }: {
      body?: unknown
      query?: Record<string, string | undefined>
      timeoutMs?: number
    } = {}) {
      const given = Object.entries(query).filter((entry): entry is [string, string] => entry[1] !== undefined)
      const search = given.length > 0 ? `?${new URLSearchParams(given)}` : ''
      const init = body === undefined
        ? { method }
        : { method, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }
      const response = await request(path + search, init, timeoutMs)
      return await response.json() as T
    },

    async download(path) {
      const { body } = await request(path, { method: 'GET' }, FILE_MS)
      if (!body) throw new PluginError('platform_error', 'the answer has no body')
      return body
    },

    async upload(bytes, type, name) {
      const response = await request(`media/v3/upload?${new URLSearchParams({ filename: name })}`, {
        method: 'POST',
        headers: { 'content-type': type },
        body: bytes as Uint8Array<ArrayBuffer>,
      }, FILE_MS)
      return (await response.json() as { content_uri: string }).content_uri
    },
  }
}

type Problem = { errcode?: string; error?: string; retry_after_ms?: number }

const CODES: Record<string, string> = {
  M_UNKNOWN_TOKEN: 'unauthorized',
  M_MISSING_TOKEN: 'unauthorized',
  M_USER_DEACTIVATED: 'unauthorized',
  M_LIMIT_EXCEEDED: 'rate_limited',
  M_FORBIDDEN: 'forbidden',
  M_NOT_FOUND: 'chat_not_found',
  M_TOO_LARGE: 'too_large',
  M_BAD_JSON: 'invalid_request',
  M_INVALID_PARAM: 'invalid_request',
}

function refusal(status: number, { errcode = '', error = `status ${status}`, retry_after_ms }: Problem): PluginError {
  const code = CODES[errcode] ?? (status === 429 ? 'rate_limited' : status >= 500 ? 'not_connected' : 'platform_error')
  return new PluginError(code, [errcode, error].filter(Boolean).join(': '), {
    ...(retry_after_ms === undefined ? {} : { retryAfterMs: retry_after_ms }),
  })
}
