import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { scripted } from '../server/models/providers/scripted.ts'
import { type TestApp, testApp } from './support/app.ts'
import { type McpPeer, mcpPeer } from './support/mcp-client.ts'

describe('an MCP client', () => {
  let app: TestApp
  let url: string
  let peer: McpPeer
  before(async () => {
    app = await testApp({ model: scripted(['The answer is 4.']) })
    url = await app.listen()
    peer = await mcpPeer(url)
  })
  after(async () => {
    await peer.close()
    await app.close()
  })

  it('shakes hands with the newest revision and gets a session', () => {
    assert.equal(peer.client.getServerVersion()?.name, 'gatehouse')
    assert.ok(peer.transport.sessionId)
    assert.equal(peer.transport.protocolVersion, '2025-11-25')
  })

  it('finds our tools with names that every vendor takes, and what they do', async () => {
    const { tools } = await peer.client.listTools()
    const names = tools.map((tool) => tool.name)
    assert.ok(names.includes('notes_search') && names.includes('ask_agent'))
    assert.deepEqual(names.filter((name) => !/^[\w-]{1,64}$/.test(name)), [])
    assert.deepEqual(names.filter((name) => ['ask_user', 'delegate', 'tool_search'].includes(name)), [])
    const hints = (name: string) => tools.find((tool) => tool.name === name)?.annotations
    assert.equal(hints('notes_search')?.readOnlyHint, true)
    assert.equal(hints('notes_create')?.readOnlyHint, false)
  })

  it('calls a tool that only reads', async () => {
    const { text, failed } = await peer.call('math_evaluate', { expression: '2 + 2' })
    assert.equal(failed, false, text)
    assert.match(text, /4/)
  })

  it('asks the agent and goes on with the conversation', async () => {
    const first = await peer.call('ask_agent', { text: 'What is 2 + 2?' })
    assert.equal(first.text, 'The answer is 4.')
    const { session_id } = first.data as { session_id: string }
    const { messages } = await app.json<{ messages: { role: string; text: string }[] }>(
      `/api/sessions/${session_id}/messages`,
    )
    assert.deepEqual(messages.map(({ role }) => role), ['user', 'assistant'])
  })
})
