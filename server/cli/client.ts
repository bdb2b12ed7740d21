import type { Problem } from '../../shared/problem.ts'
import { cleanLine } from './clean.ts'
import { CliError, EXIT } from './exit-codes.ts'
import type { Target } from './target.ts'

export type RequestOptions = {
  /** Sent as JSON. */
  body?: unknown
  headers?: Record<string, string>
  signal?: AbortSignal
}

/** The API as the commands use it; failures are `CliError` with the exit code that fits. */
export type Client = {
  /** Where requests go now. */
  target(): Promise<Target>
  request(method: string, path: string, options?: RequestOptions): Promise<Response>
  /** The JSON of an answer. */
  get<T>(path: string, options?: RequestOptions): Promise<T>
  send<T>(method: string, path: string, body?: unknown, options?: RequestOptions): Promise<T>
}

/** Looks the server up at the first request, and again when it is gone or knows the key no more: it may have restarted. */
export function createClient(find: () => Promise<Target>): Client {
  let found: Promise<Target> | undefined
  const target = (): Promise<Target> => found ??= find()

  async function request(method: string, path: string, options: RequestOptions = {}): Promise<Response> {
    const to = await target()
    const response = await ask(to, method, path, options).catch((error: unknown) => {
      found = undefined
      throw error
    })
    if (response.ok) return response
    if (response.status === 401) {
      found = undefined
      const now = await target()
      if (now.token !== to.token) return request(method, path, options)
    }
    throw await refusal(response, to)
  }

  async function json<T>(method: string, path: string, options?: RequestOptions): Promise<T> {
    const response = await request(method, path, options)
    const text = await response.text()
    try {
      return JSON.parse(text) as T
    } catch {
      throw new CliError(EXIT.failed, `${(await target()).url} does not answer as Gatehouse does`)
    }
  }

  return {
    target,
    request,
    get: (path, options) => json('GET', path, options),
    send: (method, path, body, options) => json(method, path, { ...options, body }),
  }
}

async function ask(to: Target, method: string, path: string, options: RequestOptions): Promise<Response> {
  const { body, signal } = options
  const headers: Record<string, string> = { 'user-agent': 'gatehouse-cli', ...options.headers }
  if (to.token) headers.authorization = `Bearer ${to.token}`
  if (body !== undefined) headers['content-type'] ??= 'application/json'
  try {
    return await fetch(to.url + path, {
      method,
      headers,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      ...(signal ? { signal } : {}),
    })
  } catch (error) {
    if (signal?.aborted) throw error
    throw noServer(to)
  }
}

/** Nobody answers at the address. */
export const noServer = ({ url }: Target): CliError =>
  new CliError(EXIT.noServer, `No Gatehouse answers at ${url}. Start one with: npm start (or: gatehouse serve)`)

async function refusal(response: Response, to: Target): Promise<CliError> {
  const problem = await response.json().catch(() => ({})) as Partial<Problem>
  const detail = cleanLine(problem.detail ?? problem.error ?? `${to.url} answered ${response.status}`)
  const code = problem.code ?? ''
  if (response.status === 401) {
    const mend = to.token
      ? 'The key was not accepted; make one in the web page under Settings, or see: gatehouse help keys create'
      : 'Give a key with --token or GATEHOUSE_TOKEN'
    return new CliError(EXIT.notAllowed, `${to.url} wants a valid credential. ${mend}`, code)
  }
  return new CliError(response.status === 403 ? EXIT.notAllowed : EXIT.failed, detail, code)
}
