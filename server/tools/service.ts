import type { ToolSpec } from '../models/provider.ts'
import { AppError } from '../errors.ts'
import type { Tool, ToolContext, ToolOutput } from './tool.ts'

export type Tools = ReturnType<typeof createTools>

/** A result longer than this is cut: it would push the conversation out of the model's window. */
const MAX_RESULT = 64_000

/** The one list of tools; features add theirs when the app is built. */
export function createTools(initial: Tool[]) {
  const byName = new Map<string, Tool>()
  const byWireName = new Map<string, Tool>()
  const add = (tool: Tool): void => {
    const wire = wireNameOf(tool.name)
    if (byWireName.has(wire)) throw new Error(`two tools are called ${wire}`)
    byName.set(tool.name, tool)
    byWireName.set(wire, tool)
  }
  initial.forEach(add)

  return {
    add,
    list: (): Tool[] => [...byName.values()],
    /** The list as models get it, with names that every vendor accepts. */
    specs: (): ToolSpec[] =>
      [...byWireName].map(([name, tool]) => ({ name, description: tool.description, input_schema: tool.input_schema })),
    /** By its own name or by the name that a model was given. */
    find: (name: string): Tool | undefined => byName.get(name) ?? byWireName.get(name),

    /** Runs a call that the gate let through. Never throws: a failure is a result that says what happened. */
    async run(tool: Tool, input: Record<string, unknown>, context: ToolContext): Promise<ToolOutput> {
      try {
        const output = await tool.run(input, context)
        if (output.text.length <= MAX_RESULT) return output
        return {
          ok: output.ok,
          text: `${output.text.slice(0, MAX_RESULT)}\n[cut: ${output.text.length - MAX_RESULT} more characters]`,
        }
      } catch (error) {
        if (context.signal.aborted) return { ok: false, text: 'Stopped before it finished.' }
        if (error instanceof AppError) return { ok: false, text: error.message }
        return { ok: false, text: `${tool.name} failed: ${(error as Error).message}` }
      }
    },
  }
}

const wireNameOf = (name: string): string => name.replace(/[^a-zA-Z0-9_-]/g, '_').slice(0, 64)
