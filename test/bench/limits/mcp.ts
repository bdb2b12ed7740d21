import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js'
import process from 'node:process'
import { Hono } from 'hono'
import { listen } from './listen.ts'

// The SDK of the protocol behind bare Hono: what a call of a tool over HTTP takes with no gate, limits or result rules.
const client = new Client({ name: 'bench', version: '1' })
await client.connect(new StdioClientTransport({ command: process.env.MCP_COMMAND!, args: [process.env.MCP_FILE!] }))

const app = new Hono()
app.get('/health', (c) => c.json({ ok: true }))
app.post('/call', async (c) => c.json(await client.callTool(await c.req.json())))
await listen(app)
