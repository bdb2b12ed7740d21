import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { delay, fail, hold, scripted, toolCall } from '../server/models/providers/scripted.ts'
import type { RunMessage } from '../shared/sessions.ts'
import type { TurnEvent } from '../shared/turn-events.ts'
import { framesOf, OWNER_TOKEN, type TestApp, testApp, textOf } from './support/app.ts'

type Sent = { turn_id: string; state: string; position: number | null }
type Transcript = { messages: RunMessage[]; nextCursor: string | null; offset: number; open: TurnEvent[] }

const opened: TestApp[] = []
async function open(options: Parameters<typeof testApp>[0] = {}): Promise<TestApp> {
  const app = await testApp(options)
  opened.push(app)
  return app
}
after(async () => {
  for (const app of opened) await app.close()
})

const finished = (turnId?: string) => (event: TurnEvent) =>
  event.type === 'turn_finished' && (turnId === undefined || event.turn_id === turnId)

describe('a conversation', () => {
  it('answers a message, keeps both in the transcript and names the session after the question', async () => {
    const app = await open({ model: scripted(['Hello there.']) })
    const turn = await app.ask('a', 'Good morning to you')
    assert.deepEqual([turn.state, turn.text], ['completed', 'Hello there.'])
    const { messages } = await app.json<Transcript>('/api/sessions/a/messages')
    assert.deepEqual(messages.map(({ role, text }) => [role, text]), [['user', 'Good morning to you'], [
      'assistant',
      'Hello there.',
    ]])
    const session = await app.json('/api/sessions/a')
    assert.equal(session.title, 'Good morning to you')
    assert.equal(session._live, false)
  })

  it('sends the earlier turns to the model, and not those before a clear', async () => {
    const model = scripted(['one', 'two', 'three'])
    const app = await open({ model })
    await app.ask('a', 'first')
    await app.ask('a', 'second')
    const said = (i: number) =>
      model.requests[i]!.messages.filter((message) => message.role !== 'system').map((message) =>
        typeof message.content === 'string'
          ? message.content
          : message.content.map((part) => part.type === 'text' ? part.text : '').join('')
      )
    assert.deepEqual(said(1), ['first', 'one', 'second'])
    await app.json('/api/sessions/a/clear', { json: {} })
    assert.deepEqual((await app.json<Transcript>('/api/sessions/a/messages')).messages, [])
    await app.ask('a', 'third')
    assert.deepEqual(said(2), ['third'])
  })

  it('is queued behind a running turn, told its position, and answered in order', async () => {
    const first = Promise.withResolvers<void>()
    const app = await open({ model: scripted([[hold(first.promise), 'one'], 'two', 'three']) })
    const sent: Sent[] = []
    for (const text of ['a', 'b', 'c']) {
      sent.push(await app.json<Sent>('/api/sessions/q/messages', { json: { text }, status: 202 }))
    }
    assert.deepEqual(sent.map(({ position }) => position), [0, 1, 2])
    first.resolve()
    const events = await app.events('q', 0, finished(sent[2]!.turn_id))
    const ends = events.filter((event) => event.type === 'turn_finished')
    assert.deepEqual(ends.map((event) => event.turn_id), sent.map((turn) => turn.turn_id))
    assert.deepEqual(ends.map((event) => event.text), ['one', 'two', 'three'])
  })

  it('refuses the message after the twentieth that waits, and loses none of those', async () => {
    const first = Promise.withResolvers<void>()
    const quick = Array.from({ length: 30 }, () => 'quick')
    const app = await open({ model: scripted([[hold(first.promise), 'slow'], ...quick]) })
    const sent: Sent[] = []
    for (let i = 0; i <= 20; i++) {
      sent.push(await app.json<Sent>('/api/sessions/q/messages', { json: { text: `m${i}` } }))
    }
    const refused = await app.request('/api/sessions/q/messages', { method: 'POST', json: { text: 'one too many' } })
    assert.equal(refused.status, 429)
    assert.match(((await refused.json()) as { error: string }).error, /wait/)
    first.resolve()
    const events = await app.events('q', 0, finished(sent.at(-1)!.turn_id))
    assert.equal(events.filter((event) => event.type === 'turn_finished').length, 21)
  })

  it('can be rearranged and edited while it waits', async () => {
    const first = Promise.withResolvers<void>()
    const app = await open({ model: scripted([[hold(first.promise), 'one'], 'two', 'three', 'four']) })
    const send = (text: string) => app.json<Sent>('/api/sessions/q/messages', { json: { text } })
    await send('1')
    await app.events('q', 0, (event) => event.type === 'turn_started')
    const [second, third, fourth] = await Promise.all(['2', '3', '4'].map(send))
    await app.json('/api/sessions/q/queue', { method: 'PUT', json: { order: [fourth!.turn_id, second!.turn_id] } })
    await app.json(`/api/sessions/q/queue/${second!.turn_id}`, { method: 'PATCH', json: { text: '2 better' } })
    first.resolve()
    await app.events('q', 0, finished(second!.turn_id))
    const { messages } = await app.json<Transcript>('/api/sessions/q/messages')
    assert.deepEqual(messages.filter(({ role }) => role === 'user').map(({ text }) => text), ['1', '4', '2 better'])
    assert.equal((await app.request(`/api/turns/${third!.turn_id}`)).status, 404)
  })

  it('can be taken out alone, whatever came behind it, and who waits for it is told', async () => {
    const first = Promise.withResolvers<void>()
    const app = await open({ model: scripted([[hold(first.promise), 'one'], 'three']) })
    const post = (text: string, prefer = '') =>
      app.request('/api/sessions/q/messages', { method: 'POST', json: { text }, headers: { prefer } })
    await post('1')
    const patient = post('2', 'wait=30')
    const second = await (await post('2 again')).json() as Sent
    const { items } = await app.json<{ items: Sent[] }>('/api/sessions/q/queue')
    for (const { turn_id } of items.slice(1)) {
      assert.equal((await app.request(`/api/sessions/q/queue/${turn_id}`, { method: 'DELETE' })).status, 200)
    }
    assert.equal((await patient).status, 409)
    assert.equal((await app.request(`/api/sessions/q/queue/${second.turn_id}`, { method: 'DELETE' })).status, 409)
    first.resolve()
    assert.equal((await app.ask('q', '3')).text, 'three')
  })

  it('is answered or taken out, never both, however close the two come', async () => {
    const model = scripted(Array.from({ length: 40 }, () => 'answer'))
    const app = await open({ model })
    for (let i = 0; i < 20; i++) {
      const first = await app.json<Sent>(`/api/sessions/c${i}/messages`, { json: { text: 'hi' } })
      const { turn_id } = await app.json<Sent>(`/api/sessions/c${i}/messages`, { json: { text: 'again' } })
      // The later it comes, the more often it is too late.
      for (let turns = i; turns > 0; turns--) await nextTurn()
      const removed = await app.request(`/api/sessions/c${i}/queue/${turn_id}`, { method: 'DELETE' })
      await app.events(`c${i}`, 0, finished(removed.status === 409 ? turn_id : first.turn_id))
      const { messages } = await app.json<Transcript>(`/api/sessions/c${i}/messages`)
      assert.equal(messages.length, removed.status === 409 ? 4 : 2)
      const turn = await app.request(`/api/turns/${turn_id}`)
      assert.equal(turn.status, removed.status === 409 ? 200 : 404)
    }
  })

  it('is given to the model with every text that joined it, however close to its start', async () => {
    const app = await open({ model: scripted(Array.from({ length: 80 }, () => 'answer')) })
    for (let i = 0; i < 20; i++) {
      const id = `j${i}`
      await app.json('/api/sessions', { json: { session_id: id, queue_policy: 'merge' } })
      const send = (text: string) => app.json<Sent>(`/api/sessions/${id}/messages`, { json: { text } })
      await send('one')
      await send('two')
      const { turn_id } = await send('three')
      await app.events(id, 0, finished(turn_id))
      const { messages } = await app.json<Transcript>(`/api/sessions/${id}/messages`)
      const said = messages.filter(({ role }) => role === 'user').map(({ text }) => text)
      assert.equal(said.join('\n\n'), 'one\n\ntwo\n\nthree')
    }
  })

  it('leaves its place to the next session when it is taken out while all places are taken', async () => {
    const first = Promise.withResolvers<void>()
    const app = await open({
      model: scripted([[hold(first.promise), 'one'], 'three']),
      flags: { 'sessions.max_parallel_turns': 1 },
    })
    const send = (id: string) => app.json<Sent>(`/api/sessions/${id}/messages`, { json: { text: id } })
    await send('p1')
    const second = await send('p2')
    const third = await send('p3')
    await app.json(`/api/sessions/p2/queue/${second.turn_id}`, { method: 'DELETE' })
    first.resolve()
    await app.events('p3', 0, finished(third.turn_id))
  })

  it('never runs beside more others than the configuration allows, however many come at once', async () => {
    const sessions = Array.from({ length: 12 }, (_, i) => `n${i}`)
    const app = await open({
      model: scripted(sessions.map((id) => [delay(20), id])),
      flags: { 'sessions.max_parallel_turns': 2 },
    })
    const sent = await Promise.all(
      sessions.map((id) => app.json<Sent>(`/api/sessions/${id}/messages`, { json: { text: id } })),
    )
    const seen = await Promise.all(sessions.map((id, i) => app.events(id, 0, finished(sent[i]!.turn_id))))
    const marks = seen.flat().filter(({ type }) => type === 'turn_started' || type === 'turn_finished')
    let running = 0
    for (const { type } of marks.sort((a, b) => a.offset - b.offset)) {
      running += type === 'turn_started' ? 1 : -1
      assert.ok(running <= 2, `${running} turns ran side by side`)
    }
    assert.equal(marks.length, 24)
  })

  it('is named once in an order, and nothing moves when it is not', async () => {
    const app = await open({ model: scripted([[delay(60_000), 'one'], 'two']) })
    await app.json('/api/sessions/q/messages', { json: { text: '1' } })
    const { turn_id } = await app.json<Sent>('/api/sessions/q/messages', { json: { text: '2' } })
    const order = [turn_id, turn_id]
    const refused = await app.request('/api/sessions/q/queue', { method: 'PUT', json: { order } })
    assert.equal(refused.status, 400)
    assert.match((await refused.json() as { detail: string }).detail, /^order\.1: /)
    assert.equal((await app.json<{ items: unknown[] }>('/api/sessions/q/queue')).items.length, 2)
  })

  it('joins waiting texts under the policy merge', async () => {
    const running = Promise.withResolvers<void>()
    const model = scripted([[hold(running.promise), 'one'], 'two'])
    const app = await open({ model })
    await app.json('/api/sessions', { json: { session_id: 'm', queue_policy: 'merge' } })
    await app.json('/api/sessions/m/messages', { json: { text: 'first' } })
    await app.events('m', 0, (event) => event.type === 'turn_started')
    const second = await app.json<Sent>('/api/sessions/m/messages', { json: { text: 'second' } })
    const third = await app.json<Sent>('/api/sessions/m/messages', { json: { text: 'third' } })
    assert.equal(third.turn_id, second.turn_id)
    running.resolve()
    await app.events('m', 0, finished(second.turn_id))
    const { messages } = await app.json<Transcript>('/api/sessions/m/messages')
    assert.deepEqual(messages.filter(({ role }) => role === 'user').map(({ text }) => text), [
      'first',
      'second\n\nthird',
    ])
  })

  it('cancels the running turn under the policy interrupt, and keeps its partial text', async () => {
    const app = await open({ model: scripted([['partial ', delay(60_000), 'never'], 'second answer']) })
    await app.json('/api/sessions', { json: { session_id: 'i', queue_policy: 'interrupt' } })
    const first = await app.json<Sent>('/api/sessions/i/messages', { json: { text: 'first' } })
    await app.events('i', 0, (event) => event.type === 'text')
    const second = await app.ask('i', 'second')
    assert.equal(second.text, 'second answer')
    const interrupted = await app.json(`/api/turns/${first.turn_id}`)
    assert.deepEqual([interrupted.state, interrupted.text], ['interrupted', 'partial '])
  })
})

