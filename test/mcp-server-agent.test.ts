import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import type { Turn } from '../shared/sessions.ts'
import { delay, scripted, toolCall } from '../server/models/providers/scripted.ts'
import { type TestApp, testApp } from './support/app.ts'
import { mcpPeer } from './support/mcp-client.ts'

/** Waits until a condition holds; fails after half a minute. */
async function until(holds: () => boolean | Promise<boolean>, what: string): Promise<void> {
  for (let i = 0; i < 1500; i++) {
    if (await holds()) return
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  assert.fail(`waited in vain: ${what}`)
}

type Asked = { session_id: string; turn_id: string; state: string; text: string }

describe('ask_agent', () => {
  let app: TestApp
  let url: string
  const script = [
    [toolCall('notes.create', { path: 'one.md', content: 'x' })],
    'Written.',
    [toolCall('ask_user', { question: 'Which colour?', choices: ['red', 'blue'] })],
    'As you like.',
    [toolCall('notes.create', { path: 'two.md', content: 'x' })],
    'Elsewhere allowed.',
    ['Slowly', delay(30_000), ' said.'],
    ['Slowly', delay(30_000), ' said.'],
    ['Late', delay(1500), ' but there.'],
  ]
  before(async () => {
    app = await testApp({ model: scripted(script) })
    url = await app.listen()
  })
  after(() => app.close())

  const turn = (id: string): Promise<Turn> => app.json<Turn>(`/api/turns/${id}`)
  const newest = async (): Promise<Turn & { items: { turn_id: string }[] }> => {
    const { sessions } = await app.json<{ sessions: { session_id: string }[] }>('/api/sessions?limit=1')
    return await app.json(`/api/sessions/${sessions[0]!.session_id}/queue`)
  }

  it('puts a question of the agent to the person at the client', async () => {
    const asked: string[] = []
    const peer = await mcpPeer(url, {
      elicit: ({ message }) => {
        asked.push(message)
        const content: Record<string, boolean | string> = asked.length === 1 ? { allow: true } : { answer: '2' }
        return { action: 'accept', content }
      },
    })
    assert.equal((await peer.call('ask_agent', { text: 'Write it' })).text, 'Written.')
    assert.match(asked[0]!, /notes\.create[^]*one\.md/)
    assert.equal((await peer.call('ask_agent', { text: 'Choose' })).text, 'As you like.')
    assert.match(asked[1]!, /Which colour\?\n1\. red\n2\. blue/)
    const { approvals } = await app.json<{ approvals: { state: string; via: string }[] }>('/api/approvals?state=all')
    assert.deepEqual(approvals.map(({ state, via }) => [state, via]), [['allow_once', 'mcp'], ['allow_once', 'mcp']])
    await peer.close()
  })

  it('takes the form away when the question is answered elsewhere', async () => {
    let shown = 0
    const peer = await mcpPeer(url, {
      elicit: async () => {
        shown++
        const { approvals } = await app.json<{ approvals: { id: string }[] }>('/api/approvals')
        await app.json(`/api/approvals/${approvals[0]!.id}`, { json: { decision: 'allow_once' } })
        return await new Promise(() => {})
      },
    })
    assert.equal((await peer.call('ask_agent', { text: 'Write two' })).text, 'Elsewhere allowed.')
    assert.equal(shown, 1)
    await peer.close()
  })

  it('stops the agent when the client calls the question off', async () => {
    const peer = await mcpPeer(url)
    const abort = new AbortController()
    const call = peer.call('ask_agent', { text: 'Take your time' }, { signal: abort.signal })
    call.catch(() => {})
    await until(async () => (await newest()).items.length > 0, 'the turn begins')
    const { turn_id } = (await newest()).items[0]!
    await until(async () => (await turn(turn_id)).state === 'running', 'it runs')
    abort.abort('no longer needed')
    await assert.rejects(call)
    await until(async () => (await turn(turn_id)).state === 'interrupted', 'it is stopped')
    await peer.close()
  })

  it('lets the agent go on when the client only went away, and says so when the wait is over', async () => {
    const peer = await mcpPeer(url)
    const waited = await peer.call('ask_agent', { text: 'Take your time again', wait_seconds: 1 })
    const { turn_id, state, session_id } = waited.data as Asked
    assert.equal(state, 'running')
    assert.match(waited.text, new RegExp(`still at work.*${turn_id}`))
    const call = peer.call('ask_agent', { turn_id })
    call.catch(() => {})
    await peer.transport.terminateSession()
    await peer.close()
    assert.equal((await turn(turn_id)).state, 'running')
    await app.json(`/api/sessions/${session_id}/interrupt`, { json: {} })

    const other = await mcpPeer(url)
    const begun = (await other.call('ask_agent', { text: 'Late?', wait_seconds: 1 })).data as Asked
    const answer = await other.call('ask_agent', { turn_id: begun.turn_id })
    assert.equal(answer.text, 'Late but there.')
    await other.close()
  })

  it('is not offered to another Gatehouse, which could ask back without end', async () => {
    const peer = await mcpPeer(url, { name: 'gatehouse' })
    const names = (await peer.client.listTools()).tools.map(({ name }) => name)
    assert.ok(names.includes('time_now') && !names.includes('ask_agent'))
    assert.match((await peer.call('ask_agent', { text: 'Hi' })).text, /may not ask itself/)
    await peer.close()
  })

  it('knows only conversations of its own handle', async () => {
    await app.ask('private', 'hello').catch(() => {})
    const { secret } = await app.json<{ secret: string }>('/api/keys', {
      json: { name: 'guest', scopes: ['read', 'chat'], handle: 'guest' },
    })
    const peer = await mcpPeer(url, { token: secret })
    const { items } = await app.json<{ items: { turn_id: string }[] }>('/api/sessions/private/queue')
    assert.deepEqual(items, [])
    const { messages } = await app.json<{ messages: { turn_id: string }[] }>('/api/sessions/private/messages')
    const other = await peer.call('ask_agent', { turn_id: messages[0]!.turn_id })
    assert.ok(other.failed)
    assert.match(other.text, /not found/)
    await peer.close()
  })
})
