import * as v from 'valibot'
import type { Manifest, Permissions } from './plugin-manifest.ts'
import type { PluginRoute } from './plugin-routes.ts'

/** Where a plugin was found; `config` is a bare command of the configuration, without a folder. */
export type PluginOrigin = 'bundled' | 'home' | 'path' | 'config'

/** What a plugin may do, as the owner accepts it. */
export type PluginSurface = {
  /** How it is started: a program and its arguments, or the entry and its runtime. */
  start: string
  /** Whether its runtime keeps it within `permissions`. */
  restricted: boolean
  channels: string[]
  capabilities: string[]
  /** `name (effect)`. */
  tools: string[]
  /** Requests from outside that it answers. */
  routes: PluginRoute[]
  /** What it hears of; with `tool.before` it may forbid calls. */
  hooks: string[]
  secrets: string[]
  permissions: Permissions
}

/** Something that happened to a plugin, the newest first. */
export type PluginIncident = {
  /** Epoch seconds. */
  at: number
  at_iso: string
  kind: 'crash' | 'refused' | 'denied' | 'error' | 'dropped'
  message: string
}

/** What the plugin registered with the server. */
export type PluginCapability = { handle: string; kind: string; name: string; description: string }

/** `GET /api/plugins/{name}`; the list leaves `manifest` and `readme` out. Times are epoch seconds. */
export type Plugin = {
  /** Unique: its id, or the key of `channels.<name>` where the configuration gives it another one. */
  name: string
  /** Id in its manifest. */
  plugin: string
  title: string
  version: string
  description: string
  origin: PluginOrigin
  folder: string | null
  /** npm package, folder or archive that it was installed from. */
  installed_from: string | null
  integrity: string | null
  enabled: boolean
  /** Switched on and off under `channels.<name>` of `gatehouse.yaml`, not through the API. */
  in_configuration: boolean
  /** Started by the first call and stopped when there are none; `stopped` is no trouble then. */
  on_demand: boolean
  state: 'stopped' | 'starting' | 'ready' | 'backoff' | 'failed' | 'quarantined'
  /** Why it does not run although it is enabled, or why it may not. */
  problem: string | null
  pid: number | null
  started_at: number | null
  started_at_iso: string | null
  /** When the next start is tried. */
  retry_at: number | null
  restarts: number
  memory_bytes: number | null
  processes: number | null
  /** What it said in `ready`. */
  ready: { gateway: string; version: string; capabilities: string[] } | null
  /** How it last said that it stands with its platform. */
  status: { connected: boolean; identity?: string | undefined; detail?: string | undefined } | null
  /** What it said in its last `pong`. */
  connected: boolean | null
  /** Kept within its permissions by its runtime. */
  restricted: boolean
  runtime: string
  surface: PluginSurface
  surface_hash: string
  /** Whether the owner accepted this surface. */
  accepted: boolean
  /** What is new since the surface that was accepted, in words; empty when nothing is, or nothing was accepted yet. */
  wider: string[]
  /** Others that are switched on and use the same account on their platform: each message would be answered twice. */
  same_account: string[]
  /** Whether every required setting and secret is there, and none is wrong. */
  configured: boolean
  registered: PluginCapability[]
  counters: { events: number; commands: number; dropped: number; calls: number }
  incidents: PluginIncident[]
}
export type PluginDetail = Plugin & {
  manifest: Manifest | null
  /** Memory over time, the oldest first. */
  memory: { at: number; bytes: number }[]
}

/** One line of a plugin's log. `seq` grows; `?after=` continues there. */
export type PluginLogLine = {
  seq: number
  at: number
  at_iso: string
  level: 'debug' | 'info' | 'warn' | 'error'
  text: string
}

/**
 * Frame `plugin` of `GET /api/stream?topics=plugin:<name>`: a line of its log (for admins), or what was measured of it
 * while it runs. `last_incident_at` tells when there is something new to load.
 */
