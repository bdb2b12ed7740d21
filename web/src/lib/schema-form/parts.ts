import type { PluginConfig } from '$shared/plugins.ts'
import type { JsonSchema } from '../schema/schema.ts'

export type SettingParts = {
  /** What everybody looks at; an object. */
  plain: JsonSchema
  /** What works as it is. */
  advanced: JsonSchema
}

/** The form of a plugin's settings: with its hints, in its order, without what `gatehouse.yaml` decides. */
export function partsOf(
  { schema, ui_hints, fixed }: Pick<PluginConfig, 'schema' | 'ui_hints' | 'fixed'>,
): SettingParts {
  const root = schema as JsonSchema
  const order = (name: string): number => ui_hints[name]?.order ?? Number.MAX_SAFE_INTEGER
  const names = Object.keys(root.properties ?? {}).filter((name) => !fixed.includes(name))
    .sort((a, b) => order(a) - order(b))
  const only = (wanted: (name: string) => boolean): JsonSchema => ({
    ...root,
    properties: Object.fromEntries(
      names.filter(wanted).map((name) => [name, withHint(root.properties![name]!, ui_hints[name])]),
    ),
    required: (root.required ?? []).filter((name) => names.includes(name) && wanted(name)),
  })
  const isAdvanced = (name: string): boolean => ui_hints[name]?.advanced === true
  return { plain: only((name) => !isAdvanced(name)), advanced: only(isAdvanced) }
}

/** Patterns say nothing to people, and the server holds values against them. */
function withHint(
  { pattern: _, default: usual, ...rest }: JsonSchema,
  hint: PluginConfig['ui_hints'][string] | undefined,
): JsonSchema {
  const schema = usual === undefined || usual === '' || Array.isArray(usual) ? rest : { ...rest, default: usual }
  if (!hint) return schema
  const help = [hint.help ?? schema.description, hint.placeholder && `For example ${hint.placeholder}`]
    .filter(Boolean).join(' · ')
  return { ...schema, title: hint.label ?? schema.title, ...(help ? { description: help } : {}) }
}

export const isEmpty = ({ properties = {} }: JsonSchema): boolean => Object.keys(properties).length === 0
