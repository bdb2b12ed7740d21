import assert from 'node:assert/strict'
import { afterEach, describe, it } from 'node:test'
import { type Answer, delay, fail, hold, scripted, toolCall } from '../server/models/providers/scripted.ts'
import { createInboxStore } from '../server/channels/inbox-store.ts'
import { GatewayError } from '../server/plugins/gateway.ts'
import type { OutboxEntry } from '../shared/channels.ts'
import { testApp } from './support/app.ts'
import { answered, begin, closeAll, forget, lastText, opened } from './support/channel-app.ts'
import { hostOf, until } from './support/chat-platform.ts'

afterEach(closeAll)

/** The server again, on the same home and platform; its model gives these answers. */
async function restarted({ app, home, chat }: Awaited<ReturnType<typeof begin>>, answers: Answer[]) {
  await app.stop()
  forget()
  chat.leave()
  const model = scripted(answers)
  opened(await testApp({ home, model, gateways: hostOf(chat) }))
  return model
}

/** Where gateways before this one lost a message, fell silent or mixed people up. */
describe('a chat goes on', () => {
  it('when a turn ends before the pause after a burst does: what was written meanwhile is answered', async () => {
    const channels = { telegram: { allowed_users: ['42'], burst_ms: 400 } }
    const { chat, model } = await begin({ channels, answers: [[delay(150), 'first'], 'second'] })
    await chat.say('one')
    await until(() => model.requests.length, (count) => count === 1)
    // The pause after this one is longer than what is left of the turn.
    await chat.say('two')
    await answered(chat, 2)
    assert.deepEqual(chat.texts(), ['first', 'second'])
    assert.equal(lastText(model.requests), 'two')
  })

  it('when a message comes during the last call of the model, after a tool ran', async () => {
    const { chat, model } = await begin({ answers: [toolCall('time.now'), [delay(300), 'It is late.'], 'Good night.'] })
    await chat.say('What time is it?')
    await until(() => model.requests.length, (count) => count === 2)
    await chat.say('Then good night')
    await answered(chat, 2)
    assert.deepEqual(chat.texts(), ['It is late.', 'Good night.'])
    assert.equal(lastText(model.requests), 'Then good night')
  })

  it('when the server stops after a tool that only reads: the question is put again', async () => {
    const first = await begin({ answers: [toolCall('time.now'), [delay(60_000), 'never']] })
    await first.chat.say('What time is it?')
    await until(() => first.model.requests.length, (count) => count === 2)
    await restarted(first, ['It is late.'])
    await answered(first.chat, 1)
    assert.deepEqual(first.chat.texts(), ['It is late.'])
  })

  it('when the server stops after a tool that acts: it is said, and nothing is done twice', async () => {
    const write = toolCall('notes.create', { path: 'a.md', content: 'one' })
    const first = await begin({ answers: [write, [delay(60_000), 'never']] })
    await first.chat.say('Write it down')
    await answered(first.chat, 1)
    await first.chat.press('Allow Once')
    await until(() => first.model.requests.length, (count) => count === 2)
    const model = await restarted(first, ['never'])
    await answered(first.chat, 2)
    assert.match(first.chat.texts()[1]!, /^⚠️ The server stopped while answering/)
    assert.equal(model.requests.length, 0)
  })

  it('when a turn fails, or hangs and is stopped', async () => {
    const { chat, model } = await begin({ answers: [fail('invalid'), [delay(60_000), 'never'], 'Here I am.'] })
    await chat.say('one')
    await answered(chat, 1)
    await chat.say('two')
    await until(() => model.requests.length, (count) => count === 2)
    await chat.say('/stop')
    await answered(chat, 2)
    await chat.say('three')
    await answered(chat, 3)
    assert.deepEqual(chat.texts().slice(1), ['Stopped.', 'Here I am.'])
  })

  it('when a dead letter is sent again by several at once: it goes once', async () => {
    const { app, chat } = await begin()
    chat.before(() => {
      throw new GatewayError('forbidden', 'not here')
    })
    await chat.say('one')
    const dead = () => app.json<{ entries: OutboxEntry[] }>('/api/outbox?state=dead')
    const [entry] = (await until(dead, ({ entries }) => entries.length === 1)).entries
    chat.before(() => {})
    const again = () => app.request(`/api/outbox/${entry!.id}/send`, { method: 'POST' })
    const answers = await Promise.all([again(), again(), again()])
    assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 409, 409])
    for (const answer of answers) {
      if (answer.status === 409) assert.doesNotMatch(await answer.text(), /is dead/)
    }
    await answered(chat, 1)
    await chat.say('two')
    await answered(chat, 2)
    assert.deepEqual(chat.texts(), ['one', 'two'])
  })

  it('when somebody writes while a question waits: no call of a tool is left without its result', async () => {
    const channels = { telegram: { allowed_users: ['42'], burst_ms: 0, queue_policy: 'fifo' } }
    const answers = [toolCall('notes.create', { path: 'a.md', content: 'x' }), 'Written.', 'And that.']
    const { chat, model } = await begin({ channels, answers })
    await chat.say('Write it')
    await answered(chat, 1)
    await chat.say('Something else')
    await chat.press('Allow Once')
    await answered(chat, 3)
    assert.deepEqual(chat.texts().slice(1), ['Written.', 'And that.'])
    for (const { messages } of model.requests) {
      const called = messages.flatMap((message) => message.role === 'assistant' ? message.tool_calls ?? [] : [])
      const results = messages.flatMap((message) => message.role === 'tool' ? [message.call_id] : [])
      assert.deepEqual(called.map(({ call_id }) => call_id), results)
    }
  })

  it('when somebody sends what no button below the message says: the question stays as it is', async () => {
    const channels = { telegram: { allowed_users: ['42', '43'], allowed_groups: ['-1'], burst_ms: 0 } }
    const answers = [toolCall('notes.create', { path: 'a.md', content: 'x' }), 'Written.']
    const { app, chat } = await begin({ channels, answers })
    await chat.say({ text: 'Write it', chat: '-1', type: 'group', mention: true })
    await answered(chat, 1, '-1')
    const { id, buttons } = chat.shown[0]!
    const allow = buttons![0]!.callback_data
    for (const data of ['choice:0', 'answer:x:0', `${allow}:more`, 'approve:allow_always', '']) {
      await chat.pressData(id, data, '43')
    }
    await until(() => chat.toasts.length, (count) => count === 5)
    assert.deepEqual([...new Set(chat.toasts.map(({ text }) => text))], ['This message is not known any more.'])
    assert.equal((await app.json<{ approvals: unknown[] }>('/api/approvals')).approvals.length, 1)
    assert.deepEqual(chat.shown[0]!.buttons, buttons)
    await chat.press('Allow Once')
    await answered(chat, 2, '-1')
    assert.deepEqual(chat.texts('-1').slice(1), ['Written.'])
  })

  it('when a choice was pressed just before the server was killed: another press shows what was asked', async () => {
    const first = await begin({ answers: ['Which one? [CHOICE: red | blue]'] })
    await first.chat.say('Paint it')
    await answered(first.chat, 1)
    const sent = () => first.app.json<{ entries: OutboxEntry[] }>('/api/outbox?state=sent')
    const [entry] = (await until(sent, ({ entries }) => entries.length === 1)).entries
    const { id, channel, chat_id, session_id } = entry!
    const person = { sender_id: '42', sender_name: 'Person 42', message_id: entry!.message_id! }
    await createInboxStore(first.app.database.kysely).store({
      row: {
        ...{ channel, chat_id, chat_type: 'dm', thread_id: '', session_id: session_id!, event_id: `choice:${id}` },
        ...person,
        ...{ text: 'red', reply_to: null, media: null, route: null, state: 'new', at: Date.now() },
      },
      inGroup: false,
    })
    const model = await restarted(first, ['Fine.', 'never'])
    await answered(first.chat, 2)
    await first.chat.press('blue')
    await until(() => first.chat.shown[0]!.text, (text) => text === 'Which one?\n\n▸ red')
    assert.deepEqual(first.chat.toasts.map(({ text }) => text), ['This was answered already.'])
    assert.equal(lastText(model.requests), 'red')
    assert.equal(model.requests.length, 1)
  })

  it('with the name of each who wrote, also where waiting messages are made one turn', async () => {
    const group = { chat: '-1', type: 'group', mention: true }
    const channels = { telegram: { allowed_groups: ['-1'], burst_ms: 0, queue_policy: 'merge' } }
    const running = Promise.withResolvers<void>()
    const answers = [[hold(running.promise), 'first'], 'both', 'both']
    const { app, chat, model } = await begin({ channels, answers })
    await chat.say({ ...group, text: 'begin', from: '1', name: 'Ada' })
    await until(() => model.requests.length, (count) => count === 1)
    await chat.say({ ...group, text: 'I say yes', from: '1', name: 'Ada' })
    await chat.say({ ...group, text: 'I say no', from: '2', name: 'Bob' })
    const waiting = async () => JSON.stringify(await app.json('/api/sessions/tg:group:-1/queue'))
    await until(waiting, (items) => items.includes('I say no'))
    running.resolve()
    await answered(chat, 2, '-1')
    assert.match(lastText(model.requests), /^Ada: I say yes\n+Bob: I say no$/)
    assert.equal(model.requests.length, 2)
  })
})