export type PluginNews =
  | { v: 1; name: string; line: PluginLogLine }
  | {
    v: 1
    name: string
    sample: { at: number; bytes: number; processes: number }
    counters: Plugin['counters']
    last_incident_at: number | null
  }

/** `GET /api/plugins/{name}/config`: the settings, secrets only as whether they are set. */
export type PluginConfig = {
  config: Record<string, unknown>
  secrets: Record<string, { set: boolean; from: 'store' | 'configuration' | null }>
  /** Settings that `gatehouse.yaml` gives, which count more than those set here. */
  fixed: string[]
  schema: Record<string, unknown>
  ui_hints: Manifest['ui_hints']
  secret_settings: Manifest['secrets']
}

/** `PUT /api/plugins/{name}/config`: the whole settings; a secret that is left out stays, null removes it. */
export const PutPluginConfigInput = v.object({
  config: v.optional(v.record(v.string(), v.unknown(), 'must be a group')),
  secrets: v.optional(
    v.record(
      v.string(),
      v.nullable(v.pipe(v.string('must be text'), v.maxLength(65_536, 'is too long'))),
      'must be a group',
    ),
  ),
})
export type PutPluginConfigInput = v.InferOutput<typeof PutPluginConfigInput>

/** `surface_hash` says which surface was read; another one is refused. */
export const AcceptPluginInput = v.object({ surface_hash: v.string('must be text') })
export const EnablePluginInput = v.object({ surface_hash: v.optional(v.string('must be text')) })

const Place = v.pipe(
  v.string('must be text'),
  v.minLength(1, 'must not be empty'),
  v.maxLength(4096, 'is longer than 4096 characters'),
)

export const BrowsePluginsQuery = v.object({
  q: v.optional(
    v.pipe(
      v.string(),
      v.maxLength(100, 'must have at most 100 characters'),
      v.regex(/^(?!-)[^\p{Cc}]*$/u, 'must not begin with - or hold control characters'),
    ),
    '',
  ),
})

/** A plugin as a package in npm's registry. */
export type PackagedPlugin = {
  name: string
  version: string
  description: string
  publisher: string | null
  /** Epoch seconds. */
  published_at: number | null
  homepage: string | null
  /** What of it is here, and which version. */
  installed: { plugin: string; version: string } | null
}

/** One of: an npm package with its version, a folder, an archive (`.tgz`) by path or URL. */
export const InstallPluginInput = v.object({
  npm: v.optional(
    v.pipe(
      v.string('must be text'),
      v.maxLength(300, 'is longer than 300 characters'),
      v.regex(
        /^(@[a-z0-9~-][a-z0-9._~-]*\/)?[a-z0-9~-][a-z0-9._~-]*(@[\w.^~+-]+)?$/i,
        'must be a package name, such as @example/plugin@1.2.3',
      ),
    ),
  ),
  folder: v.optional(Place),
  archive: v.optional(Place),
  /** `sha512-…`; when given, what was downloaded must be that. */
  integrity: v.optional(
    v.pipe(
      v.string('must be text'),
      v.maxLength(200, 'is longer than 200 characters'),
      v.regex(/^sha(256|384|512)-[A-Za-z0-9+/=]+$/, 'must be as npm writes it: sha512-…'),
    ),
  ),
})
export type InstallPluginInput = v.InferOutput<typeof InstallPluginInput>

/** One check of `GET /api/plugins/doctor`. */
export type PluginCheck = {
  name: string
  level: 'ok' | 'warning' | 'error'
  message: string
  mend: string
}

/** Query of `GET /api/plugins/{name}/logs`. */
export const PluginLogQuery = v.object({
  after: v.optional(v.pipe(v.string(), v.regex(/^\d{1,15}$/, 'must be the seq of a line'), v.transform(Number))),
  limit: v.optional(
    v.pipe(v.string(), v.regex(/^\d{1,4}$/, 'must be a number of lines, at most 9999'), v.transform(Number)),
  ),
})
