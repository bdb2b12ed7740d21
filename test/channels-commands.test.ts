import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import process from 'node:process'
import { afterEach, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import { delay, scripted } from '../server/models/providers/scripted.ts'
import type { CommandInfo, CommandResult } from '../shared/openagent.ts'
import type { PluginDetail } from '../shared/plugins.ts'
import { testApp } from './support/app.ts'
import { answered, begin, closeAll, forget, lastText, opened } from './support/channel-app.ts'
import { hostOf, until } from './support/chat-platform.ts'
import { program } from './support/plugins/hosted.ts'

afterEach(closeAll)

const channels = {
  telegram: { allowed_users: ['42', 'guest-*'], allowed_groups: ['-1'], pairing: false, burst_ms: 0 },
}
const env = { PATH: process.env.PATH! }

/** The plugin with commands of `support/plugins/dice.ts` in the home, not accepted yet. */
async function prepare(home: string): Promise<void> {
  const folder = join(home, 'plugins', 'dice')
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, 'main.ts'), `import '${pathToFileURL(program('dice.ts'))}'\n`)
  const manifest = { id: 'dice', name: 'Dice', version: '1.0.0', entry: 'main.ts', runtime: 'node' }
  await writeFile(join(folder, 'plugin.json'), JSON.stringify({ ...manifest, capabilities: ['command'] }))
}

async function withDice() {
  const begun = await begin({ channels, env, prepare })
  const { app } = begun
  const { plugin } = await app.json<{ plugin: PluginDetail }>('/api/plugins/dice')
  await app.json('/api/plugins/dice/enable', { json: { surface_hash: plugin.surface_hash } })
  await until(() => app.plugins.commands().length, (count) => count === 9, 30_000)
  return begun
}

describe('slash commands', () => {
  it('are for those who may write, whole words only, and others are texts', async () => {
    const { chat, model } = await begin()
    await chat.say('/status')
    await answered(chat, 1)
    assert.match(chat.texts()[0]!, /^Idle/)
    await chat.say('/statuses of the world')
    await answered(chat, 2)
    assert.equal(lastText(model.requests), '/statuses of the world')
  })

  it('stop, begin anew, and tell what there is', async () => {
    const { app, chat, model } = await begin({ answers: [[delay(60_000), 'late'], 'Hi again.'] })
    await chat.say('Think')
    await until(() => model.requests.length, (count) => count === 1)
    await chat.say('/stop')
    await answered(chat, 1)
    assert.deepEqual(chat.texts(), ['Stopped.'])
    await chat.say('/new')
    await answered(chat, 2)
    const { messages } = await app.json<{ messages: unknown[] }>('/api/sessions/tg:42/messages')
    assert.deepEqual(messages, [])
    await chat.say('/help')
    await answered(chat, 3)
    assert.match(chat.texts()[2]!, /\/new: /)
    assert.doesNotMatch(chat.texts()[2]!, /\/restart/)
  })

  it('come after what was said before them', async () => {
    const { app, chat } = await begin({
      channels: { telegram: { allowed_users: ['42'], burst_ms: 300 } },
      answers: [[delay(60_000), 'x']],
    })
    await chat.say('one')
    await chat.say('/new')
    await answered(chat, 1)
    await sleep(400)
    assert.deepEqual(chat.texts(), ['The conversation starts anew.'])
    const { messages } = await app.json<{ messages: unknown[] }>('/api/sessions/tg:42/messages')
    assert.deepEqual(messages, [])
  })

  it('of the server itself are not for chats, and choosing a model is for the trusted', async () => {
    const { app, chat, model } = await begin({ channels: { telegram: { allowed_users: ['*', '42'], burst_ms: 0 } } })
    await chat.say({ text: '/restart', from: '42' })
    await answered(chat, 1)
    assert.equal(lastText(model.requests), '/restart')
    assert.deepEqual(app.restarts, [])
    await chat.say({ text: '/model builtin:x', from: '43' })
    await answered(chat, 1, '43')
    assert.match(chat.texts('43')[0]!, /Only people whom my owner trusts/)
  })

  it('meant for another bot of the group are not ours', async () => {
    const { chat } = await begin({ channels: { telegram: { allowed_groups: ['-1'], burst_ms: 0 } } })
    const group = { chat: '-1', type: 'group', from: '1' }
    await chat.say({ ...group, text: '/status@other_bot' })
    await sleep(50)
    assert.deepEqual(chat.shown, [])
    await chat.say({ ...group, text: '/status@our_bot', mention: true })
    await answered(chat, 1, '-1')
    assert.match(chat.texts('-1')[0]!, /^Idle/)
  })
})

