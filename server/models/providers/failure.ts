import type { FailureClass } from '../../../shared/turn-events.ts'
import { AppError } from '../../errors.ts'
import type { ModelEvent } from '../provider.ts'

export type Failed = Extract<ModelEvent, { type: 'failed' }>

/** Carries a failure out of the depths of an adapter; `stream` turns it into the last event. */
export class UpstreamFailure extends Error {
  readonly failed: Failed
  readonly timedOut: boolean

  constructor(failed: Omit<Failed, 'type'>, timedOut = false) {
    super(failed.message)
    this.timedOut = timedOut
    this.failed = { type: 'failed', ...failed }
  }
}

/** What upstreams say of an error, wherever they put it. */
export type ErrorBody = { code: string; type: string; message: string; status?: number }

type Classified = { class: FailureClass; message: string }

const OVERFLOW_CODES = new Set(['context_length_exceeded', 'exceed_context_size_error', 'request_too_large'])

/** Texts of OpenAI, Anthropic, Google, Mistral, vLLM, llama.cpp, Groq, OpenRouter and Bedrock for "too long". */
const OVERFLOW_TEXT =
  /maximum context length|context.?(length|window|size).{0,40}(exceed|too (long|small|large))|exceed.{0,40}context|prompt is too long|input is too long|too many (input )?tokens|reduce the length of the (messages|input|prompt)|exceeds the maximum number of tokens|exceeds? (the )?(model'?s? )?(max|maximum|token) (input|tokens?|prompt|limit)|prompt (has|contains) .{0,40}tokens/i

const QUOTA =
  /insufficient_quota|insufficient.?(credits?|balance|funds)|billing_error|credit balance is too low|exceeded your current quota/i

/** Reads `{error:{message,code,type}}`, `{error:'text'}`, `{message}`, `{detail}` and arrays of them; `undefined` for others. */
export function readErrorBody(body: unknown): ErrorBody | undefined {
  if (Array.isArray(body)) return readErrorBody(body[0])
  if (typeof body !== 'object' || body === null) return undefined
  const outer = body as Record<string, unknown>
  const inner = outer.error ?? outer
  if (typeof inner === 'string') return { code: '', type: '', message: inner }
  if (typeof inner !== 'object' || inner === null) return undefined
  const fields = inner as Record<string, unknown>
  const code = fields.code ?? fields.status ?? ''
  const message = fields.message ?? fields.detail ?? ''
  const status = Number(fields.code ?? fields.status)
  return {
    code: String(code),
    type: String(fields.type ?? ''),
    message: typeof message === 'string' ? message : JSON.stringify(message),
    ...(Number.isInteger(status) && status >= 400 && status < 600 ? { status } : {}),
  }
}

/** Class and message for people of an error that `host` answered with; `status` is undefined inside a stream. */
export function classify(host: string, status: number | undefined, error: ErrorBody): Classified {
  const code = status === undefined ? '' : ` (${status})`
  const words = `${error.code} ${error.type} ${error.message}`
  const said = error.message ? `: ${error.message}` : ''
  if (OVERFLOW_CODES.has(error.code) || OVERFLOW_CODES.has(error.type) || OVERFLOW_TEXT.test(error.message)) {
    return {
      class: 'context_overflow',
      message: `The conversation is too long for this model at ${host}${code}. Compact it or choose a larger model.`,
    }
  }
  if (status === 402 || QUOTA.test(words)) {
    return {
      class: 'limit',
      message: `The account at ${host} has no credit left${code}. Top it up, or choose another model.`,
    }
  }
  if (status === 401 || /authentication_error|invalid_api_key|unauthenticated/i.test(words)) {
    return { class: 'auth', message: `The key was refused by ${host}${code}. Check the key in Settings > Models.` }
  }
  if (status === 403 || /permission_(error|denied)/i.test(words)) {
    return {
      class: 'auth',
      message: `${host} does not allow this key to do that${code}${said}. Check the key in Settings > Models.`,
    }
  }
  if (status === 429 || /rate_limit|too_many_requests|resource_exhausted/i.test(words)) {
    return {
      class: 'rate_limited',
      message: `${host} is limiting requests${code}${said}. Wait a little and try again.`,
    }
  }
  if (status === 408) return { class: 'network', message: `${host} gave up waiting${code}${said}. Try again.` }
  if (status === 404 || /not_found|model_not_found/i.test(words)) {
    return {
      class: 'invalid',
      message: `${host} does not know this model or address${code}${said}. Check both in Settings > Models.`,
    }
  }
  if (status === 413) {
    return {
      class: 'context_overflow',
      message: `The request is too large for ${host}${code}. Compact the conversation.`,
    }
  }
  if ((status !== undefined && status >= 500) || /overloaded|server_error|api_error|timeout|unavailable/i.test(words)) {
    return {
      class: 'overloaded',
      message: `${host} has a problem of its own or is overloaded${code}${said}. Try again later.`,
    }
  }
  return { class: 'invalid', message: `${host} refused the request${code}${said}` }
}

/** Removes the key, and whatever looks like one, from text that an upstream wrote. */
export function redact(text: string, key: string | null): string {
  const clean = key && key.length >= 4 ? text.replaceAll(key, '[key]') : text
  return clean
    .replace(/\b(sk|pk|rk|gsk|xai|key|AIza)[-_][\w*.-]{6,}|\bAIza[\w-]{10,}/g, '[key]')
    .replace(/\bBearer\s+\S+/gi, 'Bearer [key]')
    .slice(0, 400)
}

/** Milliseconds to wait from `retry-after-ms` or `retry-after` (seconds or an HTTP date); undefined without either. */
export function retryAfter(headers: Headers, now = Date.now()): number | undefined {
  const exact = headers.get('retry-after-ms')
  if (exact && Number(exact) >= 0) return Math.round(Number(exact))
  const header = headers.get('retry-after')?.trim()
  if (!header) return undefined
  const seconds = Number(header)
  if (Number.isFinite(seconds)) return seconds >= 0 ? Math.round(seconds * 1000) : undefined
  const date = Date.parse(header)
  return Number.isNaN(date) ? undefined : Math.max(0, date - now)
}

/** The failure of a request that `host` answered with an error status. */
export function refusal(host: string, key: string | null, response: Response, text: string): UpstreamFailure {
  let body: unknown
  try {
    body = JSON.parse(text)
  } catch {
    body = undefined
  }
  // A proxy's HTML page says nothing to people.
  const plain = /^\s*</.test(text) ? '' : text.trim().slice(0, 300)
  const error = readErrorBody(body) ?? { code: '', type: '', message: plain }
  const wait = retryAfter(response.headers)
  return new UpstreamFailure({
    ...classify(host, response.status, { ...error, message: redact(error.message, key) }),
    status: response.status,
    ...(wait === undefined ? {} : { retry_after_ms: wait }),
  })
}

/** Why a host could not be reached, from whatever the runtime's `fetch` threw. */
export function unreachable(host: string, error: unknown): UpstreamFailure {
  if (error instanceof UpstreamFailure) return error
  const code = systemCode(error)
  const hint = code === 'ENOTFOUND' || code === 'EAI_AGAIN'
    ? 'Its name was not found. Check the address in Settings > Models and the network.'
    : code === 'ECONNREFUSED' || code === 'ConnectionRefused'
    ? 'Nothing listens there. Is it running? Check the address in Settings > Models.'
    : /CERT|TLS|SSL/i.test(code)
    ? 'Its certificate was not accepted.'
    : 'Check the network and the address in Settings > Models.'
  return new UpstreamFailure({
    class: 'network',
    message: `${host} could not be reached${code ? ` (${code})` : ''}. ${hint}`,
  })
}

function systemCode(error: unknown): string {
  for (let at = error; typeof at === 'object' && at !== null; at = (at as { cause?: unknown }).cause) {
    const code = (at as { code?: unknown }).code
    if (typeof code === 'string') return code
  }
  const text = error instanceof Error ? error.message : ''
  return /connection refused/i.test(text) ? 'ECONNREFUSED' : /dns|resolve|lookup/i.test(text) ? 'ENOTFOUND' : ''
}

/** The same failure for callers of `listModels`. */
export function asAppError(failure: UpstreamFailure): AppError {
  const { class: kind, message } = failure.failed
  const code = kind === 'auth' ? 'unauthorized' : failure.timedOut ? 'upstream_timeout' : 'bad_gateway'
  return new AppError(code, message, { cause: failure })
}
