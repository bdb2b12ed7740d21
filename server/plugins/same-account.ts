import { canonicalJson } from '../../shared/canonical-json.ts'
import type { Roster } from './roster.ts'
import type { Spec } from './specs.ts'

/**
 * Names of other plugins that are switched on and use the same account on their platform: whatever is written to it
 * would be answered by each. Told by what has to be set, or by who they say they are; one that needs neither settings
 * nor secrets has no account.
 */
export function sameAccount(spec: Spec, roster: Pick<Roster, 'specs' | 'config' | 'unitOf'>): string[] {
  if (!spec.enabled) return []
  const others = roster.specs().filter(({ name, plugin, enabled }) =>
    enabled && plugin === spec.plugin && name !== spec.name
  )
  return others.filter((other) => isSame(other)).map(({ name }) => name)

  function isSame(other: Spec): boolean {
    const [mine, theirs] = [required(spec), required(other)]
    if (canonicalJson(mine.config) !== canonicalJson(theirs.config)) return false
    const tokens = Object.entries(mine.secrets)
    if (tokens.length + mine.config.length === 0) return false
    if (tokens.length > 0 && tokens.every(([name, token]) => token && token === theirs.secrets[name])) return true
    const [me, them] = [spec, other].map(({ name }) => roster.unitOf(name)?.gateway.status)
    return me?.connected === true && them?.connected === true && me.identity !== undefined &&
      me.identity === them.identity
  }

  /** What can't be left out: which account it is must be among it. */
  function required({ manifest, ...rest }: Spec) {
    const { config, secrets } = roster.config.resolve({ manifest, ...rest })
    const settings = manifest?.config_schema.required
    const tokens = (manifest?.secrets ?? []).filter((secret) => secret.required)
    return {
      config: (Array.isArray(settings) ? settings : []).map((name) => config[String(name)] ?? null),
      secrets: Object.fromEntries(tokens.map(({ name }) => [name, secrets[name]])),
    }
  }
}
