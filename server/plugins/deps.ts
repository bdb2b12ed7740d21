import type { Config } from '../../shared/config.ts'
import type { Caller } from '../auth/principal.ts'
import type { Bus } from '../bus/bus.ts'
import type { Db } from '../db/open.ts'
import type { Outbound } from '../http/outbound.ts'
import type { Runtime } from '../runtime/port.ts'
import type { Secrets } from '../secrets/service.ts'
import type { Log } from '../system/log.ts'
import type { ConfigFile } from './channel-switch.ts'

/** What the feature is built from. */
export type PluginDeps = {
  kysely: Db
  home: string
  /** Folder of the plugins that come with the server. */
  bundled: string
  runtime: Runtime
  secrets: Secrets
  bus: Bus
  log: Log
  outbound: Outbound
  /** The environment of the server; plugins are given what they declare of it. */
  variables: () => Record<string, string | undefined>
  config: () => Pick<Config, 'channels' | 'gateways' | 'plugins' | 'server'>
  /** Where channels are switched. */
  configFile: ConfigFile
  /** Calls back when one of these sections differs. */
  onConfig: (listener: () => void) => void
  audit: (
    entry: { caller: Caller; action: string; target: string; detail: Record<string, unknown> },
  ) => Promise<void> | void
  now: () => number
}
