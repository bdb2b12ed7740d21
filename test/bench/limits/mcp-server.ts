/** An MCP server on stdin and stdout that answers at once, so that what is measured is the way to it. */
import { createInterface } from 'node:readline'
import process from 'node:process'

const result = (method: string, params: { protocolVersion?: string; arguments?: { text?: string } } = {}): object => {
  if (method === 'initialize') {
    const serverInfo = { name: 'bench', version: '1' }
    return { protocolVersion: params.protocolVersion, capabilities: { tools: {} }, serverInfo }
  }
  if (method === 'tools/list') {
    const inputSchema = { type: 'object', properties: { text: { type: 'string' } } }
    return { tools: [{ name: 'echo', description: 'Says it again.', inputSchema }] }
  }
  return { content: [{ type: 'text', text: params.arguments?.text ?? '' }] }
}

createInterface({ input: process.stdin }).on('line', (line) => {
  const { id, method, params } = JSON.parse(line) as { id?: number; method: string; params?: object }
  if (id !== undefined) {
    process.stdout.write(JSON.stringify({ jsonrpc: '2.0', id, result: result(method, params) }) + '\n')
  }
})
