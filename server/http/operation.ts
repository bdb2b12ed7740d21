import type { Context, MiddlewareHandler } from 'hono'
import * as v from 'valibot'
import { can, demand, type Scope } from '../auth/principal.ts'
import { AppError, type ErrorCode, type FieldError, invalid } from '../errors.ts'
import type { AppEnv } from './env.ts'
import { messageOf } from './refusal-words.ts'
import { endSignals } from './stream-signal.ts'

type Schema = v.GenericSchema<unknown, unknown>
type Out<S> = S extends Schema ? v.InferOutput<S> : never

/** What OpenAPI and the tests need to know of one route; the handler behind it sees only valid input. */
export type OperationDoc = {
  /** Stable `operationId`. */
  id: string
  summary: string
  description?: string
  /**
   * `public` routes answer without a principal, `any` ones whatever scopes it has, and `converse` ones to `read` and to
   * `chat`: who may talk may see what it is answered.
   */
  scope: Scope | 'converse' | 'any' | 'public'
  body?: Schema
  query?: Schema
  /** Success status; 200 when left out. */
  status?: number
  /** A schema of the answer, or what it is in words. */
  returns?: Schema | string
  /** Media type of the answer when it is not JSON. */
  media?: string
  errors?: ErrorCode[]
  /** Largest accepted body in bytes; 2 MiB when left out. */
  limit?: number
  /** What `Idempotency-Key` does, for a route that keeps its keys itself, with what they stand for. */
  ownKey?: string
}

/** Whether a repeated request is known by its `Idempotency-Key` (see `kept-answers.ts`); a stranger has none. */
export const takesKey = (method: string, { scope, ownKey }: OperationDoc): boolean =>
  method === 'POST' && scope !== 'public' && ownKey === undefined

const DOC = Symbol.for('gatehouse.operation')

/** The documentation that a route handler carries, if it was made by `operation`. */
export const docOf = (handler: unknown): OperationDoc | undefined =>
  (handler as { [DOC]?: OperationDoc } | undefined)?.[DOC]

type Route = { method: string; path: string; handler: unknown }

/** Tells which requests a stranger may make, from the documentation of the routes. */
export function publicPaths(routes: readonly Route[]): (request: { method: string; path: string }) => boolean {
  const named = routes.filter((route) => docOf(route.handler)?.scope === 'public').map(nameOf)
  const open = new Set(named)
  const patterns = named.filter((name) => /[:*]/.test(name)).map(patternOf)
  return ({ method, path }) => {
    const name = nameOf({ method: method === 'HEAD' ? 'GET' : method, path })
    return open.has(name) || patterns.some((pattern) => pattern.test(name))
  }
}

const nameOf = ({ method, path }: Pick<Route, 'method' | 'path'>): string => `${method} ${path}`

/** `GET /a/:b/*` with any segment for `:b`, and anything below it. */
const patternOf = (name: string): RegExp =>
  new RegExp(`^${name.replace(/[.+]/g, '\\$&').replace(/:\w+/g, '[^/]+').replace(/\/\*$/, '(/.*)?')}$`)

/**
 * The first handler of every route: checks the scope, then parses query and body against their schemas.
 * Throws `forbidden`, `invalid_input` (each refused field named), `too_large`, `unsupported_media_type`.
 */
export function operation<B extends Schema | undefined = undefined, Q extends Schema | undefined = undefined>(
  doc: OperationDoc & { body?: B; query?: Q },
): MiddlewareHandler<AppEnv, string, { in: { json: Out<B>; query: Out<Q> }; out: { json: Out<B>; query: Out<Q> } }> {
  const middleware: MiddlewareHandler<AppEnv> = async (c, next) => {
    demandScope(doc.scope, c)
    if (doc.query) c.req.addValidatedData('query', check(doc.query, c.req.query(), 'query'))
    const body = doc.body && await readJson(c, doc.limit)
    if (doc.body) c.req.addValidatedData('json', check(doc.body, body, 'body'))
    const kept = takesKey(c.req.method, doc) ? c.var.keptAnswers : undefined
    const known = kept ? await kept.once(c, body, next) : await next()
    endSignals(c)
    return known
  }
  return Object.assign(middleware, { [DOC]: doc }) as never
}

