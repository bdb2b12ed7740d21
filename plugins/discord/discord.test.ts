import assert from 'node:assert/strict'
import { Buffer } from 'node:buffer'
import { after, afterEach, before, describe, it } from 'node:test'
import type { Probe } from '../../server/plugins/conformance/probe.ts'
import { faultsOf, startPlugin } from '../../test/support/channel-plugin.ts'
import { startDiscord } from './discord-server.ts'

const TOKEN = 'token.of-the.tests'
const ROOM = '100'
const THREAD = '200'
const DIRECT = '300'
const HIDDEN_THREAD = '250'

const send = (request_id: string, chat_id: string, content: string, more: object = {}) => ({
  type: 'send_message',
  request_id,
  chat_id,
  content,
  ...more,
})

describe('Discord', () => {
  let discord: Awaited<ReturnType<typeof startDiscord>>
  let probe: Probe | undefined

  before(async () => {
    discord = await startDiscord(TOKEN)
    discord.channel({ id: ROOM, type: 0, guild_id: '900' })
    discord.channel({ id: THREAD, type: 11, guild_id: '900', parent_id: ROOM })
    discord.channel({ id: HIDDEN_THREAD, type: 12, guild_id: '900', parent_id: ROOM, hidden: true })
    discord.channel({ id: DIRECT, type: 1 })
  })
  afterEach(async () => {
    await probe?.kill()
    probe = undefined
    discord.prepared.length = 0
    discord.refuse(undefined)
  })
  after(() => discord.close())

  const settings = (config: object = {}) => ({
    config: { api_root: `${discord.url}/api`, ...config },
    secrets: { token: TOKEN },
  })
  /** Started, and hearing. */
  async function start(more: Parameters<typeof startPlugin>[1] = {}): Promise<Probe> {
    probe = await startPlugin('discord', { ...settings(), ...more })
    assert.ok(await probe.event('status', ({ connected }) => connected, 20_000), probe.stderr())
    await probe.event('state_set', ({ key }) => key === 'read')
    return probe
  }
  const said = (plugin: Probe, text: string) =>
    plugin.event('message_received', ({ content }) => content.type === 'text' && content.text === text)
  const idOf = (answer: Awaited<ReturnType<Probe['ask']>>) =>
    answer?.type === 'command_ok' ? answer.message_id ?? '' : JSON.stringify(answer)
  const codeOf = (answer: Awaited<ReturnType<Probe['ask']>>) => answer?.type === 'command_error' ? answer.code : answer

  it('says who it is, and tells direct messages, servers and threads apart', async () => {
    const plugin = await start()
    assert.equal((await plugin.event('status'))?.identity, 'helper#0420')
    discord.write(DIRECT, 'hello')
    const direct = await said(plugin, 'hello')
    assert.deepEqual(
      [direct?.chat_id, direct?.routing.chat_type, direct?.sender, direct?.routing.thread_id],
      [DIRECT, 'dm', { id: '42', username: 'ada', display_name: 'Ada L' }, undefined],
    )
    const number = discord.write(ROOM, 'among us <:party:5> <@43>', { mentions: [{ id: '43', username: 'bob' }] })
    const room = await said(plugin, 'among us :party: @bob')
    assert.deepEqual(
      [room?.message_id, room?.chat_id, room?.routing.chat_type, room?.routing.guild_id, room?.mentions_bot],
      [`${ROOM}/${number}`, ROOM, 'group', '900', false],
    )
    assert.equal(room?.timestamp, '2026-03-01T08:15:00.000Z')
    for (
      const [place, text] of [[THREAD, 'in the thread'], [HIDDEN_THREAD, 'in a thread that is not listed']] as const
    ) {
      discord.write(place, text)
      const message = await said(plugin, text)
      assert.deepEqual([message?.chat_id, message?.routing.thread_id], [ROOM, place])
    }
    assert.deepEqual(plugin.problems, [])
  })

  it('hears when it is mentioned or answered, and passes over bots and news', async () => {
    const plugin = await start()
    discord.write(ROOM, '<@700> is it green?', { mentions: [{ id: '700', username: 'helper' }] })
    assert.equal((await said(plugin, 'is it green?'))?.mentions_bot, true)
    discord.write(ROOM, 'a role <@&901>', { mention_roles: ['901'] })
    assert.equal((await said(plugin, 'a role <@&901>'))?.mentions_bot, true)
    const sent = idOf(await plugin.ask(send('R1', ROOM, 'It is.')))
    discord.write(ROOM, 'why?', { type: 19, referenced_message: { id: sent.split('/')[1], author: { id: '700' } } })
    const answer = await said(plugin, 'why?')
    assert.deepEqual([answer?.reply_to, answer?.reply_to_bot], [sent, true])
    discord.write(ROOM, 'from a bot', { author: { id: '44', username: 'other', bot: true } })
    discord.write(ROOM, 'from a webhook', { webhook_id: '45' })
    discord.write(ROOM, 'has joined', { type: 7 })
    discord.write(ROOM, 'the last')
    await said(plugin, 'the last')
    assert.ok(!JSON.stringify(plugin.events).match(/from a|has joined/))
  })

  it('answers in the thread, calls nobody, edits, deletes, and shows typing where somebody wrote', async () => {
    const plugin = await start()
    const number = discord.write(THREAD, 'in here')
    await said(plugin, 'in here')
    const message_id = idOf(
      await plugin.ask(send('T1', ROOM, '**green** @everyone', { thread_id: THREAD, reply_to: `${THREAD}/${number}` })),
    )
    const sent = discord.messages.at(-1)!
    assert.deepEqual(
      [sent.channel_id, sent.content, sent.allowed_mentions, sent.enforce_nonce, sent.message_reference],
      [THREAD, '**green** @everyone', { parse: [], replied_user: false }, true, {
        message_id: number,
        fail_if_not_exists: false,
      }],
    )
    assert.ok(String(sent.nonce).length <= 25)
    await plugin.ask({ type: 'edit_message', request_id: 'T2', chat_id: ROOM, message_id, content: 'red' })
    const edit = await discord.called('PATCH', `/channels/${message_id.replace('/', '/messages/')}`)
    assert.deepEqual(edit.body, {
      content: 'red',
      components: [],
      allowed_mentions: { parse: [], replied_user: false },
    })
    await plugin.ask({ type: 'delete_message', request_id: 'T3', chat_id: ROOM, message_id })
    await discord.called('DELETE', `/channels/${message_id.replace('/', '/messages/')}`)
    await plugin.send({ type: 'send_typing', chat_id: ROOM, duration: 5 })
    await discord.called('POST', `/channels/${THREAD}/typing`)
    await plugin.ask(send('T4', ROOM, 'elsewhere', { reply_to: `${THREAD}/${number}` }))
    assert.equal(discord.messages.at(-1)!.message_reference, undefined)
  })

  it('splits at 2000 characters, which emoji are one of, and keeps fences', async () => {
    const plugin = await start()
    const before = discord.messages.length
    await plugin.ask(send('L0', DIRECT, '🙂'.repeat(2000)))
    assert.equal(discord.messages.length, before + 1)
    await plugin.ask(send('L1', DIRECT, `\`\`\`ts\n${'const x = 1\n'.repeat(300)}\`\`\``))
    const pieces = discord.messages.slice(before + 1).map(({ content }) => String(content))
    assert.equal(pieces.length, 2)
    for (const piece of pieces) {
      assert.ok(piece.length <= 2000)
      assert.match(piece, /^```ts\n[^`]*\n```$/)
    }
  })

  it('shows a message once, also when it is repeated to another process', async () => {
    const before = discord.messages.length
    const first = await start()
    const id = idOf(await first.ask(send('01KHW3Q7M8ZB4T5R6Y7A8C9D0E', DIRECT, 'only once')))
    await first.kill()
    const second = await start()
    assert.equal(idOf(await second.ask(send('01KHW3Q7M8ZB4T5R6Y7A8C9D0E', DIRECT, 'only once'))), id)
    assert.equal(discord.messages.length, before + 1)
  })

  it('gives files themselves, each as a message, and sends files', async () => {
    const plugin = await start()
    discord.files.set('cat.png', Buffer.from('picture'))
    const file = {
      id: '1',
      url: `${discord.url}/files/cat.png`,
      filename: 'cat.png',
      size: 7,
      content_type: 'image/png',
    }
    const big = { ...file, id: '2', filename: 'big.zip', size: 9e6, content_type: 'application/zip' }
    const number = discord.write(DIRECT, 'look', { attachments: [file, big] })
    const took = (id: string) => plugin.event('message_received', ({ message_id }) => message_id === id)
    assert.deepEqual((await took(`${DIRECT}/${number}`))?.content, {
      type: 'media',
      media_type: 'image',
      url: `data:image/png;name=cat.png;base64,${Buffer.from('picture').toString('base64')}`,
      caption: 'look',
    })
    assert.deepEqual((await took(`${DIRECT}/${number}#2`))?.content, {
      type: 'media',
      media_type: 'document',
      caption: '[the file big.zip is larger than 640 KB and was left out]',
    })
    const media = { source: 'base64', data: 'aGVsbG8=', mime_type: 'text/plain', filename: 'hello.txt' }
    const sent = await plugin.ask({ type: 'send_media', request_id: 'M1', chat_id: DIRECT, media, caption: 'here' })
    assert.match(idOf(sent), /^300\/\d+$/)
    const { raw, body } = discord.calls.findLast(({ path }) => path === `/channels/${DIRECT}/messages`)!
    assert.match(raw, /filename="hello\.txt"[^]*\r\n\r\nhello\r\n/)
    assert.deepEqual([body.content, body.allowed_mentions], ['here', { parse: [], replied_user: false }])
  })

  it('sets a sign below a message in place of the one before', async () => {
    const plugin = await start()
    const react = (request_id: string, more: object) =>
      plugin.ask({ type: 'set_reaction', request_id, chat_id: ROOM, message_id: `${THREAD}/77`, ...more })
    await react('X1', { emoji: '👀' })
    await react('X2', { emoji: '👍', replaces: '👀' })
    await react('X3', { replaces: '👍' })
    const calls = discord.calls.filter(({ path }) => path.includes('/reactions/'))
    const reactions = `/channels/${THREAD}/messages/77/reactions`
    assert.deepEqual(calls.map(({ method, path }) => `${method} ${path}`), [
      `PUT ${reactions}/👀/@me`,
      `DELETE ${reactions}/👀/@me`,
      `PUT ${reactions}/👍/@me`,
      `DELETE ${reactions}/👍/@me`,
    ])
  })

  it('shows buttons, acknowledges a pressed one at once, and says a word about it', async () => {
    const plugin = await start()
    const row = ['a', 'b', 'c', 'd', 'e', 'f'].map((name) => ({ text: name, callback_data: `ask:${name}` }))
    const message_id = idOf(
      await plugin.ask(send('B1', ROOM, 'which?', { thread_id: THREAD, inline_keyboard: { rows: [row] } })),
    )
    const components = discord.messages.at(-1)!.components as { components: { custom_id: string }[] }[]
    assert.deepEqual(components.map(({ components }) => components.length), [5, 1])
    discord.dispatch('INTERACTION_CREATE', {
      id: '8001',
      application_id: '701',
      type: 3,
      token: 'interaction-token',
      guild_id: '900',
      channel_id: THREAD,
      channel: { id: THREAD, type: 11, parent_id: ROOM },
      member: { user: { id: '42', username: 'ada', global_name: 'Ada L' }, nick: null },
      message: { id: message_id.split('/')[1] },
      data: { component_type: 2, custom_id: 'ask:b' },
    })
    assert.deepEqual((await discord.called('POST', '/interactions/8001/')).body, { type: 6 })
    const pressed = await plugin.event('callback_query')
    assert.deepEqual(
      [pressed?.chat_id, pressed?.message_id, pressed?.data, pressed?.sender.id],
      [ROOM, message_id, 'ask:b', '42'],
    )
    await plugin.ask({ type: 'answer_callback_query', request_id: 'B2', callback_query_id: '8001', text: 'Allowed' })
    const word = await discord.called('POST', '/webhooks/701/interaction-token')
    assert.deepEqual([word.body.content, word.body.flags], ['Allowed', 64])
    const long = { rows: [[{ text: 'x', callback_data: 'x'.repeat(101) }]] }
    assert.equal(codeOf(await plugin.ask(send('B3', ROOM, 'x', { inline_keyboard: long }))), 'invalid_request')
  })

  it('lists slash commands once, and takes a used one as a message', async () => {
    const state = new Map<string, unknown>()
    const from = discord.calls.length
    const plugin = await start({ state })
    const { list } = (await discord.called('PUT', '/applications/701/commands', from)).body
    const names = (list as { name: string }[]).map(({ name }) => name)
    for (const name of ['new', 'stop', 'status', 'help', 'model']) assert.ok(names.includes(name))
    discord.dispatch('INTERACTION_CREATE', {
      id: '8002',
      application_id: '701',
      type: 2,
      token: 'interaction-token',
      channel_id: DIRECT,
      channel: { id: DIRECT, type: 1 },
      user: { id: '42', username: 'ada', global_name: 'Ada L' },
      data: { id: '1', type: 1, name: 'model', options: [{ name: 'arg', type: 3, value: 'large' }] },
    })
    const reply = await discord.called('POST', '/interactions/8002/')
    assert.deepEqual((reply.body.data as { flags: number }).flags, 64)
    const message = await said(plugin, '/model large')
    assert.deepEqual(
      [message?.chat_id, message?.routing.chat_type, message?.sender.username, message?.mentions_bot],
      [DIRECT, 'dm', 'ada', true],
    )
    await plugin.kill()
    await start({ state })
    assert.equal(discord.calls.slice(from).filter(({ method }) => method === 'PUT').length, 1)
  })

  it('takes up its session after a break and after a restart', { timeout: 60_000 }, async () => {
    const state = new Map<string, unknown>()
    const first = await start({ state })
    discord.cut()
    assert.ok(await first.event('status', ({ connected }) => !connected))
    const broken = first.events.length
    discord.write(ROOM, 'during the break')
    assert.ok(await first.event('status', ({ connected }) => connected, 20_000, broken))
    const message = await said(first, 'during the break')
    await first.event('state_set', ({ key }) => key === 'read', undefined, first.events.indexOf(message!))
    await first.kill()
    discord.write(ROOM, 'while it was gone')
    const identified = discord.identified.length
    probe = await startPlugin('discord', { ...settings(), state })
    assert.ok(await said(probe, 'while it was gone'))
    assert.equal(discord.identified.length, identified)
    assert.ok(!JSON.stringify(probe.events).includes('during the break'))
  })

  it('reads what it missed in known channels when its session is gone', { timeout: 60_000 }, async () => {
    const state = new Map<string, unknown>()
    const first = await start({ state })
    for (const [place, text] of [[THREAD, 'before'], [DIRECT, 'before too']] as const) {
      discord.write(place, text)
      const message = await said(first, text)
      await first.event('state_set', ({ key }) => key === 'read', undefined, first.events.indexOf(message!))
    }
    await first.kill()
    for (let i = 1; i <= 150; i++) discord.write(THREAD, `missed ${i}`)
    discord.write(DIRECT, 'missed here')
    discord.forget()
    const second = await start({ state })
    await said(second, 'missed here')
    const texts = second.events.flatMap((event) =>
      event.type === 'message_received' && event.content.type === 'text' && event.chat_id === ROOM
        ? [event.content.text]
        : []
    )
    assert.deepEqual(texts, Array.from({ length: 150 }, (_, i) => `missed ${i + 1}`))
  })

  it('tells when to try again, and what is lost', async () => {
    const plugin = await start()
    discord.prepared.push({
      method: 'POST',
      path: `/channels/${DIRECT}/messages`,
      status: 429,
      headers: { 'retry-after': '7', 'x-ratelimit-scope': 'user' },
      body: { message: 'You are being rate limited.', retry_after: 7, global: false },
    })
    const slow = await plugin.ask(send('E1', DIRECT, 'x'))
    assert.equal(codeOf(slow), 'rate_limited')
    const wait = slow?.type === 'command_error' ? slow.retry_after_ms ?? 0 : 0
    assert.ok(wait >= 6900 && wait <= 8000, String(wait))
    assert.equal(codeOf(await plugin.ask(send('E2', '404404', 'x'))), 'chat_not_found')
    assert.equal(codeOf(await plugin.ask(send('E3', '../users/@me', 'x'))), 'chat_not_found')
    discord.prepared.push({
      method: 'POST',
      path: `/channels/${ROOM}/messages`,
      status: 403,
      body: { code: 50013, message: 'Missing Permissions' },
    })
    assert.equal(codeOf(await plugin.ask(send('E4', ROOM, 'x'))), 'forbidden')
    const edit = { type: 'edit_message', request_id: 'E5', chat_id: ROOM, message_id: '811', content: 'x' }
    assert.equal(codeOf(await plugin.ask(edit)), 'message_not_found')
  })

  it('ends when its token is refused, or it may not read, in words for the owner', { timeout: 60_000 }, async () => {
    for (const token of ['wrong-secret', 'wrong secret\n!']) {
      probe = await startPlugin('discord', { ...settings(), secrets: { token } })
      const error = await probe.event('error')
      assert.deepEqual([error?.code, error?.fatal], ['unauthorized', true])
      assert.ok(!(JSON.stringify(probe.events) + probe.stderr()).includes('wrong'))
      await probe.kill()
    }
    discord.refuse(4014)
    probe = await startPlugin('discord', settings())
    const error = await probe.event('error')
    assert.deepEqual([error?.code, error?.fatal], ['forbidden', true])
    assert.match(error!.message, /Message Content Intent/)
    assert.ok(!(JSON.stringify(probe.events) + probe.stderr()).includes(TOKEN))
  })

  it('gets ready while Discord is out of reach', async () => {
    probe = await startPlugin('discord', { config: { api_root: 'http://127.0.0.1:9/api' }, secrets: { token: TOKEN } })
    assert.ok(await probe.event('ready'))
    assert.equal((await probe.event('status'))?.connected, false)
    assert.equal(codeOf(await probe.ask(send('R1', DIRECT, 'x'))), 'not_connected')
    assert.ok(!(JSON.stringify(probe.events) + probe.stderr()).includes(TOKEN))
  })

  it('passes the conformance kit, also under a server that sends no settings', { timeout: 120_000 }, async () => {
    const env = { DISCORD_BOT_TOKEN: TOKEN, DISCORD_API_ROOT: `${discord.url}/api` }
    assert.deepEqual(await faultsOf('discord', { env }, DIRECT, { bare: true }), [])
  })
})
