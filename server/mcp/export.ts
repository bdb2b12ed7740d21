import type { Mcp } from '../../shared/mcp.ts'

/** The servers as `mcpServers` (spec conventions §4.5). Secrets stay here: what is masked must be entered again. */
export function exportServers(servers: Mcp[]): { mcpServers: Record<string, unknown> } {
  return {
    mcpServers: Object.fromEntries(servers.map((server) => {
      const { name, command, args, cwd, url, transport, env, headers, enabled, timeout_seconds, extra } = server
      const remote = url !== null
      return [name, {
        ...extra,
        ...(command ? { command: command[0], args: [...command.slice(1), ...args] } : {}),
        ...(remote ? { ...(transport === 'auto' ? {} : { type: transport }), url } : {}),
        ...(cwd === null ? {} : { cwd }),
        ...(Object.keys(env).length > 0 ? { env } : {}),
        ...(remote && Object.keys(headers).length > 0 ? { headers } : {}),
        ...(enabled ? {} : { disabled: true }),
        ...(timeout_seconds === null ? {} : { timeout: timeout_seconds }),
      }]
    })),
  }
}
