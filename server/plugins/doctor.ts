import type { PluginCheck } from '../../shared/plugins.ts'
import { executableOf } from '../runtime/executables.ts'
import type { PluginDeps } from './deps.ts'
import { gateProblem } from './gates.ts'
import type { Roster } from './roster.ts'
import { sameAccount } from './same-account.ts'
import type { Spec } from './specs.ts'

/** What is wrong with the plugins that are there, and how to mend it; starts nothing. */
export async function diagnose(roster: Roster, { variables }: Pick<PluginDeps, 'variables'>): Promise<PluginCheck[]> {
  const checks: PluginCheck[] = []
  const deno = await executableOf('deno', variables().PATH)
  checks.push(
    deno
      ? { name: 'deno', level: 'ok', message: 'Deno is installed and keeps plugins within their permissions', mend: '' }
      : {
        name: 'deno',
        level: 'warning',
        message: 'Deno is not installed, so that nothing keeps plugins within their permissions',
        mend: 'Install Deno (https://deno.com) where PATH finds it',
      },
  )
  for (const spec of roster.specs()) checks.push(await check(spec, roster))
  return checks
}

async function check(spec: Spec, roster: Roster): Promise<PluginCheck> {
  const { name, manifest, folder } = spec
  const say = (level: PluginCheck['level'], message: string, mend = ''): PluginCheck => ({ name, level, message, mend })
  if (spec.problem) return say('error', spec.problem, 'Mend its folder or its configuration, then reload')
  const refused = manifest && folder ? await gateProblem({ folder, origin: spec.origin }, manifest) : undefined
  if (refused) return say('error', refused, 'Mend the rights of its files, or install it again')
  if (!spec.enabled) return say('ok', 'is switched off')
  const reason = await roster.reason(spec)
  if (reason !== undefined && reason !== 'off') return say('warning', reason, `See: gatehouse plugins inspect ${name}`)
  const supervisor = roster.unitOf(name)?.supervisor
  if (supervisor?.state === 'quarantined') {
    return say('error', `is in quarantine: ${supervisor.problem}`, `Mend it, then: gatehouse plugins restart ${name}`)
  }
  if (supervisor?.state === 'backoff' || supervisor?.state === 'failed') {
    return say('warning', supervisor.problem ?? 'does not run', `See: gatehouse plugins logs ${name}`)
  }
  const others = sameAccount(spec, roster)
  if (others.length > 0) {
    return say(
      'warning',
      `is the same account on its platform as ${others.join(' and ')}: each message would be answered twice`,
      'Switch one of them off, or give it a token of its own',
    )
  }
  if (!spec.surface.restricted) {
    return say('warning', 'runs, and nothing keeps it within its permissions', 'Prefer one whose runtime is deno')
  }
  return say('ok', `is ${supervisor?.state ?? 'stopped'}`)
}
