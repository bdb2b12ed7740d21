import type { ModelEvent, ProviderSettings } from '../provider.ts'
import type { TokenUsage } from '../../../shared/turn-events.ts'
import { asAppError, type Failed, redact, refusal, unreachable, UpstreamFailure } from './failure.ts'
import { createSseParser, SseTooLarge } from './sse-parser.ts'

/** Turns one vendor's stream into model events. */
export type Decoder = {
  /** Adds what one server-sent event says to `out`; throws `UpstreamFailure`. After a `finish` nothing more is read. */
  event(name: string, data: string, out: ModelEvent[]): void
  /** Reads an answer that came whole, as JSON, although a stream was asked for. Ends with `finish`. */
  whole(body: unknown, out: ModelEvent[]): void
  /** The stream ended by itself. Adds `finish` when the answer was complete; otherwise it counts as cut. */
  end(out: ModelEvent[]): void
  /** Tokens seen so far; undefined before anything was. */
  usage(): TokenUsage | undefined
}

type StopReason = 'aborted' | 'first_byte' | 'idle'

const FIRST_BYTE_MS = 300_000
const IDLE_MS = 120_000
const LIST_MS = 20_000
const MAX_REDIRECTS = 3

/** One request to a provider: timeouts and the caller's abort end its reads and close its connection at once. */
export type Exchange = {
  /** Sends the request; follows redirects on the same host only, so that the key goes nowhere else. */
  send(url: string, init: { method: string; headers: Record<string, string>; body?: string }): Promise<Response>
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
  let refuse = (_: Error): void => {}

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

/** Checks the status; throws the refusal that an error status means. */
export async function accept(
  host: string,
  key: string | null,
  exchange: Exchange,
  response: Response,
): Promise<Response> {
  if (response.status >= 200 && response.status < 300) return response
  throw refusal(host, key, response, await exchange.text(64 * 1024))
}

/**
 * Runs one streamed request from opening to its last event (see `ModelProvider`). `open` sends it and throws
 * `UpstreamFailure` for a refusal.
 */
export async function* streamUpstream(
  host: string,
  settings: ProviderSettings,
  signal: AbortSignal,
  open: (exchange: Exchange) => Promise<Response>,
  decoder: Decoder,
): AsyncGenerator<ModelEvent> {
  const exchange = openExchange(host, settings, signal)
  const out: ModelEvent[] = []
  let finished = false
  try {
    const response = await open(exchange)
    if (/\bapplication\/json\b/i.test(response.headers.get('content-type') ?? '')) {
      decoder.whole(JSON.parse(await exchange.text(64 * 1024 * 1024)), out)
      finished = true
      yield* out
      return
    }
    const parser = createSseParser()
    while (!finished) {
      const chunk = await exchange.read()
      const events = chunk ? parser.push(chunk) : parser.end()
      for (const { event, data } of events) {
        decoder.event(event, data, out)
        if (out.at(-1)?.type === 'finish') break
      }
      if (!chunk && out.at(-1)?.type !== 'finish') decoder.end(out)
      finished = out.at(-1)?.type === 'finish'
      for (const event of out) yield event
      out.length = 0
      if (!chunk && !finished) {
        throw new UpstreamFailure({ class: 'network', message: `${host} ended its answer in the middle. Try again.` })
      }
    }
  } catch (error) {
    yield* out
    yield withUsage(explain(host, settings, exchange, error), decoder.usage())
  } finally {
    exchange.close(finished)
  }
}

function explain(host: string, settings: ProviderSettings, exchange: Exchange, error: unknown): Failed {
  const garbled = error instanceof SseTooLarge || error instanceof SyntaxError
  const failed = garbled
    ? new UpstreamFailure({
      class: 'network',
      message: `${host} sent something that is not a valid answer. Try again.`,
    }).failed
    : exchange.failure(error).failed
  return { ...failed, message: redact(failed.message, settings.api_key) }
}

const withUsage = (failed: Failed, usage: TokenUsage | undefined): Failed => usage ? { ...failed, usage } : failed

/** Fetches JSON for `listModels`; throws `AppError` with a message for people. */
export async function getJson(
  host: string,
  settings: ProviderSettings,
  url: string,
  headers: Record<string, string>,
  signal: AbortSignal,
): Promise<unknown> {
  const bounded = { ...settings, first_byte_timeout_ms: Math.min(settings.first_byte_timeout_ms ?? LIST_MS, LIST_MS) }
  const exchange = openExchange(host, { ...bounded, idle_timeout_ms: bounded.first_byte_timeout_ms }, signal)
  let finished = false
  try {
    const response = await accept(
      host,
      settings.api_key,
      exchange,
      await exchange.send(url, { method: 'GET', headers }),
    )
    const text = await exchange.text(32 * 1024 * 1024)
    finished = true
    return JSON.parse(text)
  } catch (error) {
    if (error instanceof SyntaxError) {
      throw asAppError(
        new UpstreamFailure({
          class: 'invalid',
          message: `${host} did not answer with JSON. Check the address in Settings > Models.`,
        }),
      )
    }
    throw asAppError(exchange.failure(error))
  } finally {
    exchange.close(finished)
  }
}
