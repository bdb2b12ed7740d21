import { PluginError } from '../sdk/errors.ts'
import { sentOnce } from '../sdk/once.ts'
import { type Problem, refusalOf } from './refusal.ts'

type Arguments = Record<string, string | number | boolean | object | undefined>

/** Slack's Web API with one token. What Slack refuses is a `SlackRefusal`; no error holds the token. */
export type SlackApi = {
  /**
   * Calls a method; lists and objects among its arguments are written as JSON. With `once` it reaches Slack at most
   * once, for what can't be done twice without harm.
   */
  call<T = Record<string, unknown>>(
    method: string,
    args?: Arguments,
    options?: { timeoutMs?: number; once?: boolean },
  ): Promise<T>
  /** Hands over the bytes of a file that Slack keeps. */
  download<T>(url: string, take: (bytes: AsyncIterable<Uint8Array>) => Promise<T>): Promise<T>
  /** Puts the bytes where `files.getUploadURLExternal` said. */
  upload(url: string, bytes: Uint8Array): Promise<void>
  /** Whether an address is one of Slack's own; the token goes nowhere else. */
  isSlacks(url: string): boolean
}

const TIMEOUT_MS = 30_000
const FILE_TIMEOUT_MS = 120_000
/** Longer ones are asked again earlier than that. */
const USUAL_WAIT_MS = 5000

/** The API with one token, whose `name` is for messages; `root` is `https://slack.com/api`, or a proxy of the owner. */
export function createApi({ root, name, token, signal }: {
  root: string
  name: 'app token' | 'bot token'
  token: string
  signal: AbortSignal
}): SlackApi {
  const authorization = `Bearer ${token}`
  const own = new URL(root)

  function isSlacks(url: string): boolean {
    if (!URL.canParse(url)) return false
    const { protocol, host, hostname } = new URL(url)
    if (host === own.host) return protocol === own.protocol || protocol === own.protocol.replace('http', 'ws')
    return (protocol === 'https:' || protocol === 'wss:') && /(^|\.)slack\.com$/.test(hostname)
  }

  /** A redirect would take the token with it. */
  async function request<T>(url: string, init: RequestInit, read: (response: Response) => Promise<T>, timeout: number) {
    try {
      const response = await fetch(url, {
        ...init,
        redirect: 'manual',
        signal: AbortSignal.any([signal, AbortSignal.timeout(timeout)]),
      })
      return await read(response)
    } catch (error) {
      if (error instanceof PluginError) throw error
      if (signal.aborted) throw signal.reason
      throw new PluginError('not_connected', "Slack can't be reached, or does not answer", { cause: error })
    }
  }

  async function answerOf(response: Response): Promise<Problem & { ok?: boolean }> {
    const wait = Number(response.headers.get('retry-after') ?? NaN) * 1000
    if (response.status === 429) {
      await response.body?.cancel()
      throw refusalOf({ error: 'ratelimited' }, name, Number.isFinite(wait) ? wait : USUAL_WAIT_MS)
    }
    if (!response.ok) {
      await response.body?.cancel()
      throw new PluginError('not_connected', `Slack answered with status ${response.status}`)
    }
    return await response.json() as Problem & { ok?: boolean }
  }

  return {
    isSlacks,

    async call<T>(method: string, args: Arguments = {}, { timeoutMs = TIMEOUT_MS, once = false } = {}) {
      // Not every method reads JSON, but all of them read forms.
      const form = new URLSearchParams()
      for (const [key, value] of Object.entries(args)) {
        if (value !== undefined) form.set(key, typeof value === 'object' ? JSON.stringify(value) : String(value))
      }
      const headers = { authorization, 'content-type': 'application/x-www-form-urlencoded' }
      const init = { method: 'POST', headers, body: String(form) }
      const answer = await request(`${root}/${method}`, once ? sentOnce(init) : init, answerOf, timeoutMs)
      if (answer.ok !== true) throw refusalOf(answer, name)
      return answer as T
    },

    async download(url, take) {
      if (!isSlacks(url)) throw new PluginError('forbidden', 'The file is not kept by Slack')
      return await request(url, { headers: { authorization } }, async (response) => {
        // Without the scope for files, Slack leads to its login page.
        if (!response.ok || !response.body) {
          await response.body?.cancel()
          throw new PluginError('forbidden', `Slack answered with status ${response.status}`)
        }
        return await take(response.body)
      }, FILE_TIMEOUT_MS)
    },

    async upload(url, bytes) {
      if (!isSlacks(url)) throw new PluginError('forbidden', 'Slack named an address that is not its own')
      await request(url, { method: 'POST', body: bytes as Uint8Array<ArrayBuffer> }, async (response) => {
        await response.body?.cancel()
        if (!response.ok) throw new PluginError('not_connected', `Slack answered with status ${response.status}`)
      }, FILE_TIMEOUT_MS)
    },
  }
}
