import * as v from 'valibot'
import { ToolDefinition, ToolResult } from '../../../shared/plugin-protocol.ts'
import type { Tool, ToolContext } from '../../tools/tool.ts'
import { GatewayError } from '../gateway.ts'
import { defineKind } from './kind.ts'

/** Characters of streamed text that are kept of one call. */
const MAX_STREAMED = 1_000_000
const EFFECTS = ['read', 'write', 'execute'] as const

/** A tool as any other in the one list. Chunks of text stand before its result. */
export const tool = defineKind({
  definition: ToolDefinition,
  isDeclared: (manifest, { name }) => manifest.tools.some((declared) => declared.name === name),
  create: ({ plugin, definition, manifest, call, timeoutMs }): Tool => ({
    name: `${plugin}.${definition.name}`,
    description: definition.description,
    effect: effectOf(definition, manifest.tools),
    source: `plugin:${plugin}`,
    input_schema: definition.input_schema,
    async run(input, context) {
      let streamed = ''
      try {
        const output = await call({
          method: 'run',
          input,
          timeoutMs: timeoutMs(),
          signal: context.signal,
          context: aboutCall(context),
          onChunk: (data) => {
            if (streamed.length < MAX_STREAMED) streamed += typeof data === 'string' ? data : JSON.stringify(data)
          },
        })
        const known = v.safeParse(ToolResult, output)
        return { ok: !known.success || known.output.ok, text: streamed + textOf(output) }
      } catch (error) {
        if (!(error instanceof GatewayError) || context.signal.aborted) throw error
        const doubt = error.sent && (error.code === 'timeout' || error.code === 'gone')
          ? ' Whether it did something is not known.'
          : ''
        return { ok: false, text: `${streamed}The plugin ${plugin} could not do this: ${error.message}${doubt}` }
      }
    },
  }),
})

/** The owner accepted the manifest's word; the plugin's own can only raise it. */
function effectOf({ name, effect }: ToolDefinition, declared: readonly Pick<ToolDefinition, 'name' | 'effect'>[]) {
  const accepted = declared.find((candidate) => candidate.name === name)!.effect
  return EFFECTS[Math.max(EFFECTS.indexOf(accepted), EFFECTS.indexOf(effect))]!
}

/** The text of a result: as it says itself, or its JSON. */
export function textOf(output: unknown): string {
  const known = v.safeParse(ToolResult, output)
  if (known.success) return known.output.text
  return typeof output === 'string' ? output : JSON.stringify(output ?? null)
}

/** For whom a tool is called. */
export const aboutCall = ({ caller, session_id, turn_id, call_id }: ToolContext): Record<string, string> => ({
  handle: caller.handle,
  session_id,
  turn_id,
  tool_call_id: call_id,
})
