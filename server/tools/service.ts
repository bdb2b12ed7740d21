import type { ToolSpec } from '../models/provider.ts'
import { AppError } from '../errors.ts'
import { fitting, foundIn, type PastCall, specOf, tokensOf, unwrapped, wireNameOf } from './offer.ts'
import { searchTool } from './tool-search.ts'
import type { Tool, ToolContext, ToolOutput } from './tool.ts'

export { wireNameOf } from './offer.ts'

export type Tools = ReturnType<typeof createTools>

/** A result longer than this is cut: it would push the conversation out of the model's window. */
const MAX_RESULT = 64_000

/** The one list of tools; features add theirs when the app is built. */
export function createTools(initial: Tool[], settings: {
  /** Tokens that descriptions may take in a model call. */
  budget: () => number
  /** Hears of each call when it is over. */
  onDone?: (call: { tool: Tool; context: ToolContext; output: ToolOutput; duration_ms: number }) => void
}) {
  const byName = new Map<string, Tool>()
  const byWireName = new Map<string, Tool>()
  const providers = new Map<string, () => readonly Tool[]>()
  const core = new Map<string, () => readonly Tool[]>()
  const add = (tool: Tool): void => {
    const wire = wireNameOf(tool.name)
    if (byWireName.has(wire)) throw new Error(`two tools are called ${wire}`)
    byName.set(tool.name, tool)
    byWireName.set(wire, tool)
  }
  initial.forEach(add)
  let known: { tools: Tool[]; own: number; byWire: Map<string, Tool> } | undefined
  /**
   * Tools that come and go; one whose name is taken stays out, so that nothing from outside replaces ours. Asked several
   * times for each call, so it is put together anew only when a tool came or went.
   */
  const provided = (): Map<string, Tool> => {
    const tools = [...providers.values()].flatMap((offered) => offered())
    const same = known?.own === byWireName.size && known.tools.length === tools.length &&
      tools.every((tool, i) => tool === known!.tools[i])
    if (!same) {
      const byWire = new Map<string, Tool>()
      for (const tool of tools) {
        const wire = wireNameOf(tool.name)
        if (!byWireName.has(wire) && !byWire.has(wire)) byWire.set(wire, tool)
      }
      known = { tools, own: byWireName.size, byWire }
    }
    return known!.byWire
  }

  const list = (): Tool[] => [...byName.values(), ...provided().values()]
  const find = (name: string): Tool | undefined =>
    byName.get(name) ?? byWireName.get(name) ?? provided().get(wireNameOf(name))
  const search = searchTool(list)
  add(search)

  return {
    add,
    /** Whether one of ours, which do not come and go, has this name in the list for models. */
    isOurs: (wire: string): boolean => byWireName.has(wire),
    /**
     * A feature whose tools change while the server runs; asked each time the list is read, so it must be quick.
     * Tools of our own are `core`: they are offered first when there are too many to describe.
     */
    provide(source: string, tools: () => readonly Tool[], options: { core?: boolean } = {}): void {
      providers.set(source, tools)
      if (options.core) core.set(source, tools)
    },
    list,
    /** By its own name or by the name that a model was given. */
    find,

    /**
     * The list as models get it, with names that every vendor accepts. When all descriptions exceed the budget, it is
     * our own tools as far as they fit, the search, and what this turn has found or used before.
     */
    offer(past: readonly PastCall[] = []): ToolSpec[] {
      const all = list().filter((tool) => tool !== search)
      if (tokensOf(all) <= settings.budget()) return all.map(specOf)
      const found = [...foundIn(past)].map(find).filter((tool) => tool !== undefined)
      const own = [...byName.values(), ...[...core.values()].flatMap((tools) => tools())]
        .filter((tool) => tool !== search)
      const fit = fitting(own, settings.budget() - tokensOf([search]))
      return [...new Set([...fit, search, ...found])].map(specOf)
    },

    /** The call that a model means: its tool's own name, taken out of a dispatcher where one was used. */
    meant(call: { name: string; arguments: Record<string, unknown> }) {
      const { name, arguments: args } = unwrapped(call, find)
      return { name: find(name)?.name ?? name, arguments: args }
    },

    /** Runs a call that the gate let through. Never throws: a failure is a result that says what happened. */
    async run(tool: Tool, input: Record<string, unknown>, context: ToolContext): Promise<ToolOutput> {
      const began = performance.now()
      const output = await outputOf(tool, input, context)
      settings.onDone?.({ tool, context, output, duration_ms: Math.round(performance.now() - began) })
      return output
    },
  }
}

async function outputOf(tool: Tool, input: Record<string, unknown>, context: ToolContext): Promise<ToolOutput> {
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
}
