/**
 * One field of a form that a server asks a person for; what it says is text from outside. Beside `schema/`, which
 * draws any JSON Schema for those who try tools, for these flat ones have titles of choices and only a few kinds.
 */
export type FormField =
  & {
    name: string
    label: string
    description: string
    required: boolean
    default: FormValue | undefined
  }
  & (
    | { kind: 'text'; input: 'text' | 'email' | 'url' | 'date' | 'datetime-local'; min?: number; max?: number }
    | { kind: 'number'; whole: boolean; min?: number; max?: number }
    | { kind: 'yes' }
    | { kind: 'choice'; options: Option[] }
    | { kind: 'choices'; options: Option[]; min?: number; max?: number }
  )
export type Option = { value: string; label: string }
export type FormValue = string | number | boolean | string[]

type Json = Record<string, unknown>
const isObject = (value: unknown): value is Json => typeof value === 'object' && value !== null && !Array.isArray(value)
const text = (value: unknown): string => typeof value === 'string' ? value : ''
const number = (value: unknown): number | undefined => typeof value === 'number' ? value : undefined
const INPUTS: Record<string, 'email' | 'url' | 'date' | 'datetime-local'> = {
  email: 'email',
  uri: 'url',
  date: 'date',
  'date-time': 'datetime-local',
}

/** The fields of a flat JSON Schema, as elicitation allows it; whatever else is asked for is a line of text. */
export function fieldsOf(schema: Json): FormField[] {
  const required = Array.isArray(schema.required) ? schema.required : []
  if (!isObject(schema.properties)) return []
  return Object.entries(schema.properties).filter((entry): entry is [string, Json] => isObject(entry[1])).map(
    ([name, property]) => ({
      name,
      label: text(property.title) || name,
      description: text(property.description),
      required: required.includes(name),
      default: defaultOf(property.default),
      ...kindOf(property),
    }),
  )
}

type Distributed<T> = T extends unknown ? Omit<T, 'name' | 'label' | 'description' | 'required' | 'default'> : never

function kindOf(property: Json): Distributed<FormField> {
  if (property.type === 'boolean') return { kind: 'yes' }
  if (property.type === 'number' || property.type === 'integer') {
    const { minimum, maximum } = property
    return { kind: 'number', whole: property.type === 'integer', min: number(minimum), max: number(maximum) }
  }
  if (property.type === 'array' && isObject(property.items)) {
    const options = optionsOf(property.items)
    return { kind: 'choices', options, min: number(property.minItems), max: number(property.maxItems) }
  }
  const options = optionsOf(property)
  if (options.length > 0) return { kind: 'choice', options }
  const { minLength, maxLength } = property
  return {
    kind: 'text',
    input: INPUTS[text(property.format)] ?? 'text',
    min: number(minLength),
    max: number(maxLength),
  }
}

/** `enum` with or without `enumNames`, or a list of `const` with titles. */
function optionsOf(property: Json): Option[] {
  const titled = [property.oneOf, property.anyOf].find(Array.isArray)
  if (titled) {
    return titled.filter(isObject).filter((one) => typeof one.const === 'string').map((one) => ({
      value: text(one.const),
      label: text(one.title) || text(one.const),
    }))
  }
  const names = Array.isArray(property.enumNames) ? property.enumNames : []
  const values = Array.isArray(property.enum) ? property.enum.filter((value) => typeof value === 'string') : []
  return values.map((value, index) => ({ value, label: text(names[index]) || value }))
}

function defaultOf(value: unknown): FormValue | undefined {
  if (['string', 'number', 'boolean'].includes(typeof value)) return value as FormValue
  return Array.isArray(value) ? value.filter((one) => typeof one === 'string') : undefined
}

/** What a form shows before anything was entered. */
export const startOf = (fields: FormField[]): Record<string, FormValue> =>
  Object.fromEntries(fields.map((field) => {
    if (field.kind === 'yes') return [field.name, field.default === true]
    if (field.kind === 'choices') return [field.name, Array.isArray(field.default) ? field.default : []]
    const start = field.default === undefined ? '' : String(field.default)
    return [field.name, field.kind === 'text' && field.input === 'datetime-local' ? localTime(start) : start]
  }))

const isEmpty = (value: FormValue | undefined): boolean =>
  value === undefined || value === '' || (Array.isArray(value) && value.length === 0)

/** What is wrong with a value, and how to mend it; undefined when it can be sent. */
export function problemOf(field: FormField, value: FormValue | undefined): string | undefined {
  if (isEmpty(value)) return field.required && field.kind !== 'yes' ? 'This is needed' : undefined
  if (field.kind === 'number') {
    const entered = Number(value)
    if (!Number.isFinite(entered)) return 'Enter a number'
    if (field.whole && !Number.isInteger(entered)) return 'Enter a whole number'
    return outside(entered, field, '')
  }
  if (field.kind === 'choices') return outside((value as string[]).length, field, ' choices')
  if (field.kind !== 'text') return undefined
  if (field.input === 'email' && !/^\S+@\S+$/.test(String(value))) return 'Enter an e-mail address'
  if (field.input === 'url' && !URL.canParse(String(value))) return 'Enter a whole address, such as https://example.com'
  return outside(String(value).length, field, ' characters')
}

function outside(value: number, { min, max }: { min?: number; max?: number }, unit: string): string | undefined {
  if (min !== undefined && value < min) return `At least ${min}${unit}`
  return max !== undefined && value > max ? `At most ${max}${unit}` : undefined
}

/** What goes back to the server; empty optional fields are left out. */
export function contentOf(
  fields: FormField[],
  values: Record<string, FormValue>,
): Record<string, FormValue> {
  return Object.fromEntries(
    fields.filter((field) => field.kind === 'yes' || !isEmpty(values[field.name])).map((field) => {
      const value = values[field.name]!
      if (field.kind === 'number') return [field.name, Number(value)]
      const isTime = field.kind === 'text' && field.input === 'datetime-local'
      return [field.name, isTime ? new Date(String(value)).toISOString() : value]
    }),
  )
}

/** As a field of the browser takes it. */
function localTime(iso: string): string {
  const date = new Date(iso)
  if (Number.isNaN(date.getTime())) return ''
  return new Date(date.getTime() - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 16)
}
