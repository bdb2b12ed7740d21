import { AppError, type ErrorCode } from '../errors.ts'
import { docOf, type OperationDoc, takesKey } from '../http/operation.ts'
import { ANSWERS, answerSchema, type JsonSchema, OTHER_ANSWERS, refTo } from './answers.ts'
import { COMPONENTS } from './schemas.ts'

/** A route as the router holds it; several handlers may stand under one path. */
export type Route = { method: string; path: string; handler: unknown }

export type Parameter = {
  name: string
  in: 'path' | 'query' | 'header'
  required: boolean
  description?: string
  schema: JsonSchema
}

type Content = Record<string, { schema: JsonSchema }>

export type Response = { description: string; content?: Content }

export type Operation = {
  operationId: string
  summary: string
  description?: string
  tags: string[]
  parameters: Parameter[]
  requestBody?: { required: boolean; content: Content }
  responses: Record<string, Response>
  security: Record<string, string[]>[]
  /** `read`, `chat`, `admin`, `any` or `public`. */
  'x-scope': string
}

/** OpenAPI 3.1, as far as we use it. */
export type Document = {
  openapi: '3.1.0'
  info: { title: string; version: string; description: string; license: { name: string; identifier: string } }
  servers: { url: string }[]
  tags: { name: string }[]
  paths: Record<string, Record<string, Operation>>
  components: { schemas: Record<string, JsonSchema>; securitySchemes: Record<string, JsonSchema> }
}

type Convert = (schema: NonNullable<OperationDoc['body']>) => JsonSchema

/** Describes every route that was made with `operation`. */
export async function buildDocument(routes: readonly Route[], version: string): Promise<Document> {
  const { toJsonSchema, toJsonSchemaDefs } = await import('@valibot/to-json-schema')
  const overrideRef = ({ referenceId }: { referenceId: string }) => `#/components/schemas/${referenceId}`
  const definitions: Record<string, JsonSchema> = {}
  for (const [name, schema] of Object.entries(toJsonSchemaDefs(COMPONENTS, { errorMode: 'ignore', overrideRef }))) {
    definitions[name] = { ...schema }
  }
  const convert: Convert = (schema) => {
    const { $schema: _, ...rest } = toJsonSchema(schema, { typeMode: 'input', errorMode: 'ignore' }) as JsonSchema
    return rest
  }

  const paths: Document['paths'] = {}
  for (const { method, path, handler } of routes) {
    const doc = docOf(handler)
    if (!doc) continue
    const place = paths[path.replace(PARAMETER, '{$1}').replace(/\*$/, '{path}')] ??= {}
    place[method.toLowerCase()] = operationOf(method, path, doc, convert)
  }
  const tags = [...new Set(Object.values(paths).flatMap((place) => Object.values(place)).flatMap(({ tags }) => tags))]
  return {
    openapi: '3.1.0',
    info: {
      title: 'Gatehouse',
      version,
      description: 'The front door of a self-hosted AI agent. Errors are RFC 9457 problems: decide by `code`. ' +
        'Times are epoch seconds under `/api`, RFC 3339 under `/api/v1`.',
      license: { name: 'MIT', identifier: 'MIT' },
    },
    servers: [{ url: '/' }],
    tags: tags.sort().map((name) => ({ name })),
    paths,
    components: {
      schemas: { ...definitions, OpenAiError: OPENAI_ERROR },
      securitySchemes: {
        bearer: { type: 'http', scheme: 'bearer', description: 'An API key, or the owner’s GATEHOUSE_TOKEN' },
        apiKey: { type: 'apiKey', in: 'header', name: 'X-Api-Key', description: 'The same key in another header' },
        cookie: { type: 'apiKey', in: 'cookie', name: 'gatehouse_session', description: 'The session of a browser' },
      },
    },
  }
}

/** `:id`, `:id{[0-9]+}`, `:id?`. */
const PARAMETER = /:(\w+)(\{.*?\})?\??(?=\/|$)/g

function operationOf(method: string, path: string, doc: OperationDoc, convert: Convert): Operation {
  const tag = tagOf(path)
  const requestBody = BODIES[doc.id] ??
    (doc.body && { required: true, content: { 'application/json': { schema: convert(doc.body) } } })
  return {
    operationId: doc.id,
    summary: doc.summary,
    ...(doc.description ? { description: doc.description } : {}),
    tags: [tag],
    parameters: [...pathParameters(path), ...queryParameters(doc, convert), ...headers(method, doc)],
    ...(requestBody ? { requestBody } : {}),
    responses: { ...success(doc, convert), ...failures(doc, tag) },
    security: doc.scope === 'public' ? [] : [{ bearer: [] }, { apiKey: [] }, { cookie: [] }],
    'x-scope': doc.scope === 'converse' ? 'read or chat' : doc.scope,
  }
}