describe('a reader of the log', () => {
  it('resumes after any offset without loss or repetition, while the turn runs and after it', async () => {
    const words = Array.from({ length: 40 }, (_, i) => `word${i} `)
    const app = await open({ model: scripted([words.flatMap((word) => [word, delay(3)])]) })
    const sent = await app.json<Sent>('/api/sessions/r/messages', { json: { text: 'go' } })
    const first = await app.events('r', 0, (event) => event.type === 'text' && event.delta.includes('word20'))
    const rest = await app.events('r', first.at(-1)!.offset, finished(sent.turn_id))
    const whole = words.join('')
    assert.equal(textOf([...first, ...rest]), whole)
    const offsets = [...first, ...rest].map((event) => event.offset)
    assert.deepEqual(offsets, [...new Set(offsets)].sort((a, b) => a - b))
    assert.equal(textOf(await app.events('r', 0, finished(sent.turn_id))), whole)
    for (const event of first.slice(3)) {
      const later = await app.events('r', event.offset, finished(sent.turn_id))
      const before = textOf(first.filter(({ offset }) => offset <= event.offset))
      assert.equal(before + textOf(later), whole)
    }
  })

  it('sees the same from the database after a restart', async () => {
    const app = await testApp({ model: scripted([['Hel', delay(30), 'lo'], 'Bye']) })
    await app.ask('r', 'one')
    await app.ask('r', 'two')
    const before = await app.events('r', 0, (event) => event.type === 'turn_finished' && event.text === 'Bye')
    await app.stop()
    const again = await open({ home: app.home, model: scripted(['New']) })
    const replay = await again.events('r', 0, (event) => event.type === 'turn_finished' && event.text === 'Bye')
    assert.equal(textOf(replay), textOf(before))
    await again.ask('r', 'three')
    const newest = await again.events('r', before.at(-1)!.offset, finished())
    assert.equal(textOf(newest), 'New')
  })

  it('loads a page in the middle of a turn and goes on from its offset to the same text', async () => {
    const words = Array.from({ length: 60 }, (_, i) => `w${i} `)
    const app = await open({ model: scripted([words.flatMap((word) => [word, delay(2)])]) })
    const sent = await app.json<Sent>('/api/sessions/p/messages', { json: { text: 'go' } })
    await app.events('p', 0, (event) => event.type === 'text' && event.delta.includes('w10'))
    const page = await app.json<Transcript>('/api/sessions/p/messages')
    const rest = await app.events('p', page.offset, finished(sent.turn_id))
    assert.equal(textOf(page.open) + textOf(rest), words.join(''))
  })

  it('pages backwards through the transcript without gaps', async () => {
    const app = await open({ model: scripted(Array.from({ length: 12 }, (_, i) => `answer ${i}`)) })
    for (let i = 0; i < 12; i++) await app.ask('p', `question ${i}`)
    const texts: string[] = []
    for (let before = '';;) {
      const page = await app.json<Transcript>(`/api/sessions/p/messages?limit=5${before}`)
      texts.unshift(...page.messages.map(({ text }) => text))
      if (!page.nextCursor) break
      before = `&before=${page.nextCursor}`
    }
    assert.deepEqual(texts, Array.from({ length: 12 }, (_, i) => [`question ${i}`, `answer ${i}`]).flat())
  })
})

