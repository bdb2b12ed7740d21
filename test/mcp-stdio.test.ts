import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { after, before, describe, it } from 'node:test'
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js'
import { type McpPeer, mcpPeer } from './support/mcp-client.ts'
import { type ServerProcess, startServer } from './support/process.ts'

const MAIN = join(import.meta.dirname, '..', 'server', 'main.ts')
const RUN = process.versions.deno ? ['run', '-A', '--no-check', MAIN] : [MAIN]

describe('gatehouse mcp', () => {
  let home: string
  let server: ServerProcess
  let peer: McpPeer
  let pid: number
  const environment = () => ({ PATH: process.env.PATH ?? '', HOME: home, GATEHOUSE_HOME: home })

  before(async () => {
    home = await mkdtemp(join(tmpdir(), 'gatehouse-mcp-'))
    server = await startServer({ home })
    const transport = new StdioClientTransport({
      command: process.execPath,
      args: [...RUN, 'mcp'],
      env: environment(),
      stderr: 'ignore',
    })
    peer = await mcpPeer(transport)
    pid = transport.pid!
  })
  after(async () => {
    await peer.close()
    await server.stop()
    await rm(home, { recursive: true, force: true })
  })

  it('carries tools, notes and the agent to a client that started it, without a key', async () => {
    const { tools } = await peer.client.listTools()
    assert.ok(tools.some(({ name }) => name === 'ask_agent'))
    let progress = 0
    const take = peer.transport.onmessage!
    // The client has let go of `onprogress` when progress and answer come in one piece.
    peer.transport.onmessage = (message) => {
      if ('method' in message && message.method === 'notifications/progress') progress++
      take(message)
    }
    const asked = await peer.call('ask_agent', { text: 'What is 12.5% of 80?' }, { onprogress: () => {} })
    assert.match(asked.text, /10/)
    assert.ok(progress > 0)
    const { resources } = await peer.client.listResources()
    assert.ok(Array.isArray(resources))
  })

  it('goes on with a server that was killed and started again', async () => {
    await server.kill()
    const cut = await peer.client.callTool({ name: 'time_now', arguments: {} }).then(
      () => '',
      (error: Error) => error.message,
    )
    assert.match(cut, /No Gatehouse answers|was lost|restarted/)
    server = await startServer({ home })
    assert.equal((await peer.call('time_now')).failed, false)
    assert.ok((await peer.client.listPrompts()).prompts.length > 0)
  })

  it('ends when its client does', async () => {
    await peer.close()
    const gone = () => {
      try {
        process.kill(pid, 0)
        return false
      } catch {
        return true
      }
    }
    for (let i = 0; i < 600 && !gone(); i++) await new Promise((resolve) => setTimeout(resolve, 50))
    assert.ok(gone())
  })

  it('answers what was piped into it before it ends', () => {
    const { status, stdout } = spawnSync(process.execPath, [...RUN, 'mcp'], {
      env: environment(),
      input: '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"time_now"}}\n',
      encoding: 'utf8',
      timeout: 30_000,
    })
    assert.equal(status, 0)
    assert.equal((JSON.parse(stdout) as { id: number }).id, 1)
  })

  it('says what to do when no server runs, and when the key is wrong', async () => {
    const run = (...args: string[]) =>
      spawnSync(process.execPath, [...RUN, 'mcp', ...args], {
        env: environment(),
        input: '',
        encoding: 'utf8',
        timeout: 30_000,
      })
    const wrong = run('--server', server.url, '--token', 'gk_wrong')
    assert.equal(wrong.status, 4)
    assert.match(wrong.stderr, /not accepted/)
    await server.stop()
    const none = run('--server', server.url)
    assert.equal(none.status, 3)
    assert.match(none.stderr, /No Gatehouse answers at .* Start one with/)
    assert.equal(none.stdout, '')
  })
})
