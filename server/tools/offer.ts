import type { ToolSpec } from '../models/provider.ts'
import type { Tool } from './tool.ts'

/** A call that the turn made before. */
export type PastCall = { name: string; result?: { ok: boolean; text: string } }

/** The tool with which a model looks for others. */
export const SEARCH = 'tool_search'

/** Most tools of searches that stay offered, newest first: a turn that searches much must not pay for it for ever. */
const MAX_FOUND = 24

/** A tool's name as every vendor accepts it. */
export const wireNameOf = (name: string): string => name.replace(/[^a-zA-Z0-9_-]/g, '_').slice(0, 64)

type Measured = { spec: ToolSpec; tokens: number }
const measured = new WeakMap<Tool, Measured>()

function measure(tool: Tool): Measured {
  let known = measured.get(tool)
  if (!known) {
    const { name, description, input_schema } = tool
    const spec = { name: wireNameOf(name), description, input_schema }
    known = { spec, tokens: Math.ceil(JSON.stringify(spec).length / 4) }
    measured.set(tool, known)
  }
  return known
}

/** A tool as models are told of it. */
export const specOf = (tool: Tool): ToolSpec => measure(tool).spec

/** Estimated tokens that their descriptions take. */
export const tokensOf = (tools: readonly Tool[]): number => tools.reduce((sum, tool) => sum + measure(tool).tokens, 0)

/** The tools, in order, whose descriptions fit together; one that is too long does not keep the next ones out. */
export function fitting(tools: readonly Tool[], budget: number): Tool[] {
  let left = budget
  return tools.filter((tool) => {
    const { tokens } = measure(tool)
    if (tokens > left) return false
    left -= tokens
    return true
  })
}

/** Names of tools that the turn has found or called; read off its log, so a turn that goes on knows them again. */
export function foundIn(past: readonly PastCall[]): Set<string> {
  const names = new Set<string>()
  for (const { name, result } of past.toReversed()) {
    if (names.size >= MAX_FOUND) break
    if (name !== SEARCH) names.add(name)
    else if (result?.ok) { for (const found of namesIn(result.text)) if (names.size < MAX_FOUND) names.add(found) }
  }
  return names
}

/**
 * Clients of OpenAgent know a dispatcher, `tool_search_call_tool {server, tool, args}`, and so do models that were
 * taught it. The call inside is what the gate judges and what the log shows.
 */
export function unwrapped(
  call: { name: string; arguments: Record<string, unknown> },
  find: (name: string) => Tool | undefined,
): { name: string; arguments: Record<string, unknown> } {
  if (call.name !== 'tool_search_call_tool') return call
  const { server, tool, args } = call.arguments
  if (typeof tool !== 'string') return call
  const named = typeof server === 'string' && server !== '' ? [`${server}.${tool}`, `${server}_${tool}`, tool] : [tool]
  const name = named.find((candidate) => find(candidate) !== undefined)
  return { name: name ?? named[0]!, arguments: objectOf(args) }
}

function objectOf(args: unknown): Record<string, unknown> {
  if (typeof args === 'string') {
    try {
      return objectOf(JSON.parse(args))
    } catch {
      return {}
    }
  }
  return typeof args === 'object' && args !== null && !Array.isArray(args) ? args as Record<string, unknown> : {}
}

function namesIn(text: string): string[] {
  try {
    const { tools } = JSON.parse(text) as { tools?: { name?: unknown }[] }
    return (tools ?? []).map(({ name }) => name).filter((name) => typeof name === 'string')
  } catch {
    return []
  }
}