describe('the runs of a session', () => {
  it('are whole turns, however many tools one has called', async () => {
    const calls = Array.from({ length: 24 }, () => toolCall('time.now', {}))
    const app = await open({ model: scripted(['one', calls, 'two', 'three']) })
    for (const text of ['first', 'second', 'third']) await app.ask('r', text)
    const runs = async (query: string) =>
      (await app.json<{ messages: RunMessage[] }>(`/api/sessions/r/runs${query}`)).messages
        .filter(({ role }) => role !== 'tool').map(({ text }) => text)
    assert.deepEqual(await runs('?limit=1'), ['third', 'three'])
    assert.deepEqual(await runs('?limit=2'), ['second', 'two', 'third', 'three'])
    assert.deepEqual(await runs(''), ['first', 'one', 'second', 'two', 'third', 'three'])
    await app.json('/api/sessions/r/clear', { json: {} })
    assert.deepEqual(await runs(''), [])
  })
})

describe('sending', () => {
  it('with an Idempotency-Key twice is answered once', async () => {
    const model = scripted(['once'])
    const app = await open({ model })
    const send = (text: string) =>
      app.request('/api/sessions/i/messages', {
        method: 'POST',
        json: { text },
        headers: { 'idempotency-key': 'k1', prefer: 'wait=5' },
      })
    const first = await (await send('hi')).json() as Sent
    const second = await send('hi')
    assert.equal(second.headers.get('idempotent-replayed'), 'true')
    assert.equal((await second.json() as Sent).turn_id, first.turn_id)
    assert.equal((await send('something else')).status, 422)
    assert.equal(model.requests.length, 1)
  })

  it('with an Idempotency-Key twice is joined once to a text that waits', async () => {
    const running = Promise.withResolvers<void>()
    const model = scripted([[hold(running.promise), 'one'], 'two'])
    const app = await open({ model })
    await app.json('/api/sessions', { json: { session_id: 'm', queue_policy: 'merge' } })
    const send = (text: string, key: string) =>
      app.request('/api/sessions/m/messages', { method: 'POST', json: { text }, headers: { 'idempotency-key': key } })
    await send('first', 'k1')
    await app.events('m', 0, (event) => event.type === 'turn_started')
    await send('second', 'k2')
    const third = await (await send('third', 'k3')).json() as Sent
    const again = await send('third', 'k3')
    assert.equal(again.headers.get('idempotent-replayed'), 'true')
    running.resolve()
    await app.events('m', 0, finished(third.turn_id))
    assert.equal((await (await send('third', 'k3')).json() as Sent).turn_id, third.turn_id)
    assert.equal(model.requests.length, 2)
    const { messages } = await app.json<Transcript>('/api/sessions/m/messages')
    assert.equal(messages.filter(({ role }) => role === 'user').at(-1)!.text, 'second\n\nthird')
  })

  it('more than one message may hold is not joined to a text that waits', async () => {
    const app = await open({ model: scripted([[delay(60_000), 'one'], 'two', 'three']) })
    await app.json('/api/sessions', { json: { session_id: 'm', queue_policy: 'merge' } })
    const send = (text: string) => app.json<Sent>('/api/sessions/m/messages', { json: { text } })
    await send('first')
    await app.events('m', 0, (event) => event.type === 'turn_started')
    const long = 'a'.repeat(600_000)
    assert.notEqual((await send(long)).turn_id, (await send(long)).turn_id)
  })

  it('nothing, or too much, or to a bad id, is refused and creates no session', async () => {
    const app = await open()
    const status = async (path: string, json: unknown) => (await app.request(path, { method: 'POST', json })).status
    assert.equal(await status('/api/sessions/x/messages', { text: '  ' }), 400)
    assert.equal(await status('/api/sessions/x/messages', { text: 7 }), 400)
    assert.equal(await status('/api/sessions/x/messages', { text: 'a'.repeat(1_048_577) }), 400)
    assert.equal(await status('/api/sessions/a%2Fb/messages', { text: 'hi' }), 400)
    assert.equal(await status('/api/sessions/search/messages', { text: 'hi' }), 400)
    assert.equal(
      await status('/api/sessions/x/messages', { text: 'hi', attachments: [{ path: '/etc/passwd', type: 'file' }] }),
      400,
    )
    assert.deepEqual((await app.json<{ sessions: unknown[] }>('/api/sessions')).sessions, [])
  })
})

