import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { isAlive } from '../server/cli/run-file.ts'
import { scripted } from '../server/models/providers/scripted.ts'
import { type TestApp, testApp } from './support/app.ts'
import { type McpPeer, mcpPeer } from './support/mcp-client.ts'

describe('an MCP client', () => {
  let app: TestApp
  let url: string
  let peer: McpPeer
  before(async () => {
    app = await testApp({ model: scripted(['The answer is 4.', 'It is 6.', 'I will.']) })
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

  it('asks the agent, hears how far it is, and goes on with the conversation', async () => {
    const told: string[] = []
    const first = await peer.call('ask_agent', { text: 'What is 2 + 2?' }, {
      onprogress: ({ message }) => told.push(message ?? ''),
    })
    assert.equal(first.text, 'The answer is 4.')
    assert.ok(told.length > 0)
    const { session_id, turn_id, state } = first.data as { session_id: string; turn_id: string; state: string }
    assert.equal(state, 'completed')
    const second = await peer.call('ask_agent', { text: 'And 3 + 3?', session_id })
    assert.equal(second.text, 'It is 6.')
    const { messages } = await app.json<{ messages: { role: string }[] }>(`/api/sessions/${session_id}/messages`)
    assert.deepEqual(messages.map(({ role }) => role), ['user', 'assistant', 'user', 'assistant'])
    const read = await peer.call('ask_agent', { turn_id })
    assert.equal(read.text, 'The answer is 4.')
  })

  it('is told which field is wrong and how to mend it', async () => {
    const missing = await peer.call('ask_agent', {})
    assert.ok(missing.failed)
    assert.match(missing.text, /text: is missing/)
    const unknown = await peer.call('ask_agent', { text: 'x', wait: 3 })
    assert.match(unknown.text, /wait: is not known here/)
    const none = await peer.call('no_such_tool')
    assert.match(none.text, /tool no_such_tool was not found/)
    assert.deepEqual(none.result._meta, { 'gatehouse/error': { code: 'not_found' } })
  })

  it('finds notes as resources, page by page, reads them, and hears of changes', async () => {
    const create = (title: string) =>
      peerWithYes.call('notes_create', { path: `many/${title}.md`, content: `# ${title}\n#garden` })
    const peerWithYes = await mcpPeer(url, { elicit: () => ({ action: 'accept', content: { allow: true } }) })
    for (const title of ['Über uns', '100% done', 'plain']) assert.equal((await create(title)).failed, false)
    const { resources, nextCursor } = await peer.client.listResources()
    assert.equal(nextCursor, undefined)
    const uris = resources.map(({ uri }) => uri)
    assert.ok(
      uris.includes('note:///many/100%25%20done.md') && uris.includes('note:///many/%C3%9Cber%20uns.md'),
      `${uris}`,
    )
    for (const uri of uris) {
      const { contents } = await peer.client.readResource({ uri })
      assert.match((contents[0] as { text: string }).text, /#garden/)
    }
    await peer.client.subscribeResource({ uri: 'note:///many/plain.md' })
    const note = await peerWithYes.call('notes_read', { note: 'many/plain.md' })
    const { hash } = JSON.parse(note.text) as { hash: string }
    await peerWithYes.call('notes_create', { path: 'many/plain.md', content: 'New', hash })
    await until(() => peer.heard.includes('note:///many/plain.md'), () => peer.heard)
    assert.ok(peer.heard.includes('resources'))
    await assert.rejects(peer.client.readResource({ uri: 'note:///many/none.md' }), { code: -32002 })
    await assert.rejects(peer.client.readResource({ uri: 'file:///etc/passwd' }), { code: -32602 })
    await assert.rejects(peer.client.readResource({ uri: 'note:///../gatehouse.yaml' }), /path|note/)
    await peerWithYes.close()
  })

  it('gets prompts made of its conversations and notes, and suggestions for their fields', async () => {
    const { session_id } = (await peer.call('ask_agent', { text: 'Remember the tulips' })).data as {
      session_id: string
    }
    const { prompts } = await peer.client.listPrompts()
    assert.deepEqual(prompts.map(({ name }) => name), ['summarise_session', 'notes_about', 'catch_up'])
    const texts = async (name: string, args: Record<string, string>) =>
      JSON.stringify((await peer.client.getPrompt({ name, arguments: args })).messages)
    assert.match(await texts('summarise_session', { session_id }), /tulips/)
    assert.match(await texts('catch_up', {}), /tulips/)
    assert.match(await texts('notes_about', { topic: '#garden' }), /note:\/\/\/many/)
    await assert.rejects(peer.client.getPrompt({ name: 'summarise_session' }), /session_id: is missing/)
    await assert.rejects(
      peer.client.getPrompt({ name: 'summarise_session', arguments: { session_id: 'nope' } }),
      /not found/,
    )
    const complete = async (
      ref: { type: 'ref/prompt'; name: string } | { type: 'ref/resource'; uri: string },
      name: string,
      value: string,
    ) => (await peer.client.complete({ ref, argument: { name, value } })).completion.values
    assert.ok(
      (await complete({ type: 'ref/prompt', name: 'summarise_session' }, 'session_id', 'tulips')).includes(session_id),
    )
    assert.deepEqual(await complete({ type: 'ref/prompt', name: 'notes_about' }, 'topic', 'gar'), ['#garden'])
    const paths = await complete({ type: 'ref/resource', uri: 'note:///{+path}' }, 'path', 'plain')
    assert.deepEqual(paths, ['many/plain.md'])
  })
})

describe('the gate before an MCP call', () => {
  let app: TestApp
  let url: string
  before(async () => {
    app = await testApp({ model: scripted([]) })
    url = await app.listen()
  })
  after(() => app.close())

  const note = (path: string) => ({ path, content: 'x' })
  const keyOf = async (...scopes: string[]) =>
    (await app.json<{ secret: string }>('/api/keys', { json: { name: 'tool key', scopes } })).secret
  const audited = async (action: string) =>
    (await app.json<{ items: { target: string }[] }>(`/api/audit?action=${action}`)).items.length

  it('asks the person at the client, shows the arguments, and takes yes and no', async () => {
    const asked: string[] = []
    const answers = [true, false]
    const peer = await mcpPeer(url, {
      elicit: ({ message }) => {
        asked.push(message)
        return { action: 'accept', content: { allow: answers.shift() ?? false } }
      },
    })
    assert.equal((await peer.call('notes_create', note('yes.md'))).failed, false)
    const no = await peer.call('notes_create', note('no.md'))
    assert.ok(no.failed)
    assert.match(no.text, /said no/)
    assert.match(asked[1]!, /notes\.create[^]*no\.md/)
    await peer.close()
    assert.equal(await audited('tool.confirmed'), 1)
  })

  it('says where to allow a call when the client can ask nobody, and does nothing', async () => {
    const peer = await mcpPeer(url)
    const refused = await peer.call('notes_create', note('refused.md'))
    assert.ok(refused.failed)
    assert.match(refused.text, /rule on the page Tools|ask_agent/)
    assert.match((await peer.call('notes_read', { note: 'refused.md' })).text, /There is no note/)
    await peer.close()
  })

  it('a key without admin may not say yes, one that may only read sees notes and no tools', async () => {
    const chat = await mcpPeer(url, {
      token: await keyOf('read', 'chat'),
      elicit: () => ({ action: 'accept', content: { allow: true } }),
    })
    assert.match((await chat.call('notes_create', note('chat.md'))).text, /scope admin/)
    assert.equal((await chat.call('time_now')).failed, false)
    await chat.close()
    const read = await mcpPeer(url, { token: await keyOf('read') })
    assert.deepEqual((await read.client.listTools()).tools, [])
    assert.match((await read.call('time_now')).text, /scope "chat"/)
    assert.ok((await read.client.listResources()).resources.length > 0)
    await read.close()
  })

  it('obeys the rules of the owner, which can tell MCP calls from others', async () => {
    const rules = [
      { decision: 'deny', tool: 'time.*', when: "session.origin == 'mcp'" },
      { decision: 'allow', tool: 'notes.create' },
    ]
    await app.json('/api/tool-rules', { method: 'PUT', json: { rules } })
    const peer = await mcpPeer(url)
    assert.match((await peer.call('time_now')).text, /Not allowed/)
    assert.equal((await peer.call('notes_create', note('allowed.md'))).failed, false)
    await peer.close()
    await app.json('/api/tool-rules', { method: 'PUT', json: { rules: [] } })
  })

  it('tells clients when the list of tools changes', async () => {
    const peer = await mcpPeer(url)
    const names = async () => (await peer.client.listTools()).tools.map(({ name }) => name)
    assert.ok(!(await names()).includes('shell_run'))
    await app.json('/api/config/tools', { method: 'PATCH', json: { shell: { enabled: true } } })
    await until(() => peer.heard.includes('tools'), () => peer.heard)
    assert.ok((await names()).includes('shell_run'))
    await peer.close()
  })

  it('carries how far a tool is, and stops it when the client calls it off', async () => {
    await app.json('/api/tool-rules', { method: 'PUT', json: { rules: [{ decision: 'allow', tool: 'shell.run' }] } })
    await app.json('/api/config/tools', { method: 'PATCH', json: { shell: { enabled: true } } })
    const peer = await mcpPeer(url)
    const lines: string[] = []
    const abort = new AbortController()
    const call = peer.call('shell_run', { command: 'echo process $$; exec sleep 60' }, {
      signal: abort.signal,
      onprogress: ({ message }) => lines.push(message ?? ''),
    })
    call.catch(() => {})
    const pid = () => Number(/process (\d+)/.exec(lines.join())?.[1] ?? 0)
    await until(() => pid() > 0, () => lines)
    abort.abort('enough')
    await assert.rejects(call)
    await until(() => !isAlive(pid()), () => `process ${pid()} still runs`)
    await peer.close()
  })
})

/** Waits until a condition holds; fails after half a minute with what there was. */
async function until(holds: () => boolean | Promise<boolean>, what: () => unknown): Promise<void> {
  for (let i = 0; i < 1500; i++) {
    if (await holds()) return
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  assert.fail(`waited in vain: ${JSON.stringify(what())}`)
}
