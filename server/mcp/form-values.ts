import { invalid } from '../errors.ts'

type Field = Record<string, unknown>

/**
 * Holds what a person filled in against the form that a server sent (a flat object of texts, numbers, yes or no, and
 * choices) and throws `invalid_input` with the first field that does not fit. Patterns and formats are the server's to
 * check: a stranger's regular expression may take for ever.
 */
export function checkForm(schema: Field, content: Record<string, unknown>): void {
  const fields = objectOf(schema.properties)
  for (const name of Array.isArray(schema.required) ? schema.required : []) {
    if (typeof name === 'string' && content[name] === undefined && objectOf(fields[name]).default === undefined) {
      throw invalid(`content.${name}`, 'is missing')
    }
  }
  for (const [name, value] of Object.entries(content)) {
    const problem = Object.hasOwn(fields, name) ? problemOf(objectOf(fields[name]), value) : 'is no field of this form'
    if (problem) throw invalid(`content.${name}`, problem)
  }
}

function problemOf(field: Field, value: unknown): string | undefined {
  const { type } = field
  if (type === 'boolean') return typeof value === 'boolean' ? undefined : 'must be true or false'
  if (type === 'number' || type === 'integer') return numberProblem(field, value)
  if (type === 'array') return listProblem(field, value)
  if (type !== 'string') return undefined
  if (typeof value !== 'string') return 'must be text'
  const choices = choicesOf(field)
  if (choices) return choices.includes(value) ? undefined : `must be one of ${choices.join(', ')}`
  if (isLess(value.length, field.minLength)) return `must have at least ${String(field.minLength)} characters`
  if (isMore(value.length, field.maxLength)) return `must have at most ${String(field.maxLength)} characters`
  return undefined
}

function numberProblem({ type, minimum, maximum }: Field, value: unknown): string | undefined {
  if (typeof value !== 'number' || !Number.isFinite(value)) return 'must be a number'
  if (type === 'integer' && !Number.isInteger(value)) return 'must be a whole number'
  if (isLess(value, minimum)) return `must be at least ${String(minimum)}`
  if (isMore(value, maximum)) return `must be at most ${String(maximum)}`
  return undefined
}

function listProblem({ items, minItems, maxItems }: Field, value: unknown): string | undefined {
  if (!Array.isArray(value)) return 'must be a list'
  if (isLess(value.length, minItems)) return `must have at least ${String(minItems)}`
  if (isMore(value.length, maxItems)) return `must have at most ${String(maxItems)}`
  const choices = choicesOf(objectOf(items))
  const wrong = choices && value.find((item) => !choices.includes(item))
  return wrong === undefined ? undefined : `${String(wrong)} is none of ${choices!.join(', ')}`
}

/** Of an enumeration in each way that the protocol's revisions write one. */
function choicesOf(field: Field): unknown[] | undefined {
  if (Array.isArray(field.enum)) return field.enum
  const titled = [field.oneOf, field.anyOf].find(Array.isArray)
  return titled?.map((choice) => objectOf(choice).const)
}

const isLess = (value: number, least: unknown): boolean => typeof least === 'number' && value < least
const isMore = (value: number, most: unknown): boolean => typeof most === 'number' && value > most

const objectOf = (value: unknown): Field =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? value as Field : {}
