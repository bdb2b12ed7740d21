import type { ErrorObject } from 'ajv'
import type { FieldError } from '../errors.ts'

/** Nodes that a schema may have once every `$ref` is written out. */
const MAX_NODES = 1000
/** Nodes of the schema times nodes of the value: each may meet each. */
const MAX_MEETINGS = 200_000
/** Nodes of a value whose list must hold nothing twice: each is compared with each. */
const MAX_UNIQUE = 500
const MAX_DEPTH = 64
/** Instructions of all its patterns. */
const MAX_PROGRAM = 20_000
/** Instructions times characters in one check; about half a second. */
const MAX_STEPS = 5_000_000

/**
 * A check of values against a JSON Schema that a stranger wrote; empty when a value fits. It takes bounded time, for it
 * runs before anybody has accepted the plugin: patterns are matched in linear time (so without look-around and
 * back-references), and a schema that refers to itself is refused. Throws for a schema that is refused, and its check
 * for a value that would take too long.
 */
export async function compileSchema(schema: Record<string, unknown>): Promise<(value: unknown) => FieldError[]> {
  const size = sizeOf(schema, schema, 0, new Set())
  if (!Number.isFinite(size)) throw new Error('it refers to itself, or is nested too deep')
  if (size > MAX_NODES) throw new Error('it is too large')
  const [{ Ajv }, formats, { RE2JS }] = await Promise.all([import('ajv'), import('ajv-formats'), import('re2js')])
  let program = 0
  let steps = 0

  const regExp = (pattern: string) => {
    const compiled = RE2JS.compile(RE2JS.translateRegExp(pattern))
    program += compiled.programSize()
    if (program > MAX_PROGRAM) throw new Error('its patterns are too large')
    return {
      // By this, ajv tells one pattern of a schema from another.
      toString: () => pattern,
      test(text: string): boolean {
        steps += compiled.programSize() * text.length
        if (steps > MAX_STEPS) throw new Error('a text is too long for the pattern that it has to match')
        return compiled.test(text)
      },
    }
  }

  // Of its own: ids in one plugin's schema are no business of another's.
  const ajv = new Ajv({
    strict: false,
    validateSchema: false,
    allErrors: true,
    code: { regExp: Object.assign(regExp, { code: '' }) },
  })
  // A CommonJS package with its function as `default`.
  const addFormats = formats.default as unknown as typeof formats.default.default
  addFormats(ajv)
  const validate = ajv.compile(schema)
  const largest = Math.min(MAX_MEETINGS / size, hasKey(schema, 'uniqueItems') ? MAX_UNIQUE : Infinity)
  return (value) => {
    if (countOf(value, largest) > largest) throw new Error('the settings are too large to be checked by it')
    steps = 0
    if (validate(value)) return []
    return (validate.errors ?? []).map(toFieldError)
  }
}

function toFieldError({ instancePath, keyword, params, message = 'is not accepted' }: ErrorObject): FieldError {
  if (keyword === 'required') return { pointer: `${instancePath}/${params.missingProperty}`, message: 'is missing' }
  if (keyword === 'additionalProperties') {
    return { pointer: `${instancePath}/${params.additionalProperty}`, message: 'is not known here; leave it out' }
  }
  return { pointer: instancePath, message }
}

/** Nodes of a schema with what its references stand for in their places; infinite where that has no end. */
function sizeOf(node: unknown, root: unknown, depth: number, trail: ReadonlySet<string>): number {
  if (typeof node !== 'object' || node === null) return 0
  if (depth > MAX_DEPTH || '$dynamicRef' in node || '$recursiveRef' in node) return Infinity
  let size = 1
  for (const [key, value] of Object.entries(node)) {
    if (key === '$ref' && typeof value === 'string') {
      const target = trail.has(value) ? undefined : resolve(value, root)
      size += target === undefined ? Infinity : sizeOf(target, root, depth + 1, new Set(trail).add(value))
    } else size += sizeOf(value, root, depth + 1, trail)
    if (size > MAX_NODES) return size
  }
  return size
}

/** Values in a value, itself included; counts no further than just beyond `enough`. */
function countOf(value: unknown, enough: number): number {
  let count = 1
  if (typeof value !== 'object' || value === null) return count
  for (const item of Object.values(value)) {
    if (count > enough) break
    count += countOf(item, enough - count)
  }
  return count
}

const hasKey = (node: unknown, key: string): boolean =>
  typeof node === 'object' && node !== null && (key in node || Object.values(node).some((value) => hasKey(value, key)))

/** What a JSON Pointer (RFC 6901) within the schema names; undefined for every other kind of reference. */
function resolve(reference: string, root: unknown): unknown {
  if (!reference.startsWith('#/')) return undefined
  let node = root
  for (const step of reference.slice(2).split('/')) {
    const key = decodeURIComponent(step).replaceAll('~1', '/').replaceAll('~0', '~')
    if (typeof node !== 'object' || node === null || !Object.hasOwn(node, key)) return undefined
    node = (node as Record<string, unknown>)[key]
  }
  return node
}
