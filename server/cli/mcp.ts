import process from 'node:process'
import { type Command, text } from './command.ts'
import { findTarget } from './target.ts'

export const mcp: Command = {
  name: 'mcp',
  summary: 'Be an MCP server on stdin and stdout, for clients that start a program',
  details: `Carries every message to the /mcp of a running Gatehouse and back, so that a client gets its tools, notes,
prompts and the agent. On this machine it needs no key; elsewhere:

  gatehouse mcp --server https://gatehouse.example --token gk_…

Settings for well-known clients stand in the web page under MCP servers, and in GET /api/mcp-server.`,
  run: async ({ client, env, home, flags, out }) => {
    // Whoever starts it reads at once on stderr why it can't work.
    await client.get('/api/auth/me')
    const [server, token] = [text({ flags }, 'server'), text({ flags }, 'token')]
    const { bridge } = await import('./mcp-bridge.ts')
    const over = new Promise<void>((resolve) => process.stdin.once('end', resolve).once('close', resolve))
    await bridge({
      find: () => findTarget({ env, home, ...(server ? { server } : {}), ...(token ? { token } : {}) }),
      note: (line) => out.note(`gatehouse: ${line}`),
      over,
    })
    // The streams of a dropped connection would keep the process for a while.
    process.exit(0)
  },
}
