import type { ProviderSettings } from '../provider.ts'
import { unreachable, UpstreamFailure } from './failure.ts'

type StopReason = 'aborted' | 'first_byte' | 'idle'

const FIRST_BYTE_MS = 300_000
const IDLE_MS = 120_000
const MAX_REDIRECTS = 3

/** What a request carries. */
export type Body = string | Uint8Array<ArrayBuffer>

/** One request to a provider: timeouts and the caller's abort end its reads and close its connection at once. */
export type Exchange = {
  /** Sends the request; follows redirects on the same host only, so that the key goes nowhere else. */
  send(url: string, init: { method: string; headers: Record<string, string>; body?: Body }): Promise<Response>
  /** The next bytes; undefined at the end. */
  read(): Promise<Uint8Array | undefined>
  /** The rest as text, cut at `limit` characters. */
  text(limit: number): Promise<string>
  /** `error` as a failure, which an abort or a timeout overrides. */
  failure(error: unknown): UpstreamFailure
  /** Ends it: lets a finished answer drain, so that the connection can be used again, and cuts any other. */
  close(finished: boolean): void
}

/** `first_byte_timeout_ms` counts until the first byte of the body, `idle_timeout_ms` between bytes after it. */
export function openExchange(host: string, settings: ProviderSettings, signal: AbortSignal): Exchange {
  const fetcher = settings.fetch ?? fetch
  const firstByteMs = settings.first_byte_timeout_ms ?? FIRST_BYTE_MS
  const idleMs = settings.idle_timeout_ms ?? IDLE_MS
  const controller = new AbortController()
  let reason: StopReason | undefined
  let reader: ReadableStreamDefaultReader<Uint8Array> | undefined
  let limit = firstByteMs
  /** When the wait for bytes began; 0 while the consumer, not the upstream, is being waited for. */
  let waiting = Date.now()
  let refuse: (why: Error) => void = () => {}

  const stop = (why: StopReason): void => {
    reason ??= why
    controller.abort()
    reader?.cancel().catch(() => {})
    refuse(new Error(why))
  }
  // Re-armed when it fires instead of at each chunk: a timer per token would cost more than the token.
  const watch = (): void => {
    const left = waiting === 0 ? limit : waiting + limit - Date.now()
    if (left <= 0) return stop(started ? 'idle' : 'first_byte')
    timer = setTimeout(watch, left)
  }
  let started = false
  let timer = setTimeout(watch, firstByteMs)
  const onAbort = (): void => stop('aborted')
  if (signal.aborted) stop('aborted')
  else signal.addEventListener('abort', onAbort, { once: true })

  const fetchOnce = (url: string, init: RequestInit): Promise<Response> => {
    if (reason) return Promise.reject(new Error(reason))
    // The race covers an injected fetch that does not listen to its signal.
    return new Promise((resolve, reject) => {
      refuse = reject
      fetcher(url, { ...init, redirect: 'manual', signal: controller.signal }).then(resolve, reject)
    })
  }

  return {
    async send(url, init) {
      started = false
      limit = firstByteMs
      waiting = Date.now()
      for (let hop = 0;; hop++) {
        const response = await fetchOnce(url, init)
        const target = response.status >= 300 && response.status < 400 ? response.headers.get('location') : null
        if (target === null) {
          reader = response.body?.getReader()
          return response
        }
        await response.body?.cancel()
        const next = new URL(target, url)
        if (hop >= MAX_REDIRECTS || !sameHost(new URL(url), next)) {
          throw new UpstreamFailure({
            class: 'invalid',
            message:
              `${host} redirects to ${next.host}. The key is not sent to another host; set that address in Settings > Models if it is meant.`,
            status: response.status,
          })
        }
        url = next.href
      }
    },
    async read() {
      if (!reader) return undefined
      waiting = Date.now()
      const { done, value } = await reader.read()
      waiting = 0
      if (reason) throw new Error(reason)
      if (!started) {
        started = true
        limit = idleMs
        clearTimeout(timer)
        timer = setTimeout(watch, idleMs)
      }
      return done ? undefined : value
    },
    async text(limit) {
      const decoder = new TextDecoder()
      let text = ''
      for (let chunk = await this.read(); chunk; chunk = await this.read()) {
        text += decoder.decode(chunk, { stream: true })
        if (text.length > limit) break
      }
      return text.slice(0, limit)
    },
    failure(error) {
      if (error instanceof UpstreamFailure) return error
      if (reason === 'aborted') return new UpstreamFailure({ class: 'network', message: 'aborted' })
      if (reason) {
        const message = reason === 'idle'
          ? `${host} sent nothing more within ${idleMs / 1000} s. Try again.`
          : `${host} did not answer within ${firstByteMs / 1000} s. Try again, or check that it is running.`
        return new UpstreamFailure({ class: 'network', message }, true)
      }
      if (started) {
        return new UpstreamFailure({
          class: 'network',
          message: `${host} broke off in the middle of its answer. Try again.`,
        })
      }
      return unreachable(host, error)
    },
    close(finished) {
      clearTimeout(timer)
      signal.removeEventListener('abort', onAbort)
      if (finished && reader) void drain(reader, controller)
      else controller.abort()
    },
  }
}

/** A cancelled body costs the connection; one that is read to its end keeps it for the next request. */
async function drain(reader: ReadableStreamDefaultReader<Uint8Array>, controller: AbortController): Promise<void> {
  const timer = setTimeout(() => {
    controller.abort()
    reader.cancel().catch(() => {})
  }, 1000)
  try {
    while (!(await reader.read()).done);
  } catch {
    // The answer was complete; what happens to the connection after it is nobody's loss.
  } finally {
    clearTimeout(timer)
  }
}

/** The same host and port, or the step from http to https on the same name. */
function sameHost(from: URL, to: URL): boolean {
  if (from.origin === to.origin) return true
  return from.hostname === to.hostname && from.protocol === 'http:' && to.protocol === 'https:' && to.port === ''
}
