import type { McpClientSnippet, McpServerInfo } from '../../shared/mcp-server.ts'

/** Stands for an API key. */
const KEY = 'YOUR_GATEHOUSE_KEY'
const NAME = 'gatehouse'

/**
 * Settings of well-known MCP clients, each in the words of its own documentation. `base` is how the one who asks
 * reaches this server, `program` what starts `gatehouse mcp` on this machine.
 */
export function snippets(
  { base, program }: { base: string; program: { command: string; args: string[] } },
): McpServerInfo {
  const url = `${base}/mcp`
  const isHere = /^https?:\/\/(localhost|127\.\d+\.\d+\.\d+|\[::1\])(:|$)/.test(base)
  const headers = { Authorization: `Bearer ${KEY}` }
  const json = (value: unknown): string => JSON.stringify(value, null, 2)
  const mcpServers = (entry: object) => json({ mcpServers: { [NAME]: entry } })
  const started = isHere ? program : { command: NAME, args: ['mcp', '--server', base], env: { GATEHOUSE_TOKEN: KEY } }
  const startNote = isHere
    ? 'Runs on this machine, with the rights of the terminal; it needs no key.'
    : 'Needs the gatehouse program on the machine of the client.'

  const clients: McpClientSnippet[] = [
    {
      id: 'claude-code',
      name: 'Claude Code',
      format: 'shell',
      text: `claude mcp add --transport http ${NAME} ${url} --header "Authorization: Bearer ${KEY}"`,
    },
    {
      id: 'claude-desktop',
      name: 'Claude Desktop',
      format: 'json',
      file: 'claude_desktop_config.json',
      text: mcpServers(started),
      note: `Settings → Developer → Edit Config opens the file. ${startNote}`,
    },
    {
      id: 'cursor',
      name: 'Cursor',
      format: 'json',
      file: '~/.cursor/mcp.json',
      text: mcpServers({ url, headers }),
    },
    {
      id: 'vscode',
      name: 'VS Code',
      format: 'json',
      file: '.vscode/mcp.json',
      text: json({
        inputs: [{ type: 'promptString', id: 'gatehouse-key', description: 'Gatehouse API key', password: true }],
        servers: { [NAME]: { type: 'http', url, headers: { Authorization: 'Bearer ${input:gatehouse-key}' } } },
      }),
      note: 'VS Code asks for the key once and keeps it out of the file.',
    },
    {
      id: 'codex',
      name: 'Codex',
      format: 'toml',
      file: '~/.codex/config.toml',
      text: `[mcp_servers.${NAME}]\nurl = ${JSON.stringify(url)}\nhttp_headers = { Authorization = "Bearer ${KEY}" }`,
    },
    {
      id: 'gemini-cli',
      name: 'Gemini CLI',
      format: 'json',
      file: '~/.gemini/settings.json',
      text: mcpServers({ httpUrl: url, headers }),
    },
    {
      id: 'windsurf',
      name: 'Windsurf',
      format: 'json',
      file: '~/.codeium/windsurf/mcp_config.json',
      text: mcpServers({ serverUrl: url, headers }),
    },
    {
      id: 'zed',
      name: 'Zed',
      format: 'json',
      file: '~/.config/zed/settings.json',
      text: json({ context_servers: { [NAME]: { url, headers } } }),
    },
    {
      id: 'cline',
      name: 'Cline',
      format: 'json',
      file: 'cline_mcp_settings.json',
      text: mcpServers({ type: 'streamableHttp', url, headers }),
    },
    {
      id: 'opencode',
      name: 'opencode',
      format: 'json',
      file: 'opencode.json',
      text: json({ mcp: { [NAME]: { type: 'remote', url, headers, enabled: true } } }),
    },
    {
      id: 'lm-studio',
      name: 'LM Studio',
      format: 'json',
      file: '~/.lmstudio/mcp.json',
      text: mcpServers({ url, headers }),
    },
    {
      id: 'stdio',
      name: 'Any client that starts a program',
      format: 'json',
      text: mcpServers(started),
      note: startNote,
    },
  ]
  return { url, key_placeholder: KEY, clients }
}
