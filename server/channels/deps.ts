import type { Config } from '../../shared/config.ts'
import type { Approvals } from '../approvals/service.ts'
import type { Caller } from '../auth/principal.ts'
import type { Bus } from '../bus/bus.ts'
import type { Db } from '../db/open.ts'
import type { Outbound } from '../http/outbound.ts'
import type { Models } from '../models/service.ts'
import type { Gateway, GatewayListener } from '../plugins/gateway.ts'
import type { Sessions } from '../sessions/service.ts'
import type { Log } from '../system/log.ts'
import type { Tools } from '../tools/service.ts'
import type { Uploads } from '../uploads/service.ts'
import { escaped } from './session-key.ts'

/** What channels need of the host that runs the plugins. */
export type GatewayHost = {
  gateways(): Gateway[]
  onGatewayEvent(listener: GatewayListener): void
  onGatewayState(listener: (gateway: Gateway) => void): void
}

/** The commands that all doors share; those with a `plugin` are answered by it. */
export type SharedCommands = {
  list(): { name: string; description: string; plugin?: string; effect?: 'read' | 'write' | 'execute' }[]
  knows(name: string): boolean
  run(
    name: string,
    input: { caller: Caller; sessions: readonly string[]; arg: string; about?: Record<string, string> },
  ): Promise<{ text: string; picker?: { prompt: string; options: { label: string; value: string }[] } }>
}

/** What the feature is built from. */
export type ChannelDeps = {
  kysely: Db
  plugins: GatewayHost
  sessions: Sessions
  commands: SharedCommands
  approvals: Pick<Approvals, 'list' | 'decide'>
  tools: Pick<Tools, 'find'>
  uploads: Pick<Uploads, 'save' | 'find' | 'read'>
  outbound: Outbound
  /** Writes down what was said in a file; undefined where nobody can. */
  transcribe: Models['transcribe']
  config: () => Pick<Config, 'name' | 'channels' | 'gateways'>
  bus: Bus
  log: Log
  audit: (entry: {
    caller?: Caller
    system?: string
    action: string
    target: string
    detail: Record<string, unknown>
  }) => Promise<void>
  now: () => number
}

/** Chats belong to the owner, who let their people in; the owner finds them among the other conversations. */
const HANDLE = 'owner'

/** Somebody on a channel; the part of the id before the colon is the channel. */
export const channelCaller = (channel: string, person: { id: string; name: string }): Caller => ({
  kind: 'channel',
  handle: HANDLE,
  id: `${escaped(channel)}:${escaped(person.id)}`,
  name: person.name,
  scopes: new Set(['read', 'chat']),
})

/** The feature itself, where nobody in particular asks. */
export const CHANNELS: Caller = {
  kind: 'channel',
  handle: HANDLE,
  id: 'channels',
  name: 'Channels',
  scopes: new Set(['read', 'chat']),
}
