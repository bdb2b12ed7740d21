import assert from 'node:assert/strict'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { RunMessage, Turn } from '../../shared/sessions.ts'
import { isFinal } from '../../shared/turn-events.ts'
import { type Behaviour, type MockUpstream, startMockUpstream } from '../support/mock-upstream.ts'
import { type ServerProcess, startServer } from '../support/process.ts'

describe('a server that is killed around a tool that acts', () => {
  let home: string
  let mock: MockUpstream
  let server: ServerProcess

  const start = async (): Promise<void> => {
    server = await startServer({ home, env: { OPENAI_API_KEY: 'sk-test', OPENAI_BASE_URL: `${mock.url}/v1` } })
  }
  const json = async <T>(path: string, body?: unknown): Promise<T> => {
    const response = await server.request(path, body === undefined ? {} : { json: body })
    assert.ok(response.ok, `${path} answered ${response.status}: ${await response.clone().text()}`)
    return await response.json() as T
  }
  const asked = (): number => mock.requests.filter(({ method }) => method === 'POST').length
  const until = async (fits: () => Promise<boolean>): Promise<void> => {
    for (const end = Date.now() + 20_000; Date.now() < end; await sleep(25)) if (await fits()) return
    assert.fail('it did not come')
  }
  const pending = async (): Promise<string[]> =>
    (await json<{ approvals: { id?: string; approval_id?: string }[] }>('/api/approvals'))
      .approvals.map((approval) => (approval.approval_id ?? approval.id)!)
  const notes = async (): Promise<string[]> =>
    (await readdir(join(home, 'vault'), { recursive: true }).catch(() => [])).filter((name) => name.endsWith('.md'))
      .sort()
  const write = (title: string): Behaviour => ({
    kind: 'tool',
    name: 'notes_create',
    arguments: { title, content: 'x' },
  })
  const send = (session: string): Promise<Turn> =>
    json<Turn>(`/api/sessions/${session}/messages`, { text: 'write it down', model: 'openai:echo' })

  before(async () => {
    home = await mkdtemp(join(tmpdir(), 'gatehouse-kill-tools-'))
    mock = await startMockUpstream()
    await start()
    await until(async () => JSON.stringify(await json('/api/models')).includes('openai:echo'))
  })
  after(async () => {
    await server.kill()
    await mock.close()
    await rm(home, { recursive: true, force: true })
  })

  it('still has the question that it asked, and does what was allowed once', async () => {
    mock.script(write('Once'), { kind: 'text', text: 'Written.' })
    const { turn_id } = await send('a')
    await until(async () => (await pending()).length === 1)
    const [approval] = await pending()
    await server.kill()
    await start()
    assert.deepEqual(await pending(), [approval])
    assert.equal((await json<Turn>(`/api/turns/${turn_id}`)).state, 'awaiting_approval')
    assert.deepEqual(await notes(), [])

    await json(`/api/approvals/${approval}`, { decision: 'allow_once' })
    await until(async () => isFinal((await json<Turn>(`/api/turns/${turn_id}`)).state))
    const turn = await json<Turn>(`/api/turns/${turn_id}`)
    assert.deepEqual([turn.state, turn.text], ['completed', 'Written.'])
    assert.deepEqual(await notes(), ['Once.md'])
    assert.equal(asked(), 2)
  })

  it('does not repeat what it did, nor the call after it, and tells what it knows', async () => {
    mock.script(write('Twice'), { kind: 'hang' })
    const before = asked()
    const { turn_id } = await send('b')
    await until(async () => (await pending()).length === 1)
    await json(`/api/approvals/${(await pending())[0]}`, { decision: 'allow_once' })
    await until(() => Promise.resolve(asked() === before + 2))
    await server.kill()
    await start()
    await until(async () => isFinal((await json<Turn>(`/api/turns/${turn_id}`)).state))
    assert.equal((await json<Turn>(`/api/turns/${turn_id}`)).state, 'interrupted')
    const { messages } = await json<{ messages: RunMessage[] }>('/api/sessions/b/messages')
    const [tool] = messages.filter(({ role }) => role === 'tool')
    assert.equal(tool?.toolInfo?.tool_call_error, false)
    assert.deepEqual(await notes(), ['Once.md', 'Twice.md'])
    await sleep(300)
    assert.equal(asked(), before + 2)
  })
  it('ends the sub-agents of a call that nobody waits for any more', async () => {
    const before = asked()
    const task = (text: string): Behaviour => ({ kind: 'tool', name: 'delegate', arguments: { task: text } })
    mock.script(task('dig'), { kind: 'hang' })
    const { turn_id } = await json<Turn>('/api/sessions/c/messages', { text: 'go', model: 'openai:echo' })
    const children = async () =>
      (await json<{ sessions: { session_id: string; _live: boolean }[] }>('/api/sessions?parent=c')).sessions
    await until(() => Promise.resolve(asked() === before + 2))
    const [child] = await children()
    assert.equal(child!._live, true)
    const id = encodeURIComponent(child!.session_id)
    // A person may write to it, too; that is waited for.
    const own = await json<Turn>(`/api/sessions/${id}/messages`, { text: 'and me?', model: 'openai:echo' })
    await server.kill()
    mock.script({ kind: 'text', text: 'You, too.' })
    await start()
    await until(async () => isFinal((await json<Turn>(`/api/turns/${own.turn_id}`)).state))
    assert.equal((await json<Turn>(`/api/turns/${own.turn_id}`)).text, 'You, too.')
    assert.equal(asked(), before + 3)

    assert.equal((await json<Turn>(`/api/turns/${turn_id}`)).state, 'interrupted')
    const { messages } = await json<{ messages: RunMessage[] }>('/api/sessions/c/messages')
    const call = messages.find(({ role }) => role === 'tool')!
    assert.equal(call.toolInfo?.tool_call_error, true)
    const ended = await json<{ messages: RunMessage[] }>(`/api/sessions/${id}/messages`)
    assert.match(ended.messages.find(({ state }) => state === 'interrupted')!.error!.message, /turn that waited/)
    assert.equal((await children())[0]!._live, false)
  })
})
