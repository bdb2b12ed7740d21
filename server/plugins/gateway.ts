import type { CommandBody, GatewayEvent } from '../../shared/gateway-protocol.ts'
import type { CapabilityEvent } from '../../shared/plugin-protocol.ts'

export type PluginState = 'stopped' | 'starting' | 'ready' | 'backoff' | 'failed' | 'quarantined'

/** What a plugin said of itself in `ready`. */
export type Ready = Omit<Extract<GatewayEvent, { type: 'ready' }>, 'type'>
/** How it last said that it stands with its platform. */
export type Status = Omit<Extract<CapabilityEvent, { type: 'status' }>, 'type'>

/** A plugin that carries a chat platform, whether it runs or not. */
export type Gateway = {
  /** The configured one: the key of `channels.<name>`, or the plugin's id. */
  readonly name: string
  /** Id of the plugin; the name again for a bare command. */
  readonly plugin: string
  readonly state: PluginState
  /** What it said of itself; undefined unless it is ready. */
  readonly ready: Ready | undefined
  /** Undefined until it said something of the kind, and unless it is ready. */
  readonly status: Status | undefined
  /** Why it does not run. */
  readonly problem: string | undefined
  /** The folder that is its own to write in, through which files may be passed; undefined where it was told none. */
  readonly data_dir?: string | undefined
  /**
   * The plugin's answer to one command; rejects with `GatewayError`. Only a plugin that is ready takes commands.
   * Sent twice with one `request_id` while the first is unanswered, both get that one answer.
   */
  command(body: CommandBody, options: { request_id: string; timeout_ms?: number }): Promise<{ message_id?: string }>
  /** Fire and forget, dropped when the plugin is behind. 0 seconds ends it. */
  typing(chatId: string, seconds: number, threadId?: string): void
}

/** What channels hear: everything but `pong`, `ready` and answers in time, which the host takes care of. */
export type GatewayNews = Exclude<GatewayEvent, { type: 'pong' | 'ready' }>

/**
 * Hears of the events of one plugin strictly in order; reading goes on when it resolves, which is the back-pressure.
 * It must not wait for a command to the same plugin, for the answer may stand behind the event.
 * An answer (`command_ok`, `command_error`) is only heard of when it came after its deadline.
 */
export type GatewayListener = (gateway: Gateway, event: GatewayNews) => Promise<void>

/**
 * Why a command was not done. `code` is the plugin's own word, or one of ours: `timeout` (sent, and nobody knows),
 * `gone` (not running, or ended meanwhile), `back_pressure` (not sent, for it takes nothing).
 */
export class GatewayError extends Error {
  readonly code: string
  readonly retry_after_ms: number | undefined
  /** Whether the plugin may have got the command. */
  readonly sent: boolean

  constructor(code: string, message: string, more: { retry_after_ms?: number | undefined; sent?: boolean } = {}) {
    super(message)
    this.name = 'GatewayError'
    this.code = code
    this.retry_after_ms = more.retry_after_ms
    this.sent = more.sent ?? true
  }
}
