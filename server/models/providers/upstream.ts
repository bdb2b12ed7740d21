import type { ModelEvent, ProviderSettings } from '../provider.ts'
import type { TokenUsage } from '../../../shared/turn-events.ts'
import { type Body, type Exchange, openExchange } from './exchange.ts'
import { asAppError, type Failed, redact, refusal, UpstreamFailure } from './failure.ts'
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

const LIST_MS = 20_000

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
    const type = response.headers.get('content-type') ?? ''
    if (/\bapplication\/json\b/i.test(type)) {
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
      if (!chunk && !finished) throw /\btext\/html\b/i.test(type) ? webPage(host) : cut(host)
    }
  } catch (error) {
    yield* out
    yield withUsage(explain(host, settings, exchange, error), decoder.usage())
  } finally {
    exchange.close(finished)
  }
}

const cut = (host: string): UpstreamFailure =>
  new UpstreamFailure({ class: 'network', message: `${host} ended its answer in the middle. Try again.` })

/** What most servers answer where their API is not. */
const webPage = (host: string): UpstreamFailure =>
  new UpstreamFailure({
    class: 'invalid',
    message: `${host} answered with a web page. Check the address in Settings > Models; most end in /v1.`,
  })

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
  const limit = Math.min(settings.first_byte_timeout_ms ?? LIST_MS, LIST_MS)
  const bounded = { ...settings, first_byte_timeout_ms: limit, idle_timeout_ms: limit }
  return await askJson(host, bounded, url, { method: 'GET', headers }, signal)
}

/** One request that is answered with JSON, whole; throws `AppError` with a message for people. */
export async function askJson(
  host: string,
  settings: ProviderSettings,
  url: string,
  init: { method: string; headers: Record<string, string>; body?: Body },
  signal: AbortSignal,
): Promise<unknown> {
  const exchange = openExchange(host, settings, signal)
  let finished = false
  try {
    const response = await exchange.send(url, init)
    if (!response.ok) throw refusal(host, settings.api_key, response, await exchange.text(64 * 1024))
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
