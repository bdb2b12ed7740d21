import type { ConfigProblem, Origin } from '$shared/config.ts'
import type { Schema } from '$lib/api/config.ts'

/** One setting of the form. */
export type SettingField = { path: string[]; schema: Schema }

/** A card of the form. A `free` section has no fixed settings and is edited as text. */
export type Section = { id: string; title: string; description?: string; fields: SettingField[]; free: boolean }

/** The form that a schema describes: settings of the top level first, then one section for each group. */
export function sectionsOf(schema: Schema): Section[] {
  const entries = Object.entries(schema.properties ?? {})
  const single = entries.filter(([, value]) => value.type !== 'object')
  const groups = entries.filter(([, value]) => value.type === 'object')
  return [
    {
      id: 'general',
      title: 'General',
      fields: single.map(([name, value]) => ({ path: [name], schema: value })),
      free: false,
    },
    ...groups.map(([name, value]): Section => ({
      id: name,
      title: value.title ?? name,
      ...(value.description ? { description: value.description } : {}),
      fields: Object.entries(value.properties ?? {}).map(([key, inner]) => ({ path: [name, key], schema: inner })),
      free: value.properties === undefined,
    })),
  ]
}

/** Whether `${NAME}` stands in a value: the server puts a variable there. */
export const isReference = (value: unknown): boolean => typeof value === 'string' && /\$\{[A-Za-z_]\w*\}/.test(value)

/** A secret as the server shows it. */
export const isMasked = (value: unknown): boolean => typeof value === 'string' && /^\*{4}.{0,4}$/.test(value)

/** What is wrong with a value, by the schema alone; the server knows more and is asked a moment later. */
export function check(schema: Schema, value: unknown): string | undefined {
  if (value === undefined || value === null || isReference(value)) return undefined
  if (schema.enum) return schema.enum.includes(String(value)) ? undefined : `must be one of ${schema.enum.join(', ')}`
  switch (schema.type) {
    case 'boolean':
      return typeof value === 'boolean' ? undefined : 'must be true or false'
    case 'integer':
    case 'number':
      return checkNumber(schema, value)
    case 'string':
      return checkText(schema, value)
    case 'array': {
      if (!Array.isArray(value)) return 'must be a list'
      const problem = value.map((item) => [item, check(schema.items ?? {}, item)]).find(([, wrong]) => wrong)
      return problem && `“${problem[0]}” ${problem[1]}`
    }
  }
}

function checkNumber({ type, minimum, maximum }: Schema, value: unknown): string | undefined {
  if (typeof value !== 'number') return 'must be a number'
  if (type === 'integer' && !Number.isInteger(value)) return 'must be a whole number'
  if (minimum !== undefined && value < minimum) return `must be at least ${minimum}`
  if (maximum !== undefined && value > maximum) return `must be at most ${maximum}`
}

function checkText({ minLength = 0, maxLength = Infinity, pattern }: Schema, value: unknown): string | undefined {
  if (typeof value !== 'string') return 'must be text'
  if (value.length < minLength) return 'must not be empty'
  if (value.length > maxLength) return `must have at most ${maxLength} characters`
  if (pattern && !new RegExp(pattern, 'u').test(value)) return 'does not have the right form'
}

/** Why the file can't change a setting that another source decides. */
export const OVERRIDES: Partial<Record<Origin, string>> = {
  '.env': 'Set in the file .env beside it, which wins over gatehouse.yaml. Change it there.',
  environment: 'Set in the environment of the server, which wins over gatehouse.yaml. Change it there.',
  flag: 'Set by a flag when the server was started, which wins over gatehouse.yaml.',
}

/** Where a setting comes from: its own entry, or that of something inside it. */
export function originOf(origins: Record<string, Origin>, path: readonly string[]): Origin {
  const key = path.join('.')
  return origins[key] ?? Object.entries(origins).find(([name]) => name.startsWith(`${key}.`))?.[1] ?? 'default'
}

/** A problem as a sentence; most messages leave the name of the setting to whoever shows them. */
export const worded = ({ path, origin, message }: ConfigProblem): string =>
  path && origin === 'file' && !message.startsWith(path) ? `${path} ${message}` : message
