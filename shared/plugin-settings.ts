import * as v from 'valibot'
import { channelEntries } from './channels.ts'
import { NetHost } from './plugin-manifest.ts'
import { flag, seconds, text, whole } from './setting.ts'

/** How a program is started whose command stands in the configuration. */
const program = {
  command: text('Command', 'Program to start; a name is looked up in the search path', 4096),
  args: v.array(text('Argument', '', 32_768), 'must be a list'),
  env: v.pipe(
    v.record(v.string(), v.pipe(v.union([v.string(), v.number(), v.boolean()], 'must be text'), v.transform(String))),
    v.title('Variables'),
    v.description('Beside the search path, home and locale, it gets only these'),
  ),
  restart: v.pipe(
    v.picklist(['always', 'on_failure', 'never'], 'must be always, on_failure or never'),
    v.title('Restart'),
    v.description('What happens when it ends by itself'),
  ),
}

/** One of `channels`. Settings of a manifest's own, and those of routing and access, stand beside these. */
export const Channel = v.looseObject({
  enabled: v.optional(flag('Enabled', 'Start it with the server')),
  plugin: v.optional(text('Plugin', 'Id of the plugin that carries it; its own name when left out', 100)),
  command: v.optional(program.command),
  args: v.optional(program.args),
  env: v.optional(program.env),
  restart: v.optional(program.restart),
  allow_hosts: v.optional(
    v.pipe(
      v.array(NetHost, 'must be a list'),
      v.title('Further hosts'),
      v.description('That its plugin may reach beside those of its manifest, such as a server of your own'),
    ),
  ),
  ...channelEntries,
}, 'must be a group of settings')

/** One of Duragent's `gateways.external`. */
export const ExternalGateway = v.looseObject({
  name: v.pipe(
    v.string('must be text'),
    v.regex(/^[A-Za-z0-9][\w.-]{0,63}$/, 'must be a name of letters, digits and . _ -'),
  ),
  command: program.command,
  args: v.optional(program.args),
  env: v.optional(program.env),
  restart: v.optional(program.restart),
  ...channelEntries,
})

/** `plugins` of the configuration: where they are found, and their limits. */
export const Plugins = v.object({
  enabled: v.optional(flag('Plugins', 'Start any at all'), true),
  paths: v.optional(
    v.pipe(
      v.array(text('Folder', 'Of one plugin, or of several', 4096), 'must be a list'),
      v.title('Further folders'),
      v.description("Beside the home's plugins folder; what is in them needs no acceptance"),
    ),
    [],
  ),
  allow_unrestricted: v.optional(
    flag('Allow unrestricted', 'Start plugins that no runtime keeps within their permissions'),
    true,
  ),
  ready_timeout_seconds: v.optional(seconds('Time to start', 'Seconds until a plugin must be ready', 0.1, 600), 30),
  ping_seconds: v.optional(seconds('Ping', 'Seconds between questions whether it still answers', 0.1, 3600), 30),
  pong_timeout_seconds: v.optional(seconds('Time to answer', 'Seconds until a ping counts as missed', 0.1, 600), 10),
  missed_pongs: v.optional(whole('Missed pings', 'In a row, until it is started again', 1, 100), 2),
  stop_grace_ms: v.optional(
    whole('Time to stop', 'Milliseconds to end by itself after it was asked to', 0, 60_000),
    500,
  ),
  kill_grace_ms: v.optional(whole('Time to end', 'Milliseconds between SIGTERM and SIGKILL', 0, 60_000), 1000),
  restart_delay_ms: v.optional(
    whole('First delay', 'Milliseconds until the first restart; doubles up to a minute', 1, 60_000),
    1000,
  ),
  stable_seconds: v.optional(
    seconds('Stable after', 'Seconds that a plugin must run until its crashes are forgotten', 0.1, 86_400),
    60,
  ),
  max_crashes: v.optional(whole('Crashes', 'In a row, until a plugin is put into quarantine', 1, 1000), 5),
  memory_mb: v.optional(whole('Memory', 'Megabytes of a plugin with all that it started', 1, 1_000_000), 512),
  max_processes: v.optional(whole('Processes', 'Of a plugin with all that it started', 1, 100_000), 64),
  sample_seconds: v.optional(seconds('Measure every', 'Seconds between looks at memory and processes', 0.1, 600), 2),
  messages_per_second: v.optional(
    whole('Messages', 'That a plugin may send in a second for good, answers not counted', 1, 1_000_000),
    200,
  ),
  hold_seconds: v.optional(
    seconds('Patience', 'Seconds that a plugin may flood, or take nothing, until it is ended', 0.1, 3600),
    20,
  ),
  command_timeout_seconds: v.optional(
    seconds('Time of a command', 'Seconds until an answer is missing', 0.1, 3600),
    30,
  ),
  idle_seconds: v.optional(
    seconds('Idle', 'Seconds without a call until a plugin that is started on demand is stopped', 0.1, 86_400),
    300,
  ),
  requests_per_second: v.optional(
    whole('Requests', 'From outside that one plugin is handed in a second for good', 1, 100_000),
    50,
  ),
  request_timeout_seconds: v.optional(
    seconds('Time of a request', 'Seconds until a request from outside is answered for a plugin', 0.1, 600),
    15,
  ),
  hook_timeout_seconds: v.optional(
    seconds('Time of a hook', 'Seconds that a plugin may take to say whether a tool may run', 0.05, 60),
    2,
  ),
  hook_failure: v.optional(
    v.pipe(
      v.picklist(['ignore', 'deny'], 'must be ignore or deny'),
      v.title('Failing hooks'),
      v.description('What happens to a call of a tool when a plugin that has to be asked first gives no answer'),
    ),
    'ignore',
  ),
  call_timeout_seconds: v.optional(
    seconds('Time of a call', 'Seconds that a tool of a plugin may take', 0.1, 86_400),
    120,
  ),
})
export type PluginSettings = v.InferOutput<typeof Plugins>
