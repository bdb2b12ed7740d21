import type { RegistryField, RegistryPlaceholder, Requirements } from '$lib/api/mcp.ts'
import type { InstallMcpInput } from '$shared/mcp.ts'

export type InstallField = {
  /** Of the value, in `values`. */
  key: string
  group: 'env' | 'headers' | 'placeholders'
  name: string
  description?: string
  required: boolean
  secret: boolean
  default?: string
}

type Way = {
  value: string
  label: string
  hint?: string
  disabled?: boolean
  input: InstallMcpInput['choice']
  fields: InstallField[]
}

/** A server of the registry on its way in: which of its ways to run was chosen, and what its form asks. */
export class InstallDraft {
  readonly ways: Way[]
  way = $state('')
  values = $state<Record<string, string>>({})
  installName = $state('')
  readonly #name: string

  constructor(name: string, { packages, remotes }: Requirements) {
    this.#name = name
    this.ways = [
      ...packages.map((entry): Way => ({
        value: `package ${entry.index}`,
        label: `${entry.registryType ?? 'package'}: ${entry.identifier ?? ''}`,
        hint: entry.supported ? `${entry.version ?? ''} over ${entry.runtime}` : 'This kind can’t be started here',
        disabled: !entry.supported,
        input: { kind: 'package', index: entry.index },
        fields: fieldsOf('env', entry.env_required, entry.placeholders),
      })),
      ...remotes.map((entry): Way => ({
        value: `remote ${entry.index}`,
        label: entry.url ?? 'address',
        hint: entry.transport,
        input: { kind: 'remote', index: entry.index },
        fields: fieldsOf('headers', entry.header_required, entry.placeholders),
      })),
    ]
    this.way = (this.ways.find(({ disabled }) => !disabled) ?? this.ways[0])?.value ?? ''
  }

  get #chosen(): Way | undefined {
    return this.ways.find(({ value }) => value === this.way)
  }

  get fields(): InstallField[] {
    return this.#chosen?.fields ?? []
  }

  /** Why it can't go on; undefined when it can. */
  get obstacle(): string | undefined {
    if (this.#chosen?.disabled) return this.#chosen.hint
    const missing = this.fields.find(({ key, required, default: given }) =>
      required && given === undefined && !this.values[key]?.trim()
    )
    return missing && `Enter ${missing.name}`
  }

  toInput(dry_run: boolean): InstallMcpInput {
    const of = (group: InstallField['group']) =>
      Object.fromEntries(
        this.fields.filter((field) => field.group === group && this.values[field.key]?.trim())
          .map(({ name, key }) => [name, this.values[key]!.trim()]),
      )
    return {
      name: this.#name,
      choice: this.#chosen!.input,
      ...(this.installName.trim() ? { install_name: this.installName.trim() } : {}),
      env: of('env'),
      headers: of('headers'),
      placeholders: of('placeholders'),
      dry_run,
    }
  }
}

function fieldsOf(
  group: 'env' | 'headers',
  asked: RegistryField[],
  placeholders: RegistryPlaceholder[],
): InstallField[] {
  const tokens = placeholders.filter(({ token }, index) =>
    placeholders.findIndex((one) => one.token === token) === index
  )
  return [
    // What follows a template is made of the placeholders.
    ...asked.filter(({ value_template }) => value_template === undefined).map((field) => ({
      key: `${group}.${field.name}`,
      group,
      name: field.name,
      description: field.description,
      required: field.isRequired,
      secret: field.isSecret,
      default: field.default,
    })),
    ...tokens.map(({ token, description }) => ({
      key: `placeholders.${token}`,
      group: 'placeholders' as const,
      name: token,
      description,
      required: false,
      secret: false,
    })),
  ]
}
