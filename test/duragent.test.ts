import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import type { Caller } from '../server/auth/principal.ts'
import { createBus } from '../server/bus/bus.ts'
import { answerOf, say as sayTo } from '../server/duragent/turns.ts'
import { AppError } from '../server/errors.ts'
import { delay, hold, scripted, toolCall } from '../server/models/providers/scripted.ts'
import { framesOf, OWNER_TOKEN, type TestApp, testApp } from './support/app.ts'

const opened: TestApp[] = []
const open = async (options: Parameters<typeof testApp>[0] = {}): Promise<TestApp> => {
  const app = await testApp({ flags: { name: 'My Agent' }, ...options })
  opened.push(app)
  return app
}
after(async () => {
  for (const app of opened) await app.close()
})

type Session = { session_id: string; agent: string; status: string; created_at: string }
type Question = { call_id: string; command: string }
type Frame = { id?: string; event?: string; data?: string }

const begin = async (app: TestApp, more: object = {}): Promise<string> => {
  const { session_id } = await app.json<Session>('/api/v1/sessions', { json: { agent: 'my-agent', ...more } })
  return session_id
}

const say = (app: TestApp, id: string, content: string, init: object = {}) =>
  app.request(`/api/v1/sessions/${id}/messages`, { method: 'POST', json: { content }, ...init })

const stream = (app: TestApp, id: string, content: string, init: object = {}) =>
  app.request(`/api/v1/sessions/${id}/stream`, { method: 'POST', json: { content }, ...init })

async function read(response: Response, until?: string): Promise<Frame[]> {
  const frames: Frame[] = []
  for await (const frame of framesOf(response)) {
    frames.push(frame)
    if (frame.event === until) break
  }
  return frames
}

const content = (frames: Frame[]): string =>
  frames.filter((frame) => frame.event === 'token').map((frame) => JSON.parse(frame.data!).content).join('')

const write = toolCall('notes.create', { path: 'a.md', content: 'kept' })

describe('Duragent’s agents', () => {
  it('the one agent is listed under a name for addresses and shows how it is set up', async () => {
    const app = await open({ flags: { name: 'Zoë’s Agent!', system_prompt: 'Be brief.' } })
    const { agents } = await app.json<{ agents: { name: string }[] }>('/api/v1/agents')
    assert.deepEqual(agents.map((agent) => agent.name), ['zoe-s-agent'])
    const agent = await app.json<Record<string, any>>('/api/v1/agents/zoe-s-agent')
    assert.equal(agent.api_version, 'duragent/v1alpha1')
    assert.equal(agent.kind, 'Agent')
    assert.deepEqual(agent.spec.model, { provider: 'builtin', name: 'rules', max_input_tokens: 32768 })
    assert.equal(agent.spec.system_prompt, 'Be brief.')
  })

  it('errors have the types that its clients know, and our further fields', async () => {
    const app = await open()
    const missing = await app.request('/api/v1/agents/nobody')
    assert.equal(missing.status, 404)
    assert.match(missing.headers.get('content-type')!, /^application\/problem\+json/)
    const problem = await missing.json() as Record<string, unknown>
    assert.equal(problem.type, 'urn:duragent:problem:not-found')
    assert.equal(problem.title, 'Not Found')
    assert.equal(problem.code, 'not_found')
    assert.equal(problem.error, problem.detail)
    assert.ok(missing.headers.get('x-request-id'))

    const bad = await app.request('/api/v1/sessions', { method: 'POST', json: {} })
    assert.equal(bad.status, 400)
    const { type, errors } = await bad.json() as { type: string; errors: unknown[] }
    assert.equal(type, 'urn:duragent:problem:bad-request')
    assert.deepEqual(errors, [{ pointer: '/agent', message: 'is missing' }])

    const stranger = await app.request('/api/v1/agents', { token: null })
    assert.equal(stranger.status, 401)
    assert.equal((await stranger.json() as { type: string }).type, 'urn:duragent:problem:unauthorized')
    const nowhere = await app.request('/api/v1/nothing')
    assert.equal((await nowhere.json() as { type: string }).type, 'urn:duragent:problem:not-found')
    const other = await app.request('/api/sessions/nothing')
    assert.equal((await other.json() as { type: string }).type, 'urn:gatehouse:problem:not-found')
  })
})

