/** How another program is told to use Gatehouse as an MCP server, ready to paste. */
export type McpClientSnippet = {
  /** `claude-code`, `cursor`, … */
  id: string
  /** As the program calls itself. */
  name: string
  format: 'json' | 'toml' | 'shell'
  /** Where the text goes; left out for a command that is typed. */
  file?: string
  text: string
  /** What else must be known, in a sentence. */
  note?: string
}

/** Answer of `GET /api/mcp-server`. */
export type McpServerInfo = {
  /** Where MCP clients connect to. */
  url: string
  /** Stands in the snippets where an API key belongs; a page may put a real one in its place. */
  key_placeholder: string
  clients: McpClientSnippet[]
}