describe('a failure of the model', () => {
  it('reaches the reader as what happened, keeps what was said, and can be retried', async () => {
    const app = await open({ model: scripted([['Half an ', fail('network')], 'Whole answer']) })
    const failed = await app.ask('f', 'tell me')
    assert.deepEqual([failed.state, failed.text, failed.error?.class], ['failed', 'Half an ', 'network'])
    const retried = await app.json<Sent>('/api/sessions/f/retry', { json: {} })
    await app.events('f', 0, finished(retried.turn_id))
    const { messages } = await app.json<Transcript>('/api/sessions/f/messages')
    assert.deepEqual(messages.map(({ role, text }) => [role, text]), [['user', 'tell me'], [
      'assistant',
      'Whole answer',
    ]])
  })

  it('that may pass is tried again, visibly, before a word was shown', async () => {
    const app = await open({ model: scripted([fail('overloaded', 10), 'Now it works']) })
    const turn = await app.ask('f', 'try')
    assert.equal(turn.text, 'Now it works')
    const events = await app.events('f', 0, finished())
    assert.equal(events.filter((event) => event.type === 'retry').length, 1)
  })
})

describe('tools', () => {
  it('that read run at once and their results go back to the model', async () => {
    const model = scripted([[toolCall('math.evaluate', { expression: '6*7' })], 'It is 42'])
    const app = await open({ model })
    const turn = await app.ask('t', 'six times seven')
    assert.equal(turn.text, 'It is 42')
    const result = model.requests[1]!.messages.at(-1)!
    assert.equal(result.role, 'tool')
    assert.match(String(result.content), /42/)
    const { messages } = await app.json<Transcript>('/api/sessions/t/messages')
    assert.deepEqual(messages.map(({ role }) => role), ['user', 'tool', 'assistant'])
    assert.equal(messages[1]!.toolInfo?.tool_name, 'math.evaluate')
  })

  const note = { title: 'Groceries', content: 'milk' }

  it('that write wait for a yes, durably, and go on after a restart', async () => {
    const first = await testApp({ model: scripted([[toolCall('notes.create', note)], 'unused']) })
    const sent = await first.json<Sent>('/api/sessions/w/messages', { json: { text: 'note it' } })
    await first.events('w', 0, (event) => event.type === 'approval')
    assert.equal((await first.json(`/api/turns/${sent.turn_id}`)).state, 'awaiting_approval')
    await first.stop()

    const app = await open({ home: first.home, model: scripted(['Noted.']) })
    const { approvals } = await app.json<{ approvals: { id: string; arguments: unknown }[] }>('/api/approvals')
    assert.deepEqual(approvals.map((approval) => approval.arguments), [note])
    const decide = () =>
      app.request(`/api/approvals/${approvals[0]!.id}`, { method: 'POST', json: { decision: 'allow_once' } })
    const statuses = (await Promise.all([decide(), decide()])).map((response) => response.status).sort()
    assert.deepEqual(statuses, [200, 409])
    const events = await app.events('w', 0, finished(sent.turn_id))
    assert.equal(events.filter((event) => event.type === 'tool_result' && event.ok).length, 1)
    assert.equal(events.at(-1)!.type === 'turn_finished' && (events.at(-1) as { text: string }).text, 'Noted.')
  })

  it('that are declined do not run, and the model hears of it', async () => {
    const model = scripted([[toolCall('notes.create', note)], 'All right, not noted.'])
    const app = await open({ model })
    const sent = await app.json<Sent>('/api/sessions/d/messages', { json: { text: 'note it' } })
    await app.events('d', 0, (event) => event.type === 'approval')
    const { approvals } = await app.json<{ approvals: { id: string }[] }>('/api/approvals')
    await app.json(`/api/approvals/${approvals[0]!.id}`, { json: { decision: 'deny' } })
    await app.events('d', 0, finished(sent.turn_id))
    assert.match(String(model.requests[1]!.messages.at(-1)!.content), /declined/)
  })

  it('a standing yes for the session is not asked again there, and is elsewhere', async () => {
    const model = scripted([
      [toolCall('notes.create', note)],
      'ok',
      [toolCall('notes.create', { ...note, title: 'Two' })],
      'ok',
      [toolCall('notes.create', { ...note, title: 'Three' })],
      'ok',
    ])
    const app = await open({ model })
    await app.json('/api/sessions/g/messages', { json: { text: 'one' } })
    await app.events('g', 0, (event) => event.type === 'approval')
    const { approvals } = await app.json<{ approvals: { id: string }[] }>('/api/approvals')
    await app.json(`/api/approvals/${approvals[0]!.id}`, { json: { decision: 'allow_session' } })
    await app.events('g', 0, finished())
    assert.equal((await app.ask('g', 'two')).state, 'completed')
    await app.json('/api/sessions/other/messages', { json: { text: 'three' } })
    await app.events('other', 0, (event) => event.type === 'approval')
  })

  it('a turn that waits for an answer can be stopped, and its question is withdrawn', async () => {
    const app = await open({ model: scripted([[toolCall('notes.create', note)]]) })
    const sent = await app.json<Sent>('/api/sessions/s/messages', { json: { text: 'note it' } })
    await app.events('s', 0, (event) => event.type === 'approval')
    await app.json('/api/sessions/s/interrupt', { json: {} })
    assert.equal((await app.json(`/api/turns/${sent.turn_id}`)).state, 'interrupted')
    assert.deepEqual((await app.json<{ approvals: unknown[] }>('/api/approvals')).approvals, [])
    const seen = (await app.events('s', 0, finished())).map(({ type }) => type)
    assert.deepEqual(seen.slice(-3), ['approval', 'approval_decided', 'turn_finished'])
  })
})

