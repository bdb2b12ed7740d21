import assert from 'node:assert/strict'
import { after, afterEach, before, describe, it } from 'node:test'
import { hold, scripted } from '../server/models/providers/scripted.ts'
import type { Session, Turn } from '../shared/sessions.ts'
import type { TurnEvent } from '../shared/turn-events.ts'
import { type TestApp, testApp } from './support/app.ts'
import { type MockUpstream, startMockUpstream } from './support/mock-upstream.ts'

/** The default of these tests, and the one that is asked for by name. */
const DEFAULT = 'mock:echo'
const OTHER = 'builtin:rules'

let mock: MockUpstream
let app: TestApp

before(async () => {
  mock = await startMockUpstream()
})
after(() => mock.close())
afterEach(() => app.close())

async function open(model = scripted()): Promise<void> {
  app = await testApp({ model })
  const { provider } = await app.json<{ provider: { id: number } }>('/api/providers', {
    json: { name: 'mock', base_url: `${mock.url}/v1`, api_key: 'k' },
  })
  await app.json('/api/models', { json: { provider_id: provider.id, model: 'echo' } })
}

const finished = (turnId: string) => (event: TurnEvent) => event.type === 'turn_finished' && event.turn_id === turnId

async function answered(session: string, turnId: string): Promise<Turn> {
  await app.events(session, 0, finished(turnId))
  return await app.json<Turn>(`/api/turns/${turnId}`)
}

describe('a model that is chosen for one message', () => {
  it('answers that message alone', async () => {
    await open()
    assert.equal((await app.ask('a', 'one')).model, DEFAULT)
    assert.equal((await app.ask('a', 'two', { model: OTHER })).model, OTHER)
    assert.equal((await app.ask('a', 'three')).model, DEFAULT)
  })

  it('counts when the message joins another that waits, and stays when a third joins without one', async () => {
    const running = Promise.withResolvers<void>()
    await open(scripted([[hold(running.promise), 'slow'], 'joined']))
    await app.json('/api/sessions', { json: { session_id: 'm', queue_policy: 'merge' } })
    const send = (text: string, model?: string) =>
      app.json<Turn>('/api/sessions/m/messages', { json: { text, ...(model ? { model } : {}) } })
    await send('first', OTHER)
    await app.events('m', 0, (event) => event.type === 'turn_started')
    const waits = await send('second')
    assert.equal((await send('third', OTHER)).turn_id, waits.turn_id)
    assert.equal((await send('fourth')).turn_id, waits.turn_id)
    running.resolve()
    const turn = await answered('m', waits.turn_id)
    assert.deepEqual([turn.model, turn.input.text], [OTHER, 'second\n\nthird\n\nfourth'])
  })

  it('counts however close to its start the message joins', async () => {
    await open()
    for (let i = 0; i < 20; i++) {
      const id = `j${i}`
      await app.json('/api/sessions', { json: { session_id: id, queue_policy: 'merge' } })
      const { turn_id: first } = await app.json<Turn>(`/api/sessions/${id}/messages`, { json: { text: 'one' } })
      const { turn_id } = await app.json<Turn>(`/api/sessions/${id}/messages`, { json: { text: 'two', model: OTHER } })
      const turn = await answered(id, turn_id)
      assert.equal(turn.model, OTHER, turn_id === first ? 'joined' : 'waited')
    }
  })

  it('is asked again by a retry, unless that names another', async () => {
    await open()
    await app.ask('r', 'question', { model: OTHER })
    const again = await app.json<Turn>('/api/sessions/r/retry', { json: {} })
    assert.equal((await answered('r', again.turn_id)).model, OTHER)
    const other = await app.json<Turn>('/api/sessions/r/retry', { json: { model: DEFAULT } })
    assert.equal((await answered('r', other.turn_id)).model, DEFAULT)
    await app.json('/api/sessions/r/retry', { json: { model: 'nobody:knows' }, status: 400 })
  })

  it('answers the message that is sent again in a branch, with its author', async () => {
    await open()
    const author = { kind: 'human', display: 'Ada' }
    await app.ask('b', 'question', { model: OTHER, author })
    const { messages } = await app.json<{ messages: { id: string }[] }>('/api/sessions/b/messages')
    const branch = await app.json<Session>('/api/sessions/b/branch', {
      json: { message_id: messages[0]!.id, text: 'better question' },
    })
    await app.events(branch.session_id, 0, (event) => event.type === 'turn_finished')
    const page = await app.json<{ messages: { turn_id: string; author?: unknown }[] }>(
      `/api/sessions/${branch.session_id}/messages`,
    )
    assert.equal((await app.json<Turn>(`/api/turns/${page.messages[0]!.turn_id}`)).model, OTHER)
    assert.deepEqual(page.messages[0]!.author, author)
  })

  it('holds up no retry when it is gone: the session’s own answers', async () => {
    await open()
    await app.ask('g', 'question', { model: DEFAULT })
    const { models } = await app.json<{ models: { id: number }[] }>('/api/models')
    await app.json(`/api/models/${models[0]!.id}`, { method: 'DELETE' })
    const again = await app.json<Turn>('/api/sessions/g/retry', { json: {} })
    assert.equal((await answered('g', again.turn_id)).model, OTHER)
  })
})