describe('Duragent’s sessions', () => {
  it('are made, listed, shown and deleted with RFC 3339 times', async () => {
    const app = await open()
    const made = await app.json<Session>('/api/v1/sessions', { json: { agent: 'my-agent' }, status: 201 })
    assert.match(made.session_id, /^session_[0-9A-HJKMNP-TV-Z]{26}$/)
    assert.match(made.created_at, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
    assert.deepEqual({ ...made, created_at: '', session_id: '' }, {
      session_id: '',
      agent: 'my-agent',
      status: 'active',
      created_at: '',
    })
    const { sessions } = await app.json<{ sessions: Session[] }>('/api/v1/sessions')
    assert.deepEqual(sessions, [made])
    const shown = await app.json<Session & { updated_at: string }>(`/api/v1/sessions/${made.session_id}`)
    assert.ok(Date.parse(shown.updated_at) >= Date.parse(made.created_at))
    const removed = await app.request(`/api/v1/sessions/${made.session_id}`, { method: 'DELETE' })
    assert.equal(removed.status, 204)
    assert.equal(await removed.text(), '')
    assert.equal((await app.request(`/api/v1/sessions/${made.session_id}`)).status, 404)
    assert.equal((await say(app, made.session_id, 'still there?')).status, 404)
  })

  it('an unknown agent makes no session', async () => {
    const app = await open()
    await app.json('/api/v1/sessions', { json: { agent: 'nobody' }, status: 404 })
    assert.deepEqual((await app.json<{ sessions: unknown[] }>('/api/v1/sessions')).sessions, [])
  })

  it('a message is answered, and a limit keeps the oldest messages', async () => {
    const app = await open({ model: scripted(['Hello there.', 'Again.']) })
    const id = await begin(app)
    const answer = await (await say(app, id, 'Hi')).json() as Record<string, string>
    assert.match(answer.message_id!, /^msg_[0-9A-HJKMNP-TV-Z]{26}$/)
    assert.deepEqual({ ...answer, message_id: '' }, { message_id: '', role: 'assistant', content: 'Hello there.' })
    await say(app, id, 'And?')
    const all = await app.json<{ messages: unknown[] }>(`/api/v1/sessions/${id}/messages`)
    assert.deepEqual(all.messages, [
      { role: 'user', content: 'Hi' },
      { role: 'assistant', content: 'Hello there.' },
      { role: 'user', content: 'And?' },
      { role: 'assistant', content: 'Again.' },
    ])
    const two = await app.json<{ messages: unknown[] }>(`/api/v1/sessions/${id}/messages?limit=2`)
    assert.deepEqual(two.messages, all.messages.slice(0, 2))
  })

  it('a failed model is a 500 with its reason, an empty text a 400 that names the field', async () => {
    const app = await open({ model: scripted() })
    const id = await begin(app)
    const failed = await say(app, id, 'fail: auth')
    assert.equal(failed.status, 500)
    assert.equal((await failed.json() as { type: string }).type, 'urn:duragent:problem:internal-error')
    const empty = await say(app, id, '  ')
    assert.equal(empty.status, 400)
    assert.match(await empty.text(), /"pointer":"\/content"/)
  })

  it('an answer that takes too long is a 408, and the turn goes on', async () => {
    const patience = Promise.withResolvers<void>()
    const app = await open({ model: scripted([[hold(patience.promise), 'late']]) })
    const id = await begin(app)
    const caller: Caller = { kind: 'user', handle: 'owner', id: 'test', name: 'Test', scopes: new Set(['admin']) }
    const following = await sayTo(app.sessions, caller, id, 'wait')
    const signal = new AbortController().signal
    await assert.rejects(
      answerOf({ sessions: app.sessions, bus: createBus() }, following, signal, 0.05),
      (error) => error instanceof AppError && error.status === 408,
    )
    patience.resolve()
    assert.equal(await answered(app, id), 'late')
  })
})

describe('Duragent’s stream', () => {
  it('sends start, tokens and done with the usage, without ids and other names', async () => {
    const app = await open({ model: scripted(['One two three.']) })
    const id = await begin(app)
    const response = await stream(app, id, 'count')
    assert.match(response.headers.get('content-type')!, /^text\/event-stream/)
    const text = await response.text()
    assert.doesNotMatch(text, /^(id|retry):/m)
    const frames = await read(new Response(text))
    assert.equal(frames[0]!.event, 'start')
    assert.equal(frames[0]!.data, '{}')
    assert.equal(content(frames), 'One two three.')
    const last = frames.at(-1)!
    assert.equal(last.event, 'done')
    const done = JSON.parse(last.data!)
    assert.match(done.message_id, /^msg_/)
    assert.equal(done.usage.total_tokens, done.usage.prompt_tokens + done.usage.completion_tokens)
    assert.deepEqual(new Set(frames.map((frame) => frame.event)), new Set(['start', 'token', 'done']))
  })

  it('tools work in it, and a failure is its last event', async () => {
    const app = await open({ model: scripted([['Let me see.', toolCall('time.now')], 'It is late.']) })
    const id = await begin(app)
    const frames = await read(await stream(app, id, 'What time is it?'))
    assert.equal(content(frames), 'Let me see.\n\nIt is late.')
    const failed = await read(await stream(app, id, 'fail: invalid'))
    assert.equal(failed.at(-1)!.event, 'error')
    assert.equal(typeof JSON.parse(failed.at(-1)!.data!).message, 'string')
  })

  it('an interrupted turn ends with cancelled, a removed one with an error', async () => {
    const app = await open({ model: scripted([['Well', delay(30_000)], 'never']) })
    const id = await begin(app)
    const running = await stream(app, id, 'go')
    await app.events(id, 0, (event) => event.type === 'text')
    const waiting = await stream(app, id, 'wait')
    const { status } = await app.json<Session>(`/api/v1/sessions/${id}`)
    assert.equal(status, 'running')
    await app.json(`/api/sessions/${id}/queue`, { method: 'PUT', json: { order: [] } })
    assert.equal((await read(waiting)).at(-1)!.event, 'error')
    await app.json(`/api/sessions/${id}/interrupt`, { json: {} })
    assert.equal((await read(running)).at(-1)!.event, 'cancelled')
  })

  it('a reader that leaves does not stop the turn', async () => {
    const app = await open({ model: scripted([['One', delay(300), ' two']]) })
    const id = await begin(app)
    const response = await stream(app, id, 'count')
    await read(response, 'token')
    assert.equal(await answered(app, id), 'One two')
  })

  it('a reader that leaves stops the turn when the session was made so, and its part is kept', async () => {
    const app = await open({ model: scripted([['One', delay(20_000), ' two']]) })
    const id = await begin(app, { on_disconnect: 'pause' })
    const response = await stream(app, id, 'count')
    await read(response, 'token')
    assert.equal(await answered(app, id), 'One')
  })

  it('a connection that breaks stops the turn as well, and none that a reader finished', async () => {
    const app = await open({ model: scripted(['Whole.', ['One', delay(20_000), ' two']]) })
    const id = await begin(app, { on_disconnect: 'pause' })
    const url = `${await app.listen()}/api/v1/sessions/${id}/stream`
    const abort = new AbortController()
    const send = (text: string) =>
      fetch(url, {
        method: 'POST',
        headers: { authorization: `Bearer ${OWNER_TOKEN}`, 'content-type': 'application/json' },
        body: JSON.stringify({ content: text }),
        signal: abort.signal,
      })
    assert.equal((await read(await send('first'))).at(-1)!.event, 'done')
    const response = await send('second')
    await assert.rejects(async () => {
      for await (const frame of framesOf(response)) if (frame.event === 'token') abort.abort()
    })
    assert.equal(await answered(app, id), 'One')
    const { messages } = await app.json<{ messages: { content: string }[] }>(`/api/v1/sessions/${id}/messages`)
    assert.deepEqual(messages.map((message) => message.content), ['first', 'Whole.', 'second', 'One'])
  })

  it('a server that stops tells the reader with a last event', async () => {
    const app = await testApp({ model: scripted([['One', delay(20_000)]]), flags: { name: 'My Agent' } })
    const id = await begin(app)
    const response = await stream(app, id, 'count')
    const frames = read(response)
    await app.close()
    assert.ok(['error', 'cancelled'].includes((await frames).at(-1)!.event!))
  })
})

describe('Duragent’s approvals', () => {
  it('a call that waits answers 202, and its yes answers with the rest of the turn', async () => {
    const app = await open({ model: scripted([write, 'Written.']) })
    const id = await begin(app)
    const asked = await say(app, id, 'write it')
    assert.equal(asked.status, 202)
    const { session_id, call_id, command } = await asked.json() as Question & { session_id: string }
    assert.equal(session_id, id)
    assert.equal(command, 'notes.create {"path":"a.md","content":"kept"}')
    assert.equal((await app.json<Session>(`/api/v1/sessions/${id}`)).status, 'paused')

    const path = `/api/v1/sessions/${id}/approve`
    await app.json(path, { json: { call_id: 'other', command, decision: 'allow_once' }, status: 400 })
    await app.json(path, { json: { call_id, command: `${command} `, decision: 'allow_always' }, status: 400 })
    await app.json(path, { json: { call_id, command, decision: 'maybe' }, status: 400 })
    const yes = await app.json(path, { json: { call_id, command, decision: 'allow_once' }, status: 200 })
    assert.deepEqual({ ...yes, message_id: '' }, { status: 'complete', message_id: '', content: 'Written.' })
    await app.json(path, { json: { call_id, command, decision: 'allow_once' }, status: 404 })
  })

  it('two calls are asked one after the other; always means no more questions', async () => {
    const second = toolCall('notes.create', { path: 'b.md', content: 'too' })
    const app = await open({ model: scripted([[write, second], 'Both.', write, 'Again.']) })
    const id = await begin(app)
    const first = await (await say(app, id, 'write both')).json() as Question
    const path = `/api/v1/sessions/${id}/approve`
    const next = await app.json<Question & { status: string }>(path, {
      json: { call_id: first.call_id, command: first.command, decision: 'deny' },
      status: 202,
    })
    assert.equal(next.status, 'pending_approval')
    assert.match(next.command, /b\.md/)
    const { call_id, command } = next
    const done = await app.json(path, { json: { call_id, command, decision: 'allow_always' }, status: 200 })
    assert.equal(done.content, 'Both.')
    assert.equal((await say(app, id, 'once more')).status, 200)
  })

  it('a stream tells of the question and goes on after its answer', async () => {
    const app = await open({ model: scripted([write, 'Written.']) })
    const id = await begin(app)
    const seen: Frame[] = []
    for await (const frame of framesOf(await stream(app, id, 'write it'))) {
      seen.push(frame)
      if (frame.event !== 'approval_required') continue
      const question = JSON.parse(frame.data!) as Question
      await app.json(`/api/v1/sessions/${id}/approve`, { json: { ...question, decision: 'allow_once' } })
    }
    assert.deepEqual(seen.map((frame) => frame.event).filter((event) => event !== 'token'), [
      'start',
      'approval_required',
      'done',
    ])
    assert.equal(content(seen), 'Written.')
  })

  it('nobody else sees a session or answers its question', async () => {
    const app = await open({ model: scripted([write]) })
    const id = await begin(app)
    const { call_id, command } = await (await say(app, id, 'write it')).json() as Question
    const { secret } = await app.json<{ secret: string }>('/api/keys', {
      json: { name: 'guest', scopes: ['read', 'chat'], handle: 'guest' },
    })
    const guest = { token: secret }
    assert.deepEqual((await app.json<{ sessions: unknown[] }>('/api/v1/sessions', guest)).sessions, [])
    const json = { call_id, command, decision: 'allow_once' }
    await app.json(`/api/v1/sessions/${id}/approve`, { ...guest, json, status: 404 })
    assert.equal((await say(app, id, 'hello', guest)).status, 404)
    assert.equal((await stream(app, id, 'hello', guest)).status, 404)
    await app.json('/api/admin/v1/shutdown', { ...guest, json: {}, status: 403 })
  })

  it('a key that may only talk sees what it is answered, and administers nothing', async () => {
    const app = await open({ model: scripted(['Hello.']) })
    const { secret } = await app.json<{ secret: string }>('/api/keys', { json: { name: 'talker', scopes: ['chat'] } })
    const talker = { token: secret }
    const { agents } = await app.json<{ agents: { name: string }[] }>('/api/v1/agents', talker)
    const { session_id } = await app.json<Session>('/api/v1/sessions', { ...talker, json: { agent: agents[0]!.name } })
    assert.equal((await say(app, session_id, 'hello', talker)).status, 200)
    assert.equal((await app.json<Session>(`/api/v1/sessions/${session_id}`, talker)).status, 'active')
    const { messages } = await app.json<{ messages: unknown[] }>(`/api/v1/sessions/${session_id}/messages`, talker)
    assert.equal(messages.length, 2)
    await app.json('/api/admin/v1/reload-agents', { ...talker, json: {}, status: 403 })
  })
})

describe('Duragent’s administration', () => {
  it('agents are read again, and a shutdown is refused where nobody could begin it', async () => {
    const app = await open()
    const reloaded = await app.request('/api/admin/v1/reload-agents', { method: 'POST' })
    assert.equal(reloaded.status, 200)
    assert.match(await reloaded.text(), /1/)
    const shutdown = await app.request('/api/admin/v1/shutdown', { method: 'POST' })
    assert.equal(shutdown.status, 503)
  })
})

/** The assistant's text once nothing runs any more. */
async function answered(app: TestApp, id: string): Promise<string | undefined> {
  for (let i = 0; i < 1200; i++) {
    const { status } = await app.json<Session>(`/api/v1/sessions/${id}`)
    if (status === 'active') break
    await new Promise((resolve) => setTimeout(resolve, 25))
  }
  const { messages } = await app.json<{ messages: { role: string; content: string }[] }>(
    `/api/v1/sessions/${id}/messages`,
  )
  return messages.findLast((message) => message.role === 'assistant')?.content
}