describe('sessions', () => {
  it('of one handle are invisible to another, under the same id too', async () => {
    const app = await open({ model: scripted(['mine', 'yours']) })
    const { secret } = await app.json<{ secret: string }>('/api/keys', {
      json: { name: 'guest', scopes: ['chat', 'read'], handle: 'guest' },
    })
    await app.ask('same', 'owner question')
    for (const path of ['', '/messages', '/runs', '/context', '/events', '/export', '/queue']) {
      assert.equal((await app.request(`/api/sessions/same${path}`, { token: secret })).status, 404, path)
    }
    const turn = await app.json<{ text: string }>('/api/sessions/same/messages', {
      token: secret,
      json: { text: 'guest question' },
      headers: { prefer: 'wait=10' },
    })
    assert.equal(turn.text, 'yours')
    const { messages } = await app.json<Transcript>('/api/sessions/same/messages')
    assert.ok(!JSON.stringify(messages).includes('guest question'))
    assert.deepEqual(
      (await app.json<{ results: unknown[] }>('/api/sessions/search?q=guest', { token: OWNER_TOKEN })).results,
      [],
    )
  })

  it('can be renamed, pinned, searched, exported and deleted', async () => {
    const app = await open({ model: scripted(['The capital is Paris.', 'ok']) })
    await app.ask('a', 'What is the capital of France?')
    await app.ask('b', 'hello')
    await app.json('/api/sessions/a', { method: 'PATCH', json: { title: 'Geography', pinned: true } })
    const { sessions } = await app.json<{ sessions: { session_id: string; title: string }[] }>('/api/sessions')
    assert.deepEqual(sessions.map(({ session_id, title }) => [session_id, title]), [['a', 'Geography'], ['b', 'hello']])
    const { results } = await app.json<{ results: { session_id: string; snippet: string }[] }>(
      '/api/sessions/search?q=capital%20par',
    )
    assert.deepEqual(results.map(({ session_id }) => session_id), ['a'])
    assert.match(
      await (await app.request('/api/sessions/a/export')).text(),
      /# Geography[\s\S]*capital of France[\s\S]*Paris/,
    )
    await app.json('/api/sessions/a', { method: 'DELETE' })
    assert.equal((await app.request('/api/sessions/a')).status, 404)
    assert.deepEqual((await app.json<{ results: unknown[] }>('/api/sessions/search?q=paris')).results, [])
  })

  it('branch at a message: the new one has what came before, the old one stays as it was', async () => {
    const model = scripted(['one', 'two', 'new two'])
    const app = await open({ model })
    await app.ask('o', 'first')
    await app.ask('o', 'second')
    const before = (await app.json<Transcript>('/api/sessions/o/messages')).messages
    const branch = await app.json<{ session_id: string; branched_from: { session_id: string } }>(
      '/api/sessions/o/branch',
      { json: { message_id: before[2]!.id, text: 'second, better' } },
    )
    assert.equal(branch.branched_from.session_id, 'o')
    await app.events(branch.session_id, 0, finished())
    const { messages } = await app.json<Transcript>(`/api/sessions/${branch.session_id}/messages`)
    assert.deepEqual(messages.map(({ text }) => text), ['first', 'one', 'second, better', 'new two'])
    assert.deepEqual((await app.json<Transcript>('/api/sessions/o/messages')).messages, before)
    const sessions = (await app.json<{ sessions: unknown[] }>('/api/sessions')).sessions.length
    const json = { message_id: before[2]!.id, text: ' ' }
    assert.equal((await app.request('/api/sessions/o/branch', { method: 'POST', json })).status, 400)
    assert.equal((await app.json<{ sessions: unknown[] }>('/api/sessions')).sessions.length, sessions)
  })

  it('deleted while a turn runs, stop it and leave nothing', async () => {
    const app = await open({ model: scripted([['x', delay(60_000), 'y']]) })
    await app.json('/api/sessions/z/messages', { json: { text: 'go' } })
    await app.events('z', 0, (event) => event.type === 'text')
    await app.json('/api/sessions/z', { method: 'DELETE' })
    const rows = await app.database.all(
      'select (select count(*) from turns) + (select count(*) from messages) + (select count(*) from turn_segments) as n',
    )
    assert.deepEqual(rows, [{ n: 0 }])
  })

  it('deleted, end what follows them, and give nothing of theirs to a session that is made next', async () => {
    const app = await open({ model: scripted(['a secret of the owner', 'yours', 'yours again']) })
    const { secret } = await app.json<{ secret: string }>('/api/keys', {
      json: { name: 'guest', scopes: ['chat', 'read'], handle: 'guest' },
    })
    const guest = (path: string, json?: unknown) =>
      app.json(path, { token: secret, ...(json ? { json, headers: { prefer: 'wait=20' } } : {}) })
    await app.ask('gone', 'a question of the owner')
    const signal = AbortSignal.timeout(30_000)
    const following = await app.request('/api/sessions/gone/events?after=0', { signal })
    const frames = framesOf(following)
    assert.match((await frames.next()).value!.data ?? '', /a question of the owner/)
    await app.json('/api/sessions/gone', { method: 'DELETE' })
    await guest('/api/sessions/next/messages', { text: 'a question of the guest' })
    let rest = ''
    for await (const { data } of frames) rest += data
    assert.equal(signal.aborted, false)
    assert.doesNotMatch(rest, /guest|yours/)

    const next = await app.request('/api/sessions/next/events?after=0', { token: secret, signal })
    let seen = ''
    for await (const { data } of framesOf(next)) {
      seen += data
      if (data?.includes('turn_finished')) break
    }
    assert.match(seen, /a question of the guest/)
    assert.doesNotMatch(seen, /owner/)
  })

  it('deleted in the moment in which something is sent to them, keep no other from being answered', async () => {
    const app = await open({ model: scripted(Array.from({ length: 60 }, () => 'an answer')) })
    for (let i = 0; i < 20; i++) {
      await app.json('/api/sessions', { json: { session_id: `d${i}` } })
      const sent = app.request(`/api/sessions/d${i}/messages`, { method: 'POST', json: { text: 'hi' } })
      for (let turns = i % 5; turns > 0; turns--) await nextTurn()
      const removed = await app.request(`/api/sessions/d${i}`, { method: 'DELETE' })
      assert.equal(removed.status, 200)
      await sent
    }
    assert.equal((await app.ask('other', 'and you?')).text, 'an answer')
  })
})

