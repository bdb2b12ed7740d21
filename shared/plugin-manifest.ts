import * as v from 'valibot'
import { HookEvent } from './plugin-hooks.ts'
import { CapabilityKind } from './plugin-protocol.ts'
import { overlap, PluginRoute } from './plugin-routes.ts'

/** The file that makes a folder a plugin. */
export const MANIFEST_FILE = 'plugin.json'

const line = (max: number) =>
  v.pipe(
    v.string('must be text'),
    v.maxLength(max, `must have at most ${max} characters`),
    v.check((value) => !value.includes('\0'), 'must not contain a NUL character'),
  )
const list = <S extends v.GenericSchema>(item: S) =>
  v.optional(v.pipe(v.array(item, 'must be a list'), v.maxLength(200, 'has more than 200 entries')), () => [])

/** A plugin's id; also the first part of its tools' names. */
export const PluginId = v.pipe(
  v.string('must be text'),
  v.regex(/^[a-z][a-z0-9_-]{0,39}$/, 'must begin with a letter and have at most 40 of a–z, 0–9, _ and -'),
  // Their addresses below /api/plugins are taken.
  v.check((id) => id !== 'browse' && id !== 'doctor', 'must not be browse or doctor'),
)

const Name = v.pipe(
  v.string('must be text'),
  v.regex(/^[a-z][a-z0-9_]{0,39}$/, 'must begin with a letter and have at most 40 of a–z, 0–9 and _'),
)

/** Of the network, as Deno names them. */
export const NetHost = v.pipe(
  v.string('must be text'),
  v.regex(
    /^(\*\.)?[A-Za-z0-9_-][\w.-]*(:\d{1,5})?$|^\[[0-9a-fA-F:]+\](:\d{1,5})?$/,
    'must be a host such as api.example.org or example.org:443; *.example.org are its subdomains',
  ),
)

const Variable = v.pipe(v.string('must be text'), v.regex(/^[A-Za-z_]\w*$/, 'must be the name of a variable'))

/** Paths are inside the plugin's folder, or absolute. */
const Path = v.pipe(
  line(4096),
  v.minLength(1, 'must not be empty'),
  v.check((value) => !value.includes(','), 'has a comma'),
)

/** What the plugin wants to reach. Kept to on Deno; elsewhere only told to the owner. */
export const Permissions = v.object({
  /** Hosts; with `*` any. */
  net: list(v.union([v.literal('*'), NetHost], 'must be a host such as api.example.org, or *')),
  /** Variables of the server's environment that it is given. */
  env: list(Variable),
  read: list(Path),
  write: list(Path),
  /** Programs that it starts. */
  run: list(line(200)),
  /** What it asks of the system, as Deno names it: `hostname`, `osRelease`… */
  sys: list(v.pipe(v.string('must be text'), v.regex(/^[A-Za-z]+$/, 'must be a name such as hostname'))),
})
export type Permissions = v.InferOutput<typeof Permissions>

/** A setting that is a secret: kept sealed, given in `configure.secrets`, or in the variable `env`. */
export const SecretSetting = v.object({
  name: v.pipe(v.string('must be text'), v.regex(/^[A-Za-z_]\w{0,63}$/, 'must be a name')),
  label: v.optional(line(100)),
  help: v.optional(line(1000)),
  required: v.optional(v.boolean('must be true or false'), true),
  env: v.optional(Variable),
})
export type SecretSetting = v.InferOutput<typeof SecretSetting>

/** How the form shows a setting. */
export const UiHint = v.object({
  label: v.optional(line(100)),
  help: v.optional(line(1000)),
  placeholder: v.optional(line(200)),
  /** Groups and orders the form; lower comes first. */
  order: v.optional(v.number('must be a number')),
  advanced: v.optional(v.boolean('must be true or false')),
})

/**
 * `plugin.json`: everything that may be known of a plugin without running it. Names that are not known here are
 * ignored, so that a newer plugin can still be read.
 */
export const Manifest = v.pipe(
  v.object({
    id: PluginId,
    name: v.pipe(line(100), v.minLength(1, 'must not be empty')),
    version: v.pipe(line(50), v.minLength(1, 'must not be empty')),
    description: v.optional(line(2000), ''),
    homepage: v.optional(line(1000)),
    /** `v1alpha1` is the Gateway Protocol alone; `gatehouse.v1` adds settings, capabilities and the store. */
    protocol: v.optional(v.picklist(['v1alpha1', 'gatehouse.v1'], 'must be v1alpha1 or gatehouse.v1'), 'gatehouse.v1'),
    /** A TypeScript or JavaScript file inside the folder. */
    entry: v.optional(v.pipe(line(1000), v.minLength(1, 'must not be empty'))),
    /** In place of `entry`: a program and its arguments. One with a slash is inside the folder. */
    command: v.optional(v.pipe(v.array(line(4096), 'must be a list of text'), v.minLength(1, 'must not be empty'))),
    /** What `entry` runs on; the server's own runtime when left out. Permissions are only kept to on Deno. */
    runtime: v.optional(v.picklist(['deno', 'node', 'bun'], 'must be deno, node or bun')),
    restart: v.optional(
      v.picklist(['always', 'on_failure', 'never'], 'must be always, on_failure or never'),
      'on_failure',
    ),
    /** `demand`: it sleeps until something that it offers is called, and again when it was not for a while. */
    start: v.optional(v.picklist(['boot', 'demand'], 'must be boot or demand'), 'boot'),
    /** Chat platforms that it carries, such as `telegram`. */
    channels: list(Name),
    /** Kinds that it may register, beside those that follow from `tools`, `routes` and `hooks`. */
    capabilities: list(CapabilityKind),
    tools: list(
      v.object({
        name: Name,
        description: v.optional(line(4000), ''),
        effect: v.optional(v.picklist(['read', 'write', 'execute'], 'must be read, write or execute'), 'write'),
      }),
    ),
    /** Requests that it answers, below `/hooks/plugins/<name>/`. */
    routes: v.pipe(
      list(PluginRoute),
      v.check(
        (routes) => !routes.some((route, at) => routes.slice(at + 1).some((other) => overlap(route, other))),
        'has two that would answer the same request',
      ),
    ),
    /** What it hears of; with `tool.before` it may forbid calls of tools. */
    hooks: list(HookEvent),
    /** JSON Schema of the settings, an object; secrets are not in it. */
    config_schema: v.optional(v.record(v.string(), v.unknown(), 'must be a JSON Schema'), () => ({
      type: 'object',
      properties: {},
    })),
    /** By the name of a setting or of a secret. */
    ui_hints: v.optional(v.record(v.string(), UiHint, 'must be a group'), () => ({})),
    secrets: list(SecretSetting),
    permissions: v.optional(Permissions, () => ({ net: [], env: [], read: [], write: [], run: [], sys: [] })),
    memory_mb: v.optional(v.pipe(v.number('must be a number'), v.minValue(16, 'must be at least 16'))),
  }, 'must be a JSON object'),
  v.check(
    ({ entry, command }) => (entry === undefined) !== (command === undefined),
    'must have either entry or command',
  ),
  v.check(
    ({ start, protocol, channels, hooks, capabilities }) =>
      start === 'boot' || (protocol === 'gatehouse.v1' && channels.length + hooks.length === 0 &&
        !capabilities.includes('service')),
    'start can be demand only for a gatehouse.v1 plugin without channels, hooks and services, which have to run',
  ),
)
export type Manifest = v.InferOutput<typeof Manifest>