function check(schema: Schema, value: unknown, where: string): object {
  // The validator takes a list for an object whose fields may all be left out.
  if (Array.isArray(value) && schema.type.endsWith('object')) throw invalid(where, 'must be an object')
  const result = v.safeParse(schema, value, { abortPipeEarly: true })
  if (result.success) return result.output as object
  const errors: FieldError[] = result.issues.slice(0, 20).map((issue) => ({
    pointer: '/' + (issue.path ?? []).map((step) => String(step.key)).join('/'),
    message: messageOf(issue),
  }))
  const first = errors[0]!
  const field = first.pointer.slice(1).replaceAll('/', '.') || where
  throw new AppError('invalid_input', `${field}: ${first.message}`, { errors })
}

function demandScope(scope: OperationDoc['scope'], c: Context<AppEnv>): void {
  if (scope === 'public' || scope === 'any') return
  if (scope === 'converse') return can(c.var.caller, 'chat') ? undefined : demand(c.var.caller, 'read')
  demand(c.var.caller, scope)
}

const MAX_DEPTH = 64

/** The JSON body; an empty one reads as `{}` so that bodies made only of optional fields may be left out. */
export async function readJson(c: Context, limit = 2 * 1024 * 1024): Promise<unknown> {
  const bytes = await readBytes(c, limit)
  if (bytes.byteLength === 0) return {}
  const type = c.req.header('content-type') ?? ''
  if (!/^(application\/([\w.+-]+\+)?json|text\/plain)\b/i.test(type)) {
    throw new AppError('unsupported_media_type', 'Send the body as JSON, with content-type: application/json')
  }
  return parseJson(bytes)
}

/** The body as text, for routes that take another format; throws `bad_request` for bad UTF-8, `too_large`. */
export const readText = async (c: Context, limit: number): Promise<string> => decode(await readBytes(c, limit))

function decode(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    throw new AppError('bad_request', 'The body is not valid UTF-8')
  }
}

/** Parses UTF-8 JSON; throws `bad_request` for bad UTF-8, bad JSON and nesting deeper than 64. */
export function parseJson(bytes: Uint8Array | string): unknown {
  const text = typeof bytes === 'string' ? bytes : decode(bytes)
  if (tooDeep(text)) throw new AppError('bad_request', `The body is nested deeper than ${MAX_DEPTH} levels`)
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new AppError('bad_request', `The body is not valid JSON: ${(error as Error).message.slice(0, 200)}`)
  }
}

/** Counts brackets outside strings before parsing, for a runtime's own parser may overflow its stack. */
function tooDeep(text: string): boolean {
  let depth = 0
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code === 0x22) {
      for (i++; i < text.length && text.charCodeAt(i) !== 0x22; i++) if (text.charCodeAt(i) === 0x5c) i++
    } else if (code === 0x7b || code === 0x5b) {
      if (++depth > MAX_DEPTH) return true
    } else if (code === 0x7d || code === 0x5d) depth--
  }
  return false
}

/** The body as it came, for routes that take any format; throws `too_large`. */
export async function readBytes(c: Context, limit: number): Promise<Uint8Array> {
  try {
    return await readLimited(c, limit)
  } catch (error) {
    if (error instanceof AppError) throw error
    throw new AppError('bad_request', 'The body ended before it was complete; send it again', { cause: error })
  }
}

async function readLimited(c: Context, limit: number): Promise<Uint8Array> {
  const refuse = () => new AppError('too_large', `The body is larger than ${limit} bytes`)
  const declared = c.req.header('content-length')
  if (declared !== undefined) {
    if (Number(declared) > limit) throw refuse()
    return new Uint8Array(await c.req.arrayBuffer())
  }
  const stream = c.req.raw.body
  if (!stream) return new Uint8Array()
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of stream as unknown as AsyncIterable<Uint8Array>) {
    size += chunk.byteLength
    if (size > limit) throw refuse()
    chunks.push(chunk)
  }
  const all = new Uint8Array(size)
  let at = 0
  for (const chunk of chunks) {
    all.set(chunk, at)
    at += chunk.byteLength
  }
  return all
}
