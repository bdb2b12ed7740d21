import type { Plugin, PluginDetail } from '../../shared/plugins.ts'
import { cleanLine } from './clean.ts'
import { type Output, when } from './output.ts'

/** What a plugin may do, for whoever has to accept it. */
export function inWords({ title, version, surface, wider, origin, installed_from }: Plugin): string[] {
  const { permissions } = surface
  const list = (what: string, items: readonly string[]) => items.length > 0 ? [`  ${what} ${items.join(', ')}`] : []
  const from = installed_from ?? origin
  return [
    `${title} ${version} (${from}) starts ${surface.start} and`,
    ...list('carries', surface.channels),
    ...list('offers the tools', surface.tools),
    ...list('registers', surface.capabilities),
    ...list('is given the secrets', surface.secrets),
    ...list('reaches', permissions.net),
    ...list('sees the variables', permissions.env),
    ...list('reads', permissions.read),
    ...list('writes', permissions.write),
    ...list('starts', permissions.run),
    ...list('asks the system for', permissions.sys),
    `  ${limitsOf(surface)}`,
    ...(wider.length > 0 ? [`New since you accepted it: it ${wider.join(', ')}.`] : []),
  ]
}

function limitsOf({ restricted, permissions }: Plugin['surface']): string {
  if (!restricted) return 'Nothing keeps it to that: it can do whatever the user of this server can.'
  return permissions.run.length > 0
    ? 'Its runtime (Deno) keeps it to that, but not the programs that it starts: they can do whatever the user can.'
    : 'Its runtime (Deno) keeps it to that.'
}

/** Everything about one plugin. */
export function printPlugin(plugin: PluginDetail, out: Output): void {
  const row = (name: string, value: string | number | null | undefined) => {
    if (value !== null && value !== undefined && value !== '') {
      out.print(`${name.padEnd(16)}${cleanLine(String(value))}`)
    }
  }
  row('name', plugin.name)
  row('about', plugin.description)
  row('version', plugin.version)
  row('folder', plugin.folder)
  row('installed from', plugin.installed_from)
  row('integrity', plugin.integrity)
  row('enabled', plugin.enabled ? 'yes' : 'no')
  row('state', plugin.state)
  row('problem', plugin.problem)
  row('identity', plugin.status?.identity)
  row('started', when(plugin.started_at))
  row('restarts', plugin.restarts)
  row('memory', plugin.memory_bytes === null ? null : `${Math.round(plugin.memory_bytes / 1024 ** 2)} MB`)
  row('processes', plugin.processes)
  row('protocol', plugin.manifest?.protocol ?? plugin.ready?.version)
  row('registered', plugin.registered.map(({ kind, name }) => `${kind} ${name}`).join(', '))
  row('accepted', plugin.accepted ? 'yes' : 'no')
  out.print()
  inWords(plugin).forEach((line) => out.print(cleanLine(line)))
  if (plugin.incidents.length === 0) return
  out.print()
  out.table(
    ['WHEN', 'WHAT', 'MESSAGE'],
    plugin.incidents.slice(0, 10).map(({ at, kind, message }) => [when(at), kind, message]),
    '',
  )
}
