import { CommandDefinition } from '../../../shared/plugin-protocol.ts'
import { defineKind } from './kind.ts'
import { textOf } from './tool.ts'

/** `/name` in a chat that a plugin answers without the model. */
export type PluginCommand = {
  plugin: string
  name: string
  description: string
  effect: 'read' | 'write' | 'execute'
  /**
   * `args` is the text after the name; `context` says where, as `session_id`, `channel`, `sender_id`. Rejects with
   * `GatewayError`.
   */
  run(args: string, context: Record<string, string>): Promise<string>
}

/** A command for chats. */
export const command = defineKind({
  definition: CommandDefinition,
  create: ({ plugin, definition: { name, description, effect }, call, timeoutMs }): PluginCommand => ({
    plugin,
    name,
    description,
    effect,
    run: async (args, context) =>
      textOf(await call({ method: 'handle', input: { args }, timeoutMs: timeoutMs(), context })),
  }),
})
