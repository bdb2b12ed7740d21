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
  const providers = new Map<string, () => readonly Tool[]>()
  const add = (tool: Tool): void => {
    const wire = wireNameOf(tool.name)
    if (byWireName.has(wire)) throw new Error(`two tools are called ${wire}`)
    byName.set(tool.name, tool)
    byWireName.set(wire, tool)
  }
  initial.forEach(add)
  /** Tools that come and go; one whose name is taken stays out, so that nothing from outside replaces ours. */
  const provided = (): Map<string, Tool> => {
    const found = new Map<string, Tool>()
    for (const tools of providers.values()) {
      for (const tool of tools()) {
        const wire = wireNameOf(tool.name)
        if (!byWireName.has(wire) && !found.has(wire)) found.set(wire, tool)
      }
    }
    return found
  }

  return {
    add,
    /** A feature whose tools change while the server runs; asked each time the list is read, so it must be quick. */
    provide: (source: string, tools: () => readonly Tool[]): void => void providers.set(source, tools),
    list: (): Tool[] => [...byName.values(), ...provided().values()],
    /** The list as models get it, with names that every vendor accepts. */
    specs: (): ToolSpec[] =>
      [...byWireName, ...provided()].map(([name, tool]) => ({
        name,
        description: tool.description,
        input_schema: tool.input_schema,
      })),
    /** By its own name or by the name that a model was given. */
    find: (name: string): Tool | undefined =>
      byName.get(name) ?? byWireName.get(name) ?? provided().get(wireNameOf(name)),

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
