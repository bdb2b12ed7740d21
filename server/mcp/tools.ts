import { createHash } from 'node:crypto'
import type { McpTool } from '../../shared/mcp.ts'
import type { Effect, Tool, ToolContext, ToolOutput } from '../tools/tool.ts'
import { isChanged } from './pinning.ts'
import type { StoredMcp, StoredMcpTool } from './store.ts'

/** The longest name that every vendor takes. */
const MAX_NAME = 64

/** Runs a call on the server that the tool belongs to. */
export type CallMcp = (tool: StoredMcpTool, args: Record<string, unknown>, context: ToolContext) => Promise<ToolOutput>

/**
 * Enabled servers' tools as a model gets them; names that collide, with ours too, or are too long carry a few
 * characters of a hash. The server that was there first keeps the plain name.
 */
export function toolsOf(
  servers: StoredMcp[],
  known: StoredMcpTool[],
  { call, isTaken }: { call: CallMcp; isTaken: (name: string) => boolean },
): { tools: Tool[]; shown: McpTool[] } {
  const taken = new Set<string>()
  const tools: Tool[] = []
  const shown: McpTool[] = []
  for (const server of servers) {
    for (const tool of known.filter((candidate) => candidate.server === server.name)) {
      const name = nameOf(server.name, tool.name, (plain) => taken.has(plain) || isTaken(plain))
      taken.add(name)
      const effect = effectOf(tool, server.settings.trust_hints)
      const changed = isChanged(tool)
      // What the owner accepted is what the model reads, until he accepts the change.
      const { description, input_schema, title } = tool.accepted ?? tool.definition
      shown.push({
        name,
        server: server.name,
        tool: tool.name,
        title: tool.definition.title,
        description: tool.definition.description,
        input_schema: tool.definition.input_schema,
        annotations: tool.definition.annotations,
        effect,
        effect_override: tool.effect,
        enabled: tool.enabled,
        changed,
        accepted_description: changed ? tool.accepted?.description ?? null : null,
        accepted_input_schema: changed ? tool.accepted?.input_schema ?? null : null,
      })
      if (!server.enabled || !tool.enabled) continue
      tools.push({
        name,
        description: description || title || tool.name,
        source: `mcp:${server.name}`,
        effect,
        ...(changed ? { ask: changeOf(server.name, tool) } : {}),
        input_schema,
        run: (args, context) => call(tool, args, context),
      })
    }
  }
  return { tools, shown }
}

/**
 * What a call changes. A server's own word is text from outside: "read-only" lowers a tool to what runs without a
 * question only where the owner trusts the server's hints, and "destructive" can only raise it.
 */
function effectOf(tool: StoredMcpTool, trusted: boolean): Effect {
  if (tool.effect) return tool.effect
  const { readOnlyHint, destructiveHint } = tool.definition.annotations
  if (readOnlyHint === true) return trusted && !isChanged(tool) ? 'read' : 'write'
  return destructiveHint === false ? 'write' : 'execute'
}

function changeOf(server: string, tool: StoredMcpTool): string {
  const now = tool.definition.description.slice(0, 300)
  const what = tool.accepted
    ? `"${tool.name}" of the MCP server ${server} changed what it says of itself since you accepted it.`
    : `"${tool.name}" of the MCP server ${server} is new since you added the server.`
  return `${what} It now says: "${now}". Accept it on the page of the server to be asked no more than usual.`
}

function nameOf(server: string, tool: string, isTaken: (name: string) => boolean): string {
  const plain = `${server}_${tool}`.replace(/[^A-Za-z0-9]/g, '_')
  const hash = createHash('sha256').update(`${server}\0${tool}`).digest('hex').slice(0, 6)
  const fits = plain.length <= MAX_NAME && !isTaken(plain)
  return fits ? plain : `${plain.slice(0, MAX_NAME - 7)}_${hash}`
}
