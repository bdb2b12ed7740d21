import { fieldsOf, type JsonSchema, kindOf, plain, typeOf } from './schema.ts'

/** What is wrong with values, by their path: `filters/0/name`. */
export type Problems = ReadonlyMap<string, string>

export const pathOf = (
  parent: string,
  step: string | number,
): string => (parent === '' ? `${step}` : `${parent}/${step}`)

/** What a form can tell before the tool is asked; the tool itself checks the rest. */
export function problemsOf(schema: JsonSchema, value: unknown): Problems {
  const found = new Map<string, string>()
  look(plain(schema, schema), value, '', 0)
  return found

  function look(now: JsonSchema, given: unknown, path: string, depth: number): void {
    const kind = kindOf(now, depth)
    if (kind === 'group' && isRecord(given)) {
      for (const { name, schema: inner, required } of fieldsOf(now)) {
        const at = pathOf(path, name)
        if (given[name] !== undefined) look(plain(inner, schema), given[name], at, depth + 1)
        else if (required) found.set(at, 'is needed')
      }
      return
    }
    if (kind === 'list' && Array.isArray(given)) {
      const count = countProblem(now, given.length)
      if (count) found.set(path, count)
      const inner = plain(now.items!, schema)
      given.forEach((one, index) => {
        if (one === undefined) found.set(pathOf(path, index), 'is needed')
        else look(inner, one, pathOf(path, index), depth + 1)
      })
      return
    }
    const problem = problemOf(now, given)
    if (problem) found.set(path, problem)
  }
}

function problemOf(schema: JsonSchema, value: unknown): string | undefined {
  if (typeof value === 'number') return numberProblem(schema, value)
  const type = typeOf(schema)
  if (type === 'number' || type === 'integer') return value === null ? undefined : 'must be a number'
  return typeof value === 'string' ? textProblem(schema, value) : undefined
}

function numberProblem(schema: JsonSchema, value: number): string | undefined {
  const { minimum, maximum, exclusiveMinimum, exclusiveMaximum } = schema
  if (typeOf(schema) === 'integer' && !Number.isInteger(value)) return 'must be a whole number'
  if (minimum !== undefined && value < minimum) return `must be at least ${minimum}`
  if (maximum !== undefined && value > maximum) return `must be at most ${maximum}`
  if (exclusiveMinimum !== undefined && value <= exclusiveMinimum) return `must be more than ${exclusiveMinimum}`
  if (exclusiveMaximum !== undefined && value >= exclusiveMaximum) return `must be less than ${exclusiveMaximum}`
}

function textProblem({ minLength, maxLength }: JsonSchema, value: string): string | undefined {
  const length = [...value].length
  if (minLength !== undefined && length < minLength) {
    return minLength === 1 ? 'must not be empty' : `must have at least ${minLength} characters`
  }
  if (maxLength !== undefined && length > maxLength) return `must have at most ${maxLength} characters`
}

function countProblem({ minItems, maxItems }: JsonSchema, count: number): string | undefined {
  if (minItems !== undefined && count < minItems) return `needs at least ${minItems}`
  if (maxItems !== undefined && count > maxItems) return `takes at most ${maxItems}`
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
