import type { Caller } from '../auth/principal.ts'
import type { Bus } from '../bus/bus.ts'
import type { Log } from '../system/log.ts'
import type { ModelProvider, PluginModels } from './provider.ts'
import type { ModelStore } from './store.ts'
import type { PluginSpeech } from './transcribe.ts'

/** One entry for the audit log. */
export type AuditEntry = {
  caller?: Caller | undefined
  action: string
  target: string
  detail: Record<string, unknown>
}

/** What the models feature is built from; `createModels` explains each. */
export type ModelsDeps = {
  store: ModelStore
  /** Synchronous: a key is sealed before it is stored and opened just before it is used. */
  secrets: { seal(plain: string): string; open(sealed: string): string }
  bus: Bus
  log: Log
  /** Answers when no model is connected; listed as `builtin:rules`. */
  builtin: ModelProvider
  /** Where references such as `${OPENAI_API_KEY}` are looked up. */
  env: Record<string, string | undefined>
  /** Used for all requests to providers; the runtime's own `fetch` when left out. */
  outboundFetch?: typeof fetch | undefined
  /** Without `outboundFetch`: pooled connections of our own, which cost less than the `fetch` of Node and Deno and have no limit as on Bun. */
  pooled?: boolean | undefined
  /** What plugins that run answer for. */
  pluginModels?: (() => PluginModels[]) | undefined
  /** The plugin that writes recordings down; one that is about to come is waited for. */
  pluginSpeech?: ((signal: AbortSignal) => Promise<PluginSpeech | undefined>) | undefined
  audit?: ((entry: AuditEntry) => void | Promise<void>) | undefined
  now: () => number
}
