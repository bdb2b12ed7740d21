import type { ToolProgress } from '../../shared/turn-events.ts'
import type { Caller } from '../auth/principal.ts'
import type { ModelMessage } from '../models/provider.ts'

/** What a call changes: nothing, data of ours, or the world outside (design §6). */
export type Effect = 'read' | 'write' | 'execute'

export type ToolContext = {
  caller: Caller
  session_id: string
  turn_id: string
  call_id: string
  /** Aborted when the turn is interrupted or out of time. */
  signal: AbortSignal
  /** What the person wrote who allowed the call. */
  answer?: string
  /** Tells how far the call is, as often as the tool likes; left out where nobody follows. */
  progress?(update: ToolProgress): void
  /** Asks the model of the turn, on its ledger; left out where there is no turn. Throws an error for who asked. */
  askModel?(question: ModelQuestion): Promise<ModelAnswer>
}

/** What a tool, or a server behind it, asks the model in the middle of a call. */
export type ModelQuestion = {
  /** Who asks: `mcp:github`. */
  source: string
  messages: ModelMessage[]
  max_output_tokens: number
  temperature?: number
  /** Asks a person where a rule wants it. */
  confirm: (reason: string, prompt: string) => Promise<boolean>
  signal: AbortSignal
}

/** `cut`: it reached the output limit. */
export type ModelAnswer = { model: string; text: string; cut: boolean }

/** Text for the model, and whether the call did what was asked. */
export type ToolOutput = { ok: boolean; text: string }

/**
 * Something that a model may call. One shape for built-in tools, MCP servers and plugins.
 * `run` may throw: `AppError` messages reach the model as a failed result, anything else as an internal failure.
 */
export type Tool = {
  /** Dotted, `feature.verb`: `notes.search`. Sent to vendors with `.` as `_`. */
  name: string
  description: string
  effect: Effect
  /** Why a call is asked about whatever was allowed before, such as a description that changed since it was accepted. */
  ask?: string
  /** Name of the input field that holds a shell command, if one does; the gate then judges each part of it. */
  command?: string
  /** What offers it, where that is not Gatehouse itself: `mcp:github`. */
  source?: string
  /** JSON Schema of the input object. */
  input_schema: Record<string, unknown>
  run(input: Record<string, unknown>, context: ToolContext): Promise<ToolOutput>
}

/** A tool that is known and not offered, and what would switch it on. */
export type OffTool = { tool: Omit<Tool, 'run'>; off: string }
