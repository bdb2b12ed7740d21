import type * as v from 'valibot'
import { Config } from '../../shared/config.ts'
import { isSecretName } from '../system/redact.ts'

type Schema = v.GenericSchema<unknown, unknown>

/** The parts of a valibot schema that are walked here; which exist depends on `type`. */
type Shape = { type: string; wrapped?: Schema; entries?: Record<string, Schema>; item?: Schema; value?: Schema }

const shapeOf = (schema: Schema): Shape => schema as unknown as Shape

const unwrap = (schema: Schema): Schema => {
  const { wrapped } = shapeOf(schema)
  return wrapped ? unwrap(wrapped) : schema
}

/** The schema of the setting at `path`, or undefined when there is none or anything goes. */
export function schemaAt(path: readonly string[]): Schema | undefined {
  let schema: Schema = Config
  for (const step of path) {
    const { entries, item, value } = shapeOf(schema)
    const next = entries ? (Object.hasOwn(entries, step) ? entries[step] : undefined) : item ?? value
    if (!next) return undefined
    schema = unwrap(next)
  }
  return schema
}

/** Names of the settings in a group that knows all of its own; undefined for groups that take any. */
export function knownKeys(path: readonly string[]): string[] | undefined {
  const shape = schemaAt(path)
  if (!shape) return undefined
  const { type, entries } = shapeOf(shape)
  return entries && (type === 'object' || path.length === 0) ? Object.keys(entries) : undefined
}

type Step = { type: string; metadata?: { secret?: boolean } }

const isMarkedSecret = (schema: Schema): boolean =>
  ((schema as { pipe?: readonly Step[] }).pipe ?? []).some((step) => step.type === 'metadata' && step.metadata?.secret)

/** Marked in the schema, or, where the schema leaves names open, recognised by any name on the way. */
export function isSecretPath(path: readonly string[]): boolean {
  const schema = schemaAt(path)
  if (schema && isMarkedSecret(schema)) return true
  const section = shapeOf(unwrap(Config.entries[path[0] as 'server'] ?? Config))
  return section.type !== 'object' && path.slice(1).some(isSecretName)
}

/**
 * A text from the environment as the type that the schema wants: numbers, `true`/`false`, lists (JSON or comma
 * separated), groups (JSON). What does not fit is returned unchanged, for validation to refuse.
 */
export function coerce(path: readonly string[], value: string): unknown {
  const schema = schemaAt(path)
  const type = schema && shapeOf(schema).type
  if (type === 'number') return value.trim() !== '' && Number.isFinite(Number(value)) ? Number(value) : value
  if (type === 'boolean') {
    return /^(true|1|yes|on)$/i.test(value) ? true : /^(false|0|no|off)$/i.test(value) ? false : value
  }
  if (type === 'array' && !value.trim().startsWith('[')) {
    return value.split(',').map((item) => item.trim()).filter((item) => item !== '')
  }
  if (type === 'array' || type === 'object' || type === 'loose_object' || type === 'record') {
    try {
      return JSON.parse(value)
    } catch {
      return value
    }
  }
  return value
}