function tagOf(path: string): string {
  if (/^\/api\/(admin\/)?v1(\/|$)/.test(path)) return 'duragent'
  const [first = '', second = ''] = path.split('/').slice(1)
  if (first === 'v1') return 'openai'
  const name = first === 'api' ? second : first
  return OF_THE_SERVER.has(name) ? 'system' : name.replace(/\.\w+$/, '')
}

const OF_THE_SERVER = new Set(['livez', 'readyz', 'healthz', 'version', 'health', 'agent-info', 'metrics', 'restart'])

function pathParameters(path: string): Parameter[] {
  const named = [...path.matchAll(PARAMETER)].map(([, name, pattern]): Parameter => ({
    name: name!,
    in: 'path',
    required: true,
    schema: { type: pattern === '{[0-9]+}' ? 'integer' : 'string' },
  }))
  return path.endsWith('*')
    ? [...named, { name: 'path', in: 'path', required: true, schema: { type: 'string' } }]
    : named
}

function queryParameters({ query }: OperationDoc, convert: Convert): Parameter[] {
  if (!query) return []
  const { properties = {}, required = [] } = convert(query) as {
    properties?: Record<string, JsonSchema>
    required?: string[]
  }
  return Object.entries(properties).map(([name, { description, ...schema }]) => ({
    name,
    in: 'query',
    required: required.includes(name),
    ...(typeof description === 'string' ? { description } : {}),
    schema,
  }))
}

/** Headers that an operation reads, beside credentials. */
function headers(method: string, doc: OperationDoc): Parameter[] {
  const { id, media, ownKey } = doc
  const header = (name: string, description: string): Parameter => ({
    name,
    in: 'header',
    required: false,
    description,
    schema: { type: 'string' },
  })
  if (ownKey !== undefined) {
    const wait = header('Prefer', '`wait=N` waits up to N seconds for the answer')
    return [header('Idempotency-Key', ownKey), ...(id === 'sendMessage' ? [wait] : [])]
  }
  if (takesKey(method, doc)) {
    return [header('Idempotency-Key', 'A repeated request within 24 hours gets the answer of the first')]
  }
  if (id === 'followSession' || (id === 'follow' && media === 'text/event-stream')) {
    return [header('Last-Event-ID', 'Resumes after this offset')]
  }
  return []
}

/** Bodies that are not JSON. */
const BODIES: Record<string, NonNullable<Operation['requestBody']>> = {
  uploadFile: {
    required: true,
    content: {
      'multipart/form-data': {
        schema: {
          type: 'object',
          required: ['file'],
          properties: { file: { type: 'string', contentMediaType: 'application/octet-stream' } },
        },
      },
    },
  },
}

function success(doc: OperationDoc, convert: Convert): Record<string, Response> {
  const status = String(doc.status ?? 200)
  const words = typeof doc.returns === 'string' ? doc.returns : 'Done'
  if (status === '204') return { [status]: { description: 'Done' } }
  const media = doc.media ?? 'application/json'
  const json = media === 'application/json' || media === 'text/event-stream'
  const schema = typeof doc.returns === 'object'
    ? convert(doc.returns)
    : (json ? answerSchema(ANSWERS[doc.id] ?? words) : undefined) ??
      (media === 'application/json' ? {} : { type: 'string' })
  const others = Object.entries(OTHER_ANSWERS[doc.id] ?? {}).map(([other, shape]) => [
    other,
    { description: shape, content: { 'application/json': { schema: answerSchema(shape) ?? {} } } },
  ])
  return { ...Object.fromEntries(others), [status]: { description: words, content: { [media]: { schema } } } }
}

function failures(doc: OperationDoc, tag: string): Record<string, Response> {
  const codes = new Set<ErrorCode>(doc.errors)
  if (doc.body || doc.query) codes.add('invalid_input')
  if (doc.body) codes.add('bad_request').add('too_large').add('unsupported_media_type')
  if (doc.scope !== 'public') codes.add('unauthorized')
  if (doc.scope !== 'public' && doc.scope !== 'any') codes.add('forbidden')
  const byStatus = new Map<number, ErrorCode[]>()
  for (const code of codes) {
    const { status } = new AppError(code, '')
    byStatus.set(status, [...byStatus.get(status) ?? [], code])
  }
  const content: Content = tag === 'openai'
    ? { 'application/json': { schema: refTo('OpenAiError') } }
    : { 'application/problem+json': { schema: refTo('Problem') } }
  const sorted = [...byStatus].sort(([a], [b]) => a - b)
  return Object.fromEntries(sorted.map(([status, of]) => [status, { description: of.sort().join(', '), content }]))
}

const OPENAI_ERROR: JsonSchema = {
  type: 'object',
  required: ['error'],
  properties: {
    error: {
      type: 'object',
      required: ['message', 'type'],
      properties: {
        message: { type: 'string' },
        type: { type: 'string' },
        param: { type: ['string', 'null'] },
        code: { type: ['string', 'null'] },
      },
    },
  },
}
