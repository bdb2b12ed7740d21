import type { Problem } from '$shared/problem.ts'

export type Fetch = typeof fetch

/** The server's refusal, or (`status` 0) no answer at all. */
export class ApiError extends Error {
  /** HTTP status; 0 when the server could not be reached. */
  readonly status: number
  /** The server's code, or `network` / `timeout`. */
  readonly code: string
  /** Refused fields of the input, by JSON pointer. */
  readonly errors: { pointer: string; message: string }[]
  readonly requestId: string | undefined
  /** Seconds that the server asked to wait. */
  readonly retryAfter: number | undefined
  /** The body as it came, for answers whose failure has a shape of its own. */
  readonly body: unknown

  constructor(status: number, problem: Partial<Problem>, more: { retryAfter?: number; body?: unknown } = {}) {
    super(problem.detail || problem.error || problem.title || `The server answered ${status}`)
    this.name = 'ApiError'
    this.status = status
    this.code = problem.code ?? `http_${status}`
    this.errors = problem.errors ?? []
    this.requestId = problem.requestId || undefined
    this.retryAfter = more.retryAfter
    this.body = more.body
  }
}

export type Options = {
  query?: Record<string, string | number | boolean | null | undefined>
  headers?: Record<string, string>
  signal?: AbortSignal
  /** Milliseconds; 30,000 when left out, 0 for none. */
  timeout?: number
  /** Refuse the write when the resource has changed since this tag was read. */
  ifMatch?: string | null
  /** Leave a 401 to the caller instead of going to the login page. */
  stay?: boolean
}

/** An answer with the tag that a later write sends back as `ifMatch`. */
export type Tagged<T> = { data: T; etag: string | null }

let signedOut: () => void = () => {}

/** Sets what happens when the server no longer knows this browser; the shell goes to the login page. */
export function onSignedOut(listener: () => void): void {
  signedOut = listener
}

/** The typed client over one `fetch`: the page's own, or the one that `load` was given. */
export function api(fetch: Fetch = globalThis.fetch) {
  const json = async <T>(method: string, path: string, body: unknown, options?: Options): Promise<T> =>
    (await parse(await request(fetch, method, path, body, options))) as T
  return {
    get: <T>(path: string, options?: Options) => json<T>('GET', path, undefined, options),
    post: <T>(path: string, body?: unknown, options?: Options) => json<T>('POST', path, body ?? {}, options),
    put: <T>(path: string, body: unknown, options?: Options) => json<T>('PUT', path, body, options),
    patch: <T>(path: string, body: unknown, options?: Options) => json<T>('PATCH', path, body, options),
    delete: <T = unknown>(path: string, options?: Options) => json<T>('DELETE', path, undefined, options),
    getTagged: async <T>(path: string, options?: Options): Promise<Tagged<T>> => {
      const response = await request(fetch, 'GET', path, undefined, options)
      return { data: (await parse(response)) as T, etag: response.headers.get('etag') }
    },
    /** The response itself, for downloads and streams; failures throw as everywhere. */
    raw: (method: string, path: string, body?: unknown, options?: Options) =>
      request(fetch, method, path, body, options),
  }
}

export type Api = ReturnType<typeof api>

async function request(
  fetch: Fetch,
  method: string,
  path: string,
  body: unknown,
  { query, headers, signal, timeout = 30_000, ifMatch, stay }: Options = {},
): Promise<Response> {
  const plain = body === undefined || typeof body === 'string' || body instanceof FormData || body instanceof Blob
  const signals = [signal, timeout > 0 ? AbortSignal.timeout(timeout) : undefined].filter((one) => one !== undefined)
  let response: Response
  try {
    response = await fetch(withQuery(path, query), {
      method,
      headers: {
        accept: 'application/json',
        ...(plain ? {} : { 'content-type': 'application/json' }),
        ...(ifMatch ? { 'if-match': ifMatch } : {}),
        ...headers,
      },
      body: body === undefined ? undefined : plain ? body as BodyInit : JSON.stringify(body),
      signal: signals.length > 0 ? AbortSignal.any(signals) : undefined,
      // A deletion may be asked for by a page that closes.
      keepalive: method === 'DELETE',
    })
  } catch (error) {
    throw unreachable(error, signal)
  }
  if (response.ok) return response
  const failure = await failed(response)
  if (failure.status === 401 && !stay) signedOut()
  throw failure
}

function withQuery(path: string, query: Options['query']): string {
  const set = Object.entries(query ?? {}).filter(([, value]) => value !== undefined && value !== null && value !== '')
  if (set.length === 0) return path
  return `${path}?${new URLSearchParams(set.map(([name, value]) => [name, String(value)]))}`
}

function unreachable(error: unknown, signal: AbortSignal | undefined): unknown {
  if (signal?.aborted) return error
  if ((error as Error).name === 'TimeoutError') {
    return new ApiError(0, { code: 'timeout', detail: 'The server did not answer in time.' })
  }
  return new ApiError(0, { code: 'network', detail: 'The server cannot be reached.' })
}

async function failed(response: Response): Promise<ApiError> {
  const body = await response.json().catch(() => undefined) as Partial<Problem> | undefined
  const seconds = Number(response.headers.get('retry-after') ?? NaN)
  const problem = body && typeof body === 'object' ? body : {}
  return new ApiError(response.status, {
    ...problem,
    requestId: problem.requestId ?? response.headers.get('x-request-id') ?? undefined,
  }, { retryAfter: Number.isFinite(seconds) ? seconds : undefined, body })
}

async function parse(response: Response): Promise<unknown> {
  if (response.status === 204) return undefined
  const text = await response.text()
  return text === '' ? undefined : JSON.parse(text)
}
