import type { Manifest } from '../../shared/plugin-manifest.ts'
import type { PluginConfig, PutPluginConfigInput } from '../../shared/plugins.ts'
import { AppError, type FieldError, invalid } from '../errors.ts'
import type { Secrets } from '../secrets/service.ts'
import { compileSchema } from './json-schema.ts'
import { ownSettings, type Spec } from './specs.ts'

/** The settings and secrets that a plugin is started with. */
export type Resolved = { config: Record<string, unknown>; secrets: Record<string, string> }

/** Also the secrets that were sealed with a key that is not this server's. */
type WithLocked = Resolved & { locked: string[] }

const checks = new WeakMap<object, ReturnType<typeof compileSchema>>()

/**
 * A plugin's settings against the JSON Schema of its manifest; runs none of its code. What stands in `gatehouse.yaml`
 * counts more than what was set through the API.
 */
export function createSettings({ secrets }: { secrets: Secrets }) {
  function resolve(spec: Pick<Spec, 'manifest' | 'channel' | 'stored'>): WithLocked {
    const { manifest, stored } = spec
    if (!manifest) return { config: {}, secrets: {}, locked: [] }
    const names = new Set(manifest.secrets.map(({ name }) => name))
    const values: WithLocked = { config: withDefaults(manifest, stored?.config ?? {}), secrets: {}, locked: [] }
    for (const [name, sealed] of Object.entries(stored?.secrets ?? {})) {
      if (!names.has(name)) continue
      try {
        values.secrets[name] = secrets.open(sealed)
      } catch {
        values.locked.push(name)
      }
    }
    for (const [name, value] of Object.entries(ownSettings(spec))) {
      if (names.has(name)) values.secrets[name] = String(value)
      else values.config[name] = value
    }
    return values
  }

  return {
    /** Never throws: what can't be opened is told by `problems`. */
    resolve(spec: Pick<Spec, 'manifest' | 'channel' | 'stored'>): Resolved {
      const { config, secrets } = resolve(spec)
      return { config, secrets }
    },

    /** What is missing or wrong, in words; empty when it can be started. */
    async problems(spec: Pick<Spec, 'manifest' | 'channel' | 'stored'>): Promise<string[]> {
      const { manifest } = spec
      if (!manifest) return []
      const given = resolve(spec)
      const wrong = (await check(manifest, given.config)).map(({ pointer, message }) =>
        `${inWords(manifest, pointer) || 'settings'}: ${message}`
      )
      const locked = given.locked.filter((name) => given.secrets[name] === undefined)
      const missing = manifest.secrets.filter(({ name, required }) => required && !given.secrets[name])
        .filter(({ name }) => !locked.includes(name))
      return [
        ...wrong,
        ...missing.map(({ name }) => `${inWords(manifest, `/${name}`)}: is missing`),
        ...locked.map((name) =>
          `${inWords(manifest, `/${name}`)}: can't be opened with this server's key; set it again`
        ),
      ]
    },

    /** For the form; secrets are only told to be there. */
    show(spec: Spec): PluginConfig {
      const { manifest, stored } = spec
      const fixed = ownSettings(spec)
      const shown = resolve({ ...spec, stored: stored && { ...stored, secrets: {} } }).config
      return {
        config: shown,
        secrets: Object.fromEntries((manifest?.secrets ?? []).map(({ name }) => {
          const from = name in fixed ? 'configuration' : stored?.secrets[name] ? 'store' : null
          return [name, { set: from !== null, from }]
        })),
        fixed: Object.keys(fixed),
        schema: manifest?.config_schema ?? {},
        ui_hints: manifest?.ui_hints ?? {},
        secret_settings: manifest?.secrets ?? [],
      }
    },

    /** What to store for a change. Throws `invalid_input` that names each refused field. */
    async change(spec: Spec, input: PutPluginConfigInput) {
      const { manifest, stored } = spec
      if (!manifest) {
        throw new AppError('conflict', `Settings of ${spec.name} stand in gatehouse.yaml, under channels.${spec.name}`)
      }
      const fixed = ownSettings(spec)
      const config = input.config === undefined
        ? stored?.config ?? {}
        : Object.fromEntries(Object.entries(input.config).filter(([name]) => !(name in fixed)))
      const errors = await check(manifest, { ...withDefaults(manifest, config), ...fixedConfig(manifest, fixed) })
      if (errors.length > 0) {
        const [first] = errors
        throw new AppError('invalid_input', `${inWords(manifest, first!.pointer) || 'config'}: ${first!.message}`, {
          errors: errors.map((error) => ({ ...error, pointer: `/config${error.pointer}` })),
        })
      }
      const sealed = { ...stored?.secrets }
      for (const [name, value] of Object.entries(input.secrets ?? {})) {
        if (!manifest.secrets.some((secret) => secret.name === name)) {
          throw invalid(`secrets.${name}`, 'is no secret of this plugin')
        }
        if (value === null || value === '') delete sealed[name]
        else sealed[name] = secrets.seal(value)
      }
      return { config, secrets: sealed }
    },
  }
}

/** What the form calls a setting or a secret, with its id: `Bot token (bot_token)`; empty for the settings as a whole. */
function inWords({ config_schema, ui_hints, secrets }: Manifest, pointer: string): string {
  const path = pointer.slice(1).replaceAll('/', '.')
  const [name = ''] = path.split('.')
  const { [name]: property } = (config_schema.properties ?? {}) as Record<string, { title?: unknown } | undefined>
  const secret = secrets.find((candidate) => candidate.name === name)
  const label = ui_hints[name]?.label ?? secret?.label ?? property?.title
  return typeof label === 'string' && label !== '' ? `${label} (${path})` : path
}

const fixedConfig = (manifest: Manifest, fixed: Record<string, unknown>) =>
  Object.fromEntries(Object.entries(fixed).filter(([name]) => !manifest.secrets.some((secret) => secret.name === name)))

/** Defaults of the schema's top level stand in for what was not set. */
export function withDefaults({ config_schema }: Manifest, config: Record<string, unknown>): Record<string, unknown> {
  const properties = Object.entries((config_schema.properties ?? {}) as Record<string, { default?: unknown }>)
  const defaults = properties.filter(([, schema]) => schema?.default !== undefined)
    .map(([name, schema]) => [name, schema.default])
  return { ...Object.fromEntries(defaults), ...config }
}

/** The validator is loaded when the first plugin with settings is looked at. */
async function check({ config_schema }: Manifest, config: Record<string, unknown>): Promise<FieldError[]> {
  try {
    let known = checks.get(config_schema)
    if (!known) checks.set(config_schema, known = compileSchema(config_schema))
    return (await known)(config)
  } catch (error) {
    return [{ pointer: '', message: `its config_schema can't be used: ${(error as Error).message}` }]
  }
}
