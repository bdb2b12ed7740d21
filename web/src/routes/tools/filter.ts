import type { ToolInfo } from '../../../../shared/tools.ts'

export type ToolFilter = { q: string; source: string; effect: string; decision: string }

/** Tools that fit every filter that is set; every word must be in the name or the description. */
export function filterTools(tools: readonly ToolInfo[], filter: ToolFilter): ToolInfo[] {
  const words = filter.q.toLowerCase().split(/\s+/).filter(Boolean)
  return tools.filter((tool) => {
    if (filter.source && tool.source !== filter.source) return false
    if (filter.effect && tool.effect !== filter.effect) return false
    if (filter.decision && decisionOf(tool) !== filter.decision) return false
    const text = `${tool.name} ${tool.description}`.toLowerCase()
    return words.every((word) => text.includes(word))
  })
}

/** What a list shows of a tool: `off`, or what the gate says of a usual call. */
export const decisionOf = (tool: ToolInfo): 'off' | ToolInfo['applies']['decision'] =>
  tool.off === null ? tool.applies.decision : 'off'

/** By where they come from: ours first, then by name. */
export function bySource(tools: readonly ToolInfo[]): { source: string; tools: ToolInfo[] }[] {
  const groups = Map.groupBy(tools, ({ source }) => source)
  return [...groups].map(([source, members]) => ({
    source,
    tools: members.toSorted((a, b) => a.name.localeCompare(b.name, 'en')),
  })).sort((a, b) => rank(a.source) - rank(b.source) || a.source.localeCompare(b.source, 'en'))
}

const rank = (source: string): number => source === 'gatehouse' ? 0 : 1

/** `MCP server github`, `plugin echo`; who offers a tool. */
export function sourceWords(source: string): string {
  if (source === 'gatehouse') return 'Gatehouse'
  const [kind, ...rest] = source.split(':')
  const name = rest.join(':')
  if (kind === 'mcp') return `MCP server ${name}`
  return kind === 'plugin' ? `Plugin ${name}` : source
}