describe('compaction', () => {
  it('folds older messages for the model, shows it in the transcript and deletes nothing', async () => {
    const model = scripted(Array.from({ length: 10 }, (_, i) => `answer ${i}`))
    const app = await open({ model })
    for (let i = 0; i < 6; i++) await app.ask('c', `question ${i}`)
    const result = await app.json<{ compacted: boolean }>('/api/sessions/c/compact', { json: {} })
    assert.equal(result.compacted, true)
    await app.ask('c', 'the last one')
    const sent = model.requests.at(-1)!.messages.map((message) =>
      typeof message.content === 'string'
        ? message.content
        : message.content.map((part) => part.type === 'text' ? part.text : '').join('')
    )
    assert.ok(!sent.includes('question 0'))
    assert.ok(sent.some((text) => text.startsWith('Summary')))
    const { messages } = await app.json<Transcript>('/api/sessions/c/messages')
    assert.equal(messages.filter(({ role }) => role === 'compaction').length, 1)
    assert.ok(messages.some(({ text }) => text === 'question 0'))
  })
})

describe('the multiplexed stream', () => {
  it('carries the turns of all sessions and what changed, and resumes after its last id', async () => {
    const app = await open({ model: scripted(['one', 'two', 'three']) })
    const abort = new AbortController()
    const read = async (headers: Record<string, string>, enough: (names: string[]) => boolean) => {
      const response = await app.request('/api/stream?topics=sessions,resources', { headers, signal: abort.signal })
      const frames: { id?: string; event?: string; data?: string }[] = []
      const asked = headers['last-event-id'] ? undefined : Promise.all([app.ask('x', 'first'), app.ask('y', 'second')])
      for await (const frame of framesOf(response)) {
        frames.push(frame)
        if (enough(frames.map(({ data }) => data ?? ''))) break
      }
      await asked
      return frames
    }
    const ends = (data: string[]) => data.filter((text) => text.includes('turn_finished')).length
    const live = await read(
      {},
      (data) => ends(data) === 2 && data.some((text) => text.includes('"resource":"session"')),
    )
    const turns = live.filter(({ event }) => event === 'turn')
    assert.deepEqual(new Set(turns.map(({ data }) => (JSON.parse(data!) as TurnEvent).session_id)), new Set(['x', 'y']))
    const from = turns[2]!.id!
    const again = await read({ 'last-event-id': from }, (data) => ends(data) === 2)
    assert.deepEqual(
      again.filter(({ event }) => event === 'turn').map(({ id }) => id),
      turns.filter(({ id }) => Number(id) > Number(from)).map(({ id }) => id),
    )
    abort.abort()
  })

  it('tells a reader whose offset is gone to load again', async () => {
    const app = await open({ model: scripted(['one']) })
    await app.ask('x', 'first')
    const abort = new AbortController()
    const response = await app.request('/api/sessions/x/events?after=99999999', { signal: abort.signal })
    for await (const frame of framesOf(response)) {
      assert.equal(frame.event, 'reset')
      break
    }
    abort.abort()
  })
})

