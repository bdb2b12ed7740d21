import type { OffTool } from '../tools/tool.ts'
import type { McpClients } from './service.ts'

/** Tools that are known and switched off, by themselves or with their server, for the list that people see. */
export function offTools(mcp: Pick<McpClients, 'list' | 'tools'>): OffTool[] {
  const running = new Set(mcp.list().filter(({ enabled }) => enabled).map(({ name }) => name))
  return mcp.tools().filter((tool) => !tool.enabled || !running.has(tool.server)).map((tool) => ({
    tool: {
      name: tool.name,
      description: tool.description,
      source: `mcp:${tool.server}`,
      effect: tool.effect,
      input_schema: tool.input_schema,
    },
    off: running.has(tool.server)
      ? `It is switched off on the page of the MCP server ${tool.server}.`
      : `The MCP server ${tool.server} is switched off.`,
  }))
}
