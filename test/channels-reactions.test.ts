import assert from 'node:assert/strict'
import { afterEach, describe, it } from 'node:test'
import { delay, hold, scripted, toolCall } from '../server/models/providers/scripted.ts'
import { GatewayError } from '../server/plugins/gateway.ts'
import { testApp } from './support/app.ts'
import { answered, begin, closeAll, forget, opened } from './support/channel-app.ts'
import { ALL, chatPlatform, hostOf, until } from './support/chat-platform.ts'

afterEach(closeAll)

const settings = (ack_reaction: string) => ({ telegram: { allowed_users: ['42'], burst_ms: 0, ack_reaction } })
const reacting = () => [chatPlatform('telegram', [...ALL, 'reactions'])]
type Chat = Awaited<ReturnType<typeof begin>>['chat']
const signs = (chat: Chat, count: number) =>
  until(
    () => chat.reactions.map(({ message_id, emoji, replaces }) => [message_id, emoji, replaces]),
    (list) => list.length >= count,
  )

describe('reactions', () => {
  it('are not set unless the owner wants them, nor where the platform has none', async () => {
    const quiet = await begin({ platforms: reacting() })
    await quiet.chat.say('Hello')
    await answered(quiet.chat, 1)
    const without = await begin({ channels: settings('all') })
    await without.chat.say('Hello')
    await answered(without.chat, 1)
    assert.deepEqual([quiet.chat.reactions, without.chat.reactions], [[], []])
  })

  it('stand below a message while it is worked on, and go with the answer', async () => {
    const working = Promise.withResolvers<void>()
    const { chat } = await begin({
      platforms: reacting(),
      channels: settings('working'),
      answers: [[hold(working.promise), 'Done.']],
    })
    await chat.say({ text: 'Work', id: '7' })
    assert.deepEqual(await signs(chat, 1), [['7', '👀', undefined]])
    assert.deepEqual(chat.texts(), [])
    working.resolve()
    assert.deepEqual(await signs(chat, 2), [['7', '👀', undefined], ['7', undefined, '👀']])
    await answered(chat, 1)
  })

  it('tell how it ended: done, failed, or stopped by a person', async () => {
    const { chat, model } = await begin({
      platforms: reacting(),
      channels: settings('all'),
      answers: ['Fine.', [delay(20_000), 'late']],
    })
    await chat.say({ text: 'Work', id: '1' })
    assert.deepEqual((await signs(chat, 2)).at(-1), ['1', '👍', '👀'])
    await chat.say({ text: 'Think', id: '2' })
    await until(() => model.requests.length, (count) => count === 2)
    await signs(chat, 3)
    await chat.say({ text: '/stop', id: '3' })
    assert.deepEqual((await signs(chat, 4)).at(-1), ['2', undefined, '👀'])
    await chat.say({ text: 'fail: auth', id: '4' })
    assert.deepEqual((await signs(chat, 6)).at(-1), ['4', '😢', '👀'])
  })

  it('of a question that waits for a yes stay, also over a restart', async () => {
    const platforms = reacting()
    const write = toolCall('notes.create', { path: 'a.md', content: 'x' })
    const first = await begin({ platforms, channels: settings('working'), answers: [write] })
    await first.chat.say({ text: 'Write', id: '5' })
    await answered(first.chat, 1)
    await signs(first.chat, 1)
    await first.app.stop()
    forget()
    first.chat.leave()
    opened(await testApp({ home: first.home, model: scripted(['Written.']), gateways: hostOf(...platforms) }))
    await first.chat.say('/approve')
    await until(() => first.chat.texts(), (texts) => texts.includes('Written.'))
    assert.deepEqual((await signs(first.chat, 3)).at(-1), ['5', undefined, '👀'])
  })

  it('that a platform refuses harm nothing, and those that a channel missed are made up for', async () => {
    const { chat } = await begin({
      platforms: reacting(),
      channels: settings('all'),
      answers: ['one', [delay(300), 'two'], 'three'],
    })
    chat.before((body) => {
      if (body.type === 'set_reaction') throw new GatewayError('forbidden', 'no reactions here')
    })
    await chat.say({ text: '1', id: '1' })
    await answered(chat, 1)
    chat.before(() => {})
    await chat.say({ text: '2', id: '2' })
    await signs(chat, 1)
    chat.turn('backoff')
    await until(() => chat.gateway.state, (state) => state === 'backoff')
    await chat.say({ text: '3', id: '3' })
    chat.turn('ready')
    await answered(chat, 3)
    await until(
      () => new Map(chat.reactions.map(({ message_id, emoji }) => [message_id, emoji])),
      (last) => last.get('2') === '👍' && last.get('3') === '👍',
    )
    assert.ok(chat.reactions.every(({ message_id }) => message_id !== '1'))
  })
})

describe('typing', () => {
  it('is shown in the thread in which somebody waits', async () => {
    const { chat } = await begin({ channels: { telegram: { allowed_groups: ['-1'], burst_ms: 0 } } })
    await chat.say({ text: 'Hello', chat: '-1', type: 'group', thread: '9', mention: true })
    await answered(chat, 1, '-1')
    assert.deepEqual([...chat.typedIn], ['9'])
  })

  it('is shown again and again, for platforms take the sign away, until the answer is there', async () => {
    const { promise, resolve } = Promise.withResolvers<void>()
    const { chat } = await begin({ answers: [[hold(promise), 'Done.']] })
    await chat.say('Think')
    await until(() => chat.typed(), (times) => times > 2)
    resolve()
    await answered(chat, 1)
  })
})