describe('commands of plugins in a chat', { timeout: 240_000 }, () => {
  it('are answered by the plugin without the model, and listed in /help', async () => {
    const { chat, model } = await withDice()
    await chat.say({ text: '/roll2 3 times', id: '7' })
    await answered(chat, 1)
    assert.deepEqual(chat.shown.map(({ text, reply_to }) => [text, reply_to]), [['rolled 3 times for 42', '7']])
    await chat.say('/help')
    await answered(chat, 2)
    assert.match(chat.texts()[1]!, /^\/roll2: Rolls dice$/m)
    assert.match(chat.texts()[1]!, /^\/lamp: Switches a lamp$/m)
    assert.doesNotMatch(chat.texts()[1]!, /Not theirs/)
    assert.equal(model.requests.length, 0)
  })

  it('tell the plugin where and by whom they were given', async () => {
    const { chat } = await withDice()
    await chat.say({ text: '/where', id: '8', chat: '-1', type: 'supergroup', thread: '5', name: 'Ada' })
    await answered(chat, 1, '-1')
    assert.deepEqual(JSON.parse(chat.texts('-1')[0]!), {
      handle: 'owner',
      session_id: 'tg:group:-1:thread:5',
      channel: 'telegram',
      chat_type: 'supergroup',
      chat_id: '-1',
      thread_id: '5',
      message_id: '8',
      sender_id: '42',
      sender_name: 'Ada',
      trusted: 'true',
    })
  })

  it('reach no plugin from somebody who may not write, and only from trusted people when they do something', async () => {
    const { app, chat } = await withDice()
    await chat.say({ text: '/roll2 now', from: '99' })
    await chat.say({ text: '/lamp on', from: 'guest-1' })
    await answered(chat, 1, 'guest-1')
    assert.match(chat.texts('guest-1')[0]!, /^Only people whom my owner trusts/)
    await chat.say({ text: '/roll2 once', from: 'guest-1' })
    await answered(chat, 2, 'guest-1')
    assert.equal(chat.texts('guest-1')[1], 'rolled once for guest-1')
    await chat.say({ text: '/help', from: 'guest-1' })
    await answered(chat, 3, 'guest-1')
    assert.match(chat.texts('guest-1')[2]!, /\/roll2/)
    assert.doesNotMatch(chat.texts('guest-1')[2]!, /\/lamp/)
    await chat.say('/lamp on')
    await answered(chat, 1)
    assert.deepEqual(chat.texts(), ['the lamp is on'])
    assert.deepEqual(chat.texts('99'), [])
    const { sessions } = await app.json<{ sessions: unknown[] }>('/api/sessions')
    assert.deepEqual(sessions, [])
  })

  it('do not take the names of ours', async () => {
    const { app, chat, model } = await withDice()
    await chat.say('/status')
    await chat.say('/approve')
    await answered(chat, 2)
    assert.deepEqual(chat.texts().sort(), ['Idle. 0 waiting. 1 conversation.', 'Nothing waits for an answer here.'])
    await chat.say('/restart')
    await answered(chat, 3)
    assert.equal(lastText(model.requests), '/restart')
    assert.equal(app.restarts.length, 0)
  })

  it('are split where they say more than fits into a message', async () => {
    const { chat } = await withDice()
    await chat.say('/long')
    await answered(chat, 2)
    assert.equal(chat.texts().join(' '), 'many words '.repeat(600).trim())
    assert.ok(chat.texts().every((text) => text.length <= 4096))
  })

  it('that hang or end the plugin are told of, and hold no conversation up', async () => {
    const { chat } = await withDice()
    await chat.say('/hang')
    await chat.say('Hello')
    await answered(chat, 1)
    assert.deepEqual(chat.texts(), ['Hello'])
    await chat.say('/die')
    await answered(chat, 3)
    assert.ok(
      chat.texts().slice(1).every((text) =>
        text === 'The plugin dice could not do this: The plugin dice ended. Whether it did something is not known.'
      ),
      chat.texts().join('\n'),
    )
  })

  it('stay commands when the server ends before their plugin answered', async () => {
    const first = await withDice()
    await first.chat.say('/hang')
    await first.app.stop()
    forget()
    first.chat.leave()
    const model = scripted()
    await writeFile(join(first.home, 'plugins', 'dice', 'plugin.json'), '{}')
    opened(await testApp({ home: first.home, model, env, gateways: hostOf(first.chat) }))
    await answered(first.chat, 1)
    assert.deepEqual(first.chat.texts(), ['The plugin dice does not run at the moment. Try again later.'])
    assert.equal(model.requests.length, 0)
  })

  it('are commands of every other client too', async () => {
    const { app } = await withDice()
    const { commands } = await app.json<{ commands: CommandInfo[] }>('/api/commands')
    const offered = commands.filter(({ plugin }) => plugin === 'dice')
    assert.deepEqual(offered.map(({ name }) => name), ['roll2', 'where', 'lamp', 'long', 'hang', 'die'])
    const run = (name: string, more: object = {}) =>
      app.json<CommandResult>(`/api/commands/${name}`, { json: { session_id: 's', arg: 'twice' }, ...more })
    assert.equal((await run('roll2')).text, 'rolled twice for owner')
    const { secret } = await app.json<{ secret: string }>('/api/keys', { json: { name: 'k', scopes: ['read'] } })
    await run('roll2', { token: secret, status: 403 })
    await run('die', { status: 502 })
  })
})