describe('the health check', () => {
  it('tells a stranger the status and version, and somebody that we know the rest', async () => {
    const app = await open()
    const stranger = await app.json('/api/health', { token: null })
    assert.deepEqual(Object.keys(stranger).sort(), ['status', 'version'])
    assert.deepEqual(await app.json('/api/health', { token: 'wrong-credential-0123456789' }), stranger)
    const owner = await app.json('/api/health')
    assert.deepEqual([owner.agent, owner.connected_clients], ['Gatehouse', 0])
    const abort = new AbortController()
    const stream = await app.request('/api/stream', { signal: abort.signal })
    for await (const _ of framesOf(stream)) break
    assert.equal((await app.json('/api/health')).connected_clients, 0, 'a stream that ended is not counted')
    const page = (await app.request('/api/stream', { signal: abort.signal })).body!.getReader()
    await page.read()
    assert.equal((await app.json('/api/health')).connected_clients, 1)
    abort.abort()
  })
})

describe('configuration changes', () => {
  it('are in the audit log with who made them', async () => {
    const app = await open()
    await app.json('/api/config/name', { method: 'PATCH', json: 'Jeeves' })
    const { items } = await app.json<{ items: { action: string; actor_name?: string }[] }>('/api/audit')
    assert.ok(items.some(({ action }) => action === 'config.changed'))
  })
})

