import type { Config } from '../../shared/config.ts'
import { channelEntries } from '../../shared/channels.ts'
import type { Manifest } from '../../shared/plugin-manifest.ts'
import type { PluginOrigin, PluginSurface } from '../../shared/plugins.ts'
import type { Found } from './discover.ts'
import type { StoredPlugin } from './store.ts'
import type { RestartPolicy } from './supervisor.ts'
import { hashOf, surfaceOf, widerThan } from './surface.ts'

/** `channels.<name>` of the configuration, or one of `gateways.external`. */
export type ChannelSettings = Config['channels'][string]

/** One plugin under one name, with all that was decided about it. */
export type Spec = {
  name: string
  /** Id in its manifest; the name again for a bare command. */
  plugin: string
  origin: PluginOrigin
  folder: string | undefined
  manifest: Manifest | undefined
  /** From the configuration; undefined where it says nothing. */
  channel: ChannelSettings | undefined
  stored: StoredPlugin | undefined
  surface: PluginSurface
  surface_hash: string
  accepted: boolean
  wider: string[]
  enabled: boolean
  restart: RestartPolicy
  /** Why it may not run. */
  problem: string | undefined
}

/** Keys of `channels.<name>` that are ours; any other one is a setting of the plugin's own where its manifest knows it. */
const CHANNEL_KEYS = new Set([
  ...['enabled', 'plugin', 'command', 'args', 'env', 'restart', 'allow_hosts'],
  ...Object.keys(channelEntries),
])

/** Joins what was found, what the configuration names and what the owner decided. `isRestricted` says what Deno runs. */
export function createSpecs({ found, config, stored, isRestricted }: {
  found: Found[]
  config: Pick<Config, 'channels' | 'gateways' | 'plugins'>
  stored: StoredPlugin[]
  isRestricted: (manifest: Manifest) => boolean
}): Spec[] {
  const rows = new Map(stored.map((row) => [row.name, row]))
  const byId = new Map(found.map((plugin) => [plugin.id, plugin]))
  const channels: Record<string, ChannelSettings> = {}
  for (const { name, ...settings } of config.gateways?.external ?? []) channels[name] = settings
  Object.assign(channels, config.channels)
  const specs = new Map<string, Spec>()

  for (const plugin of found) specs.set(plugin.id, fromFolder(plugin.id, plugin))
  for (const [name, settings] of Object.entries(channels)) {
    if (settings.command !== undefined) {
      specs.set(name, fromCommand(name, settings, rows.get(name)))
      continue
    }
    const plugin = byId.get(settings.plugin ?? name)
    specs.set(name, plugin ? fromFolder(name, plugin, settings) : missing(name, settings, rows.get(name)))
  }
  return [...specs.values()].sort((a, b) => a.name < b.name ? -1 : 1)

  function fromFolder(name: string, found: Found, channel?: ChannelSettings): Spec {
    const { id, folder, origin, problem } = found
    const row = rows.get(name)
    const decided = rows.get(id)
    const wished = found.manifest ? surfaceOf(found.manifest, isRestricted(found.manifest)) : NO_SURFACE
    const wider = decided?.accepted ? widerThan(decided.accepted, wished) : []
    const manifest = found.manifest && withHosts(found.manifest, channel?.allow_hosts ?? [])
    const surface = manifest ? surfaceOf(manifest, isRestricted(manifest)) : NO_SURFACE
    // The owner wrote its folder, or the name of one that came with the server, into the configuration himself.
    const named = origin === 'path' || (origin === 'bundled' && channel !== undefined)
    return {
      name,
      plugin: id,
      origin,
      folder,
      manifest,
      channel,
      stored: row,
      surface,
      surface_hash: hashOf(surface),
      accepted: named || (decided?.accepted !== undefined && decided.accepted !== null && wider.length === 0),
      wider,
      enabled: channel ? channel.enabled !== false : row?.enabled ?? origin === 'path',
      restart: channel?.restart ?? manifest?.restart ?? 'on_failure',
      problem,
    }
  }
}

/** What the owner lets it reach in addition needs no acceptance: they wrote it into the configuration. */
const withHosts = (manifest: Manifest, hosts: readonly string[]): Manifest =>
  hosts.length === 0 ? manifest : {
    ...manifest,
    permissions: { ...manifest.permissions, net: [...new Set([...manifest.permissions.net, ...hosts])] },
  }

function fromCommand(name: string, channel: ChannelSettings, stored: StoredPlugin | undefined): Spec {
  const surface = {
    ...NO_SURFACE,
    start: [channel.command, ...channel.args ?? []].join(' '),
    channels: [name],
  }
  return {
    name,
    plugin: name,
    origin: 'config',
    folder: undefined,
    manifest: undefined,
    channel,
    stored,
    surface,
    surface_hash: hashOf(surface),
    accepted: true,
    wider: [],
    enabled: channel.enabled !== false,
    restart: channel.restart ?? 'on_failure',
    problem: undefined,
  }
}

function missing(name: string, channel: ChannelSettings, stored: StoredPlugin | undefined): Spec {
  const wanted = channel.plugin ?? name
  return {
    ...fromCommand(name, { ...channel, command: '' }, stored),
    plugin: wanted,
    channel,
    problem: `no plugin "${wanted}" is installed, and channels.${name} names no command`,
  }
}

const NO_SURFACE: PluginSurface = {
  start: '',
  restricted: false,
  channels: [],
  capabilities: [],
  tools: [],
  routes: [],
  hooks: [],
  secrets: [],
  permissions: { net: [], env: [], read: [], write: [], run: [], sys: [] },
}

/** The plugin's own settings that stand in `channels.<name>`: those that its manifest knows. */
export function ownSettings({ manifest, channel }: Pick<Spec, 'manifest' | 'channel'>): Record<string, unknown> {
  if (!manifest || !channel) return {}
  const properties = Object.keys((manifest.config_schema.properties ?? {}) as object)
  const known = new Set([...properties, ...manifest.secrets.map(({ name }) => name)])
  return Object.fromEntries(Object.entries(channel).filter(([key]) => known.has(key) && !CHANNEL_KEYS.has(key)))
}

/** Whether it sleeps until it is called. One that carries a chat has to listen. */
export const isOnDemand = (spec: Pick<Spec, 'manifest' | 'channel'>): boolean =>
  spec.manifest?.start === 'demand' && spec.channel === undefined

/** Whether it carries a chat platform. */
export const isGateway = ({ manifest, channel }: Spec): boolean =>
  channel !== undefined || (manifest?.channels.length ?? 0) > 0
