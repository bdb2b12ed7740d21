import type { JsonSchema } from './answers.ts'

type Shape = {
  $ref?: string
  type?: string
  const?: unknown
  enum?: unknown[]
  anyOf?: Shape[]
  oneOf?: Shape[]
  properties?: Record<string, Shape>
  required?: string[]
  items?: Shape
  minItems?: number
  minimum?: number
  default?: unknown
}

/** A small value that a schema describes: what must be there, or one field where nothing must. */
export function sampleOf(schema: JsonSchema, name = 'text'): unknown {
  const shape = schema as Shape
  if ('const' in shape) return shape.const
  if (shape.enum) return shape.enum[0]
  if (shape.default !== undefined) return shape.default
  const choice = (shape.anyOf ?? shape.oneOf)?.[0]
  if (choice) return sampleOf(choice as JsonSchema, name)
  if (shape.type === 'object') {
    const properties = shape.properties ?? {}
    const keys = shape.required?.length ? shape.required : Object.keys(properties).slice(0, 1)
    return Object.fromEntries(keys.map((key) => [key, sampleOf((properties[key] ?? {}) as JsonSchema, key)]))
  }
  if (shape.type === 'array') {
    return shape.minItems ? [sampleOf((shape.items ?? {}) as JsonSchema, name)] : []
  }
  if (shape.type === 'number' || shape.type === 'integer') return shape.minimum ?? 1
  if (shape.type === 'boolean') return true
  return name
}
