import type { Caller } from '../auth/principal.ts'
import type { Bus } from '../bus/bus.ts'
import type { Outbound } from '../http/outbound.ts'
import type { Log } from '../system/log.ts'
import type { ToolContext } from '../tools/tool.ts'

/** Settings of the section `mcp_client`. */
export type McpClientSettings = {
  registry_url: string
  idle_stop_seconds: number
  start_timeout_seconds: number
  call_timeout_seconds: number
}

/** What the feature is built from. */
export type McpDeps = {
  home: string
  version: string
  secrets: { seal(plain: string): string; open(sealed: string): string }
  bus: Bus
  log: Log
  outbound: Outbound
  /** Where references such as `${API_KEY}` are looked up. */
  variables: () => Record<string, string | undefined>
  settings: () => McpClientSettings
  /** Keeps a file of a result for the caller. */
  keepFile: (caller: ToolContext['caller'], file: { name: string; bytes: Uint8Array }) => Promise<string | undefined>
  /** Whether a tool that is no MCP server's has this name in the list for models. */
  isTaken: (name: string) => boolean
  /** Hears of names that stand for no tool any more, or for another one. */
  onGone: (tools: string[]) => Promise<void>
  audit: (
    entry: { caller: Caller; action: string; target: string; detail: Record<string, unknown> },
  ) => Promise<void> | void
  now: () => number
}
