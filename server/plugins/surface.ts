import { createHash } from 'node:crypto'
import { canonicalJson } from '../../shared/canonical-json.ts'
import type { Manifest } from '../../shared/plugin-manifest.ts'
import { isWithin, PLUGIN_ROUTES, type PluginRoute } from '../../shared/plugin-routes.ts'
import type { PluginSurface } from '../../shared/plugins.ts'

/** What the manifest says that the plugin may do; `restricted` when its runtime keeps it to that. */
export function surfaceOf(manifest: Manifest, restricted: boolean): PluginSurface {
  const sorted = (list: readonly string[]) => [...list].sort()
  const { permissions } = manifest
  return {
    start: manifest.command?.join(' ') ?? manifest.entry!,
    restricted,
    channels: sorted(manifest.channels),
    capabilities: sorted(manifest.capabilities),
    tools: sorted(manifest.tools.map(({ name, effect }) => `${name} (${effect})`)),
    routes: manifest.routes.map((route) => ({ ...route, methods: [...route.methods].sort() }))
      .sort((a, b) => a.path < b.path ? -1 : 1),
    hooks: [...new Set(sorted(manifest.hooks))],
    secrets: sorted(manifest.secrets.map(({ name }) => name)),
    permissions: {
      net: sorted(permissions.net),
      env: sorted(permissions.env),
      read: sorted(permissions.read),
      write: sorted(permissions.write),
      run: sorted(permissions.run),
      sys: sorted(permissions.sys),
    },
  }
}

/** The hash that an acceptance names. How it is started is shown, and is no part of what it may do. */
export const hashOf = ({ start: _, ...surface }: PluginSurface): string =>
  createHash('sha256').update(canonicalJson(surface)).digest('hex')

/** What `now` may do that `accepted` did not, in words; empty when it is no wider. */
export function widerThan(accepted: PluginSurface, now: PluginSurface): string[] {
  const more: string[] = []
  if (accepted.restricted && !now.restricted) more.push('is no longer kept within its permissions')
  const compare = (what: string, before: readonly string[], after: readonly string[]) =>
    after.filter((item) => !before.includes(item)).forEach((item) => more.push(`${what} ${item}`))
  compare('carries the channel', accepted.channels, now.channels)
  compare('registers', accepted.capabilities, now.capabilities)
  compare('offers the tool', accepted.tools, now.tools)
  // Kept by a version that knew of neither routes nor hooks.
  const routes = (accepted as Partial<PluginSurface>).routes ?? []
  now.routes.filter((route) => !routes.some((known) => isWithin(route, known)))
    .forEach((route) => more.push(routeInWords(route)))
  compare('hears of', (accepted as Partial<PluginSurface>).hooks ?? [], now.hooks)
  compare('is given the secret', accepted.secrets, now.secrets)
  const net = accepted.permissions.net.includes('*') ? now.permissions.net : accepted.permissions.net
  compare('reaches', net, now.permissions.net)
  compare('sees the variable', accepted.permissions.env, now.permissions.env)
  compare('reads', accepted.permissions.read, now.permissions.read)
  compare('writes', accepted.permissions.write, now.permissions.write)
  compare('starts', accepted.permissions.run, now.permissions.run)
  compare('asks the system for', accepted.permissions.sys ?? [], now.permissions.sys)
  return more
}

const routeInWords = ({ path, match, methods, auth }: PluginRoute): string =>
  `receives ${methods.join(', ')} ${auth === 'plugin' ? 'from anybody on the internet' : 'from your own keys'} at ` +
  `${PLUGIN_ROUTES}/…/${path}${match === 'prefix' ? ' and below' : ''}`