describe('a queue that two devices change', () => {
  it('keeps a message that came while another device arranged what it saw', async () => {
    const first = Promise.withResolvers<void>()
    const app = await open({ model: scripted([[hold(first.promise), 'one'], 'two', 'three', 'four']) })
    const send = (text: string) => app.json<Sent>('/api/sessions/q/messages', { json: { text } })
    await send('1')
    await app.events('q', 0, (event) => event.type === 'turn_started')
    const [second, third] = [await send('2'), await send('3')]
    const fourth = await send('4 from the other device')
    await app.json('/api/sessions/q/queue', {
      method: 'PUT',
      json: { order: [third.turn_id, second.turn_id], keep_others: true },
    })
    first.resolve()
    await app.events('q', 0, finished(fourth.turn_id))
    const { messages } = await app.json<Transcript>('/api/sessions/q/messages')
    const asked = messages.filter(({ role }) => role === 'user').map(({ text }) => text)
    assert.deepEqual(asked, ['1', '3', '2', '4 from the other device'])
  })

  it('refuses a change of what has changed since it was read, and tells the tag of now', async () => {
    const app = await open({ model: scripted([[delay(60_000), 'one']]) })
    const send = (text: string) => app.json<Sent>('/api/sessions/q/messages', { json: { text } })
    await send('1')
    await app.events('q', 0, (event) => event.type === 'turn_started')
    const [second, third] = [await send('2'), await send('3')]
    const tagOf = async () => (await app.request('/api/sessions/q/queue')).headers.get('etag')!
    const change = (method: string, tag: string, json?: unknown, path = '') =>
      app.request(`/api/sessions/q/queue${path}`, { method, json, headers: { 'if-match': tag } })
    const seen = await tagOf()
    await send('4')
    const order = [third.turn_id, second.turn_id]
    for (
      const refused of [
        await change('PUT', seen, { order }),
        await change('PATCH', seen, { text: 'other' }, `/${second.turn_id}`),
        await change('DELETE', seen, undefined, `/${second.turn_id}`),
      ]
    ) {
      assert.equal(refused.status, 412)
      assert.equal(refused.headers.get('etag'), await tagOf())
    }
    const { items } = await app.json<{ items: { text: string }[] }>('/api/sessions/q/queue')
    assert.deepEqual(items.map(({ text }) => text), ['1', '2', '3', '4'])
    const changed = await change('PUT', await tagOf(), { order })
    assert.equal(changed.status, 200)
    assert.equal(changed.headers.get('etag'), await tagOf())
    await app.json('/api/sessions/q/interrupt', { json: {} })
  })
})

describe('a key that may only talk', () => {
  it('sees what it is answered, and nothing of the configuration', async () => {
    const app = await open({ model: scripted(['Hello']) })
    const { secret: token } = await app.json<{ secret: string }>('/api/keys', {
      json: { name: 'bot', scopes: ['chat'] },
    })
    const turn = await app.json<Sent>('/api/sessions/k/messages', {
      json: { text: 'hi' },
      token,
      headers: { prefer: 'wait=10' },
    })
    for (const path of [`/api/turns/${turn.turn_id}`, '/api/sessions/k/messages', '/api/sessions']) {
      assert.equal((await app.request(path, { token })).status, 200, path)
    }
    for (const path of ['/api/config', '/api/system', '/api/logs', '/api/keys']) {
      assert.equal((await app.request(path, { token })).status, 403, path)
    }
  })

  it('hears on the stream of its conversations, and not what else changes', async () => {
    const app = await open({ model: scripted(['Hello', 'Hello']) })
    const { secret } = await app.json<{ secret: string }>('/api/keys', { json: { name: 'bot', scopes: ['chat'] } })
    const heard = async (token: string): Promise<string[]> => {
      const stream = await app.request('/api/stream', { token, signal: AbortSignal.timeout(30_000) })
      const changed = new Set<string>()
      for await (const { event, data } of framesOf(stream)) {
        if (event === 'resource') changed.add((JSON.parse(data!) as { resource: string }).resource)
        if (event === 'hello') {
          await app.json('/api/config/name', { method: 'PATCH', json: `Name for ${token.length}` })
          await app.ask('k', 'hi')
        }
        if (data?.includes('turn_finished')) break
      }
      return [...changed].sort()
    }
    assert.deepEqual(await heard(secret), ['session'])
    assert.deepEqual(await heard(OWNER_TOKEN), ['config', 'session'])
  })
})

describe('what a turn used', () => {
  it('stands in the transcript, on its last message', async () => {
    const app = await open({ model: scripted([[toolCall('time.now')], 'It is late.']) })
    await app.ask('u', 'what time is it')
    const { messages } = await app.json<Transcript>('/api/sessions/u/messages')
    assert.deepEqual(messages.map(({ usage }) => usage !== undefined), [false, false, true])
    assert.ok(messages.at(-1)!.usage!.input_tokens > 0)
  })
})
