/** The part of JSON Schema that forms are drawn from; whatever else there is, is left to the tool. */
export type JsonSchema = {
  $ref?: string
  $defs?: Record<string, JsonSchema>
  definitions?: Record<string, JsonSchema>
  type?: string | string[]
  title?: string
  description?: string
  default?: unknown
  const?: unknown
  enum?: unknown[]
  format?: string
  pattern?: string
  minLength?: number
  maxLength?: number
  minimum?: number
  maximum?: number
  exclusiveMinimum?: number
  exclusiveMaximum?: number
  properties?: Record<string, JsonSchema>
  required?: string[]
  additionalProperties?: boolean | JsonSchema
  items?: JsonSchema
  minItems?: number
  maxItems?: number
  anyOf?: JsonSchema[]
  oneOf?: JsonSchema[]
  allOf?: JsonSchema[]
}

/** How a value is entered; `json` is what no other way fits. */
export type Kind = 'text' | 'lines' | 'number' | 'flag' | 'choice' | 'fixed' | 'list' | 'group' | 'json'

/** References that lead through more schemas than these are taken for a circle. */
const MOST_STEPS = 20
/** Texts that may be longer than this get several lines. */
const LONG = 500
/** Groups deeper than this are entered as JSON. */
export const DEEPEST = 5

/** A schema without its detours: references followed, a single `allOf` and "or null" taken away. */
export function plain(schema: JsonSchema, root: JsonSchema): JsonSchema {
  let now: JsonSchema = schema ?? {}
  for (let step = 0; step < MOST_STEPS; step++) {
    const next = detour(now, root)
    if (!next) return now
    const { $ref: _, allOf: __, anyOf: ___, oneOf: ____, ...own } = now
    now = { ...next, ...own }
  }
  return {}
}

function detour(schema: JsonSchema, root: JsonSchema): JsonSchema | undefined {
  if (typeof schema.$ref === 'string') return referred(schema.$ref, root) ?? {}
  if (schema.allOf?.length === 1) return schema.allOf[0]
  const real = (schema.anyOf ?? schema.oneOf)?.filter(({ type, const: only }) => type !== 'null' && only !== null)
  return real?.length === 1 ? real[0] : undefined
}

function referred(reference: string, root: JsonSchema): JsonSchema | undefined {
  if (!reference.startsWith('#')) return undefined
  let at: unknown = root
  for (const step of reference.slice(1).split('/').filter(Boolean)) {
    const key = decodeURIComponent(step).replaceAll('~1', '/').replaceAll('~0', '~')
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, key)) return undefined
    at = (at as Record<string, unknown>)[key]
  }
  return typeof at === 'object' && at !== null ? at : undefined
}

/** The type that is not null; undefined when there are several or none. */
export function typeOf({ type, properties, items }: JsonSchema): string | undefined {
  const types = (Array.isArray(type) ? type : type === undefined ? [] : [type]).filter((one) => one !== 'null')
  if (types.length > 1) return undefined
  return types[0] ?? (properties ? 'object' : items ? 'array' : undefined)
}

/** How a value of a plain schema is entered. */
export function kindOf(schema: JsonSchema, depth = 0): Kind {
  if ('const' in schema) return 'fixed'
  if (Array.isArray(schema.enum) && schema.enum.length > 0) return 'choice'
  switch (typeOf(schema)) {
    case 'string':
      return isLong(schema) ? 'lines' : 'text'
    case 'number':
    case 'integer':
      return 'number'
    case 'boolean':
      return 'flag'
    case 'array':
      return depth < DEEPEST && isObject(schema.items) ? 'list' : 'json'
    case 'object':
      return depth < DEEPEST && Object.keys(schema.properties ?? {}).length > 0 ? 'group' : 'json'
    default:
      return 'json'
  }
}

const isObject = (value: unknown): boolean => typeof value === 'object' && value !== null && !Array.isArray(value)

const isLong = ({ maxLength, format, description = '' }: JsonSchema): boolean =>
  format === undefined && ((maxLength ?? 0) > LONG || /\b(markdown|multi-?line|body|source code)\b/i.test(description))

/** Properties in their order, the required ones first. */
export function fieldsOf(schema: JsonSchema): { name: string; schema: JsonSchema; required: boolean }[] {
  const required = new Set(schema.required ?? [])
  const all = Object.entries(schema.properties ?? {}).map(([name, one]) => ({
    name,
    schema: one,
    required: required.has(name),
  }))
  return [...all.filter((one) => one.required), ...all.filter((one) => !one.required)]
}

/** What a new value of a plain schema begins as; undefined leaves it out. */
export function beginning(schema: JsonSchema, root: JsonSchema): unknown {
  if ('const' in schema) return schema.const
  if (schema.default !== undefined) return schema.default
  switch (kindOf(schema)) {
    case 'flag':
      return false
    case 'list':
      return []
    case 'group':
      return Object.fromEntries(
        fieldsOf(schema).filter(({ required }) => required)
          .map((field) => [field.name, beginning(plain(field.schema, root), root)] as const)
          .filter(([, value]) => value !== undefined),
      )
    default:
      return undefined
  }
}

/** `list of whole numbers`, `text, at most 200 characters`. */
export function typeWords(schema: JsonSchema, root: JsonSchema, depth = 0): string {
  if ('const' in schema) return `always ${JSON.stringify(schema.const)}`
  if (Array.isArray(schema.enum)) return `one of ${schema.enum.map((one) => JSON.stringify(one)).join(', ')}`
  const several = schema.anyOf ?? schema.oneOf
  if (several && depth < 2) return several.map((one) => typeWords(plain(one, root), root, depth + 1)).join(' or ')
  switch (typeOf(schema)) {
    case 'string':
      return ['text', schema.format, length(schema), schema.pattern && `like ${schema.pattern}`].filter(Boolean).join(
        ', ',
      )
    case 'integer':
      return ['whole number', range(schema)].filter(Boolean).join(', ')
    case 'number':
      return ['number', range(schema)].filter(Boolean).join(', ')
    case 'boolean':
      return 'yes or no'
    case 'array':
      return depth < 2 && isObject(schema.items)
        ? `list of ${typeWords(plain(schema.items!, root), root, depth + 1)}`
        : 'list'
    case 'object':
      return 'group of fields'
    default:
      return Array.isArray(schema.type) ? schema.type.join(' or ') : 'anything'
  }
}

/** What a form says below a field whose control already shows the type; empty when there is nothing to say. */
export function limitWords(schema: JsonSchema): string {
  switch (typeOf(schema)) {
    case 'string':
      return [length(schema), schema.pattern && `like ${schema.pattern}`].filter(Boolean).join(', ')
    case 'integer':
      return ['whole number', range(schema)].filter(Boolean).join(', ')
    case 'number':
      return ['number', range(schema)].filter(Boolean).join(', ')
    case 'array':
      return schema.maxItems === undefined ? '' : `at most ${schema.maxItems}`
    default:
      return ''
  }
}

function length({ minLength, maxLength }: JsonSchema): string | undefined {
  // One character is what "is needed" says.
  if (minLength && minLength > 1 && maxLength) return `${minLength} to ${maxLength} characters`
  if (maxLength) return `at most ${maxLength} characters`
  return minLength && minLength > 1 ? `at least ${minLength} characters` : undefined
}

function range({ minimum, maximum }: JsonSchema): string | undefined {
  if (minimum !== undefined && maximum !== undefined) return `${minimum} to ${maximum}`
  if (maximum !== undefined) return `at most ${maximum}`
  return minimum !== undefined ? `at least ${minimum}` : undefined
}
