import { createHmac } from 'node:crypto'
import { PluginError } from '../sdk/errors.ts'
import { sentOnce } from '../sdk/once.ts'
import { type GraphError, refusal } from './refusal.ts'

const TIMEOUT_MS = 20_000
const FILE_MS = 120_000
/** Beside the API itself, where the files of its media lie. */
const MEDIA_HOSTS = /(^|\.)(fbsbx\.com|facebook\.com|whatsapp\.net)$/

export type Graph = ReturnType<typeof createGraph>

/** The Graph API for one phone number. Fails as the core knows failures, and never with a secret in the words. */
export function createGraph({ root, version, phone, token, secret, signal }: {
  root: string
  version: string
  /** The id of the phone number. */
  phone: string
  token: string
  secret: string
  signal: AbortSignal
}) {
  const base = `${root.replace(/\/+$/, '')}/${version}`
  // Without it, whoever finds the token could use it; an app may be set to insist.
  const proof = createHmac('sha256', secret).update(token).digest('hex')

  async function request(url: string, init: RequestInit, timeoutMs = TIMEOUT_MS): Promise<Response> {
    let response: Response
    try {
      const headers = new Headers(init.headers)
      headers.set('authorization', `Bearer ${token}`)
      response = await fetch(url, {
        ...init,
        headers,
        signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs), ...(init.signal ? [init.signal] : [])]),
      })
    } catch (cause) {
      if (signal.aborted) throw signal.reason
      throw new PluginError('not_connected', `${new URL(url).host} can not be reached`, { cause })
    }
    if (response.ok) return response
    const { error = {} } = await response.json().catch(() => ({})) as { error?: GraphError }
    const seconds = Number(response.headers.get('retry-after'))
    throw refusal(error, response.status, seconds > 0 ? seconds * 1000 : undefined)
  }

  const address = (path: string, query: Record<string, string> = {}): string =>
    `${base}/${path}?${new URLSearchParams({ ...query, appsecret_proof: proof })}`

  async function json<T>(url: string, init: RequestInit, timeoutMs?: number): Promise<T> {
    const response = await request(url, init, timeoutMs)
    return await response.json().catch((cause) => {
      throw new PluginError('not_connected', 'Meta answered something that is no JSON', { cause })
    }) as T
  }

  return {
    /** What the number is called; the check that id, token and secret fit together. */
    number: (): Promise<{ display_phone_number?: string; verified_name?: string }> =>
      json(address(phone, { fields: 'display_phone_number,verified_name' }), {}),

    post: <T>(path: 'messages', body: Record<string, unknown>): Promise<T> =>
      json<T>(
        address(`${phone}/${path}`),
        sentOnce({
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify({ messaging_product: 'whatsapp', ...body }),
        }),
      ),

    /** Leaves a file at Meta and answers with its id there. */
    async upload(bytes: Uint8Array, mime: string, name: string): Promise<string> {
      const form = new FormData()
      form.set('messaging_product', 'whatsapp')
      form.set('type', mime)
      form.set('file', new Blob([bytes as Uint8Array<ArrayBuffer>], { type: mime }), name)
      const { id } = await json<{ id: string }>(address(`${phone}/media`), { method: 'POST', body: form }, FILE_MS)
      return id
    },

    /** A file that came in; undefined when it has more than `max` bytes. */
    async download(id: string, max: number, within: AbortSignal): Promise<ReadableStream<Uint8Array> | undefined> {
      const { url, file_size = 0 } = await json<{ url: string; file_size?: number | string }>(
        address(encodeURIComponent(id), { phone_number_id: phone }),
        { signal: within },
      )
      if (Number(file_size) > max) return undefined
      if (!isOfMeta(url, root)) throw new PluginError('platform_error', 'its address is none of Meta')
      const { body } = await request(url, { signal: within }, FILE_MS)
      if (!body) throw new PluginError('platform_error', 'it is empty')
      return body
    },
  }
}

/** The token goes along, so it must not go to anybody else. */
function isOfMeta(url: string, root: string): boolean {
  if (!URL.canParse(url)) return false
  const { protocol, hostname, origin } = new URL(url)
  return origin === new URL(root).origin || (protocol === 'https:' && MEDIA_HOSTS.test(hostname))
}
