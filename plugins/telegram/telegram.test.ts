import assert from 'node:assert/strict'
import { Buffer } from 'node:buffer'
import { join } from 'node:path'
import process from 'node:process'
import { after, afterEach, before, describe, it } from 'node:test'
import { TelegramServer } from 'telegram-test-api/lib/telegramServer.js'
import { type Probe, startProbe } from '../../server/plugins/conformance/probe.ts'
import { currentRuntime } from '../../server/runtime/current.ts'
import { faultsOf } from '../../test/support/channel-plugin.ts'
import { startBotApi } from './bot-api.ts'
import { toHtml } from './format.ts'

const TOKEN = '7:token-of-the-tests'
const RUN = process.versions.deno ? ['run', '-A', '--no-check', '--no-prompt'] : []
const ADA = { id: 42, is_bot: false, first_name: 'Ada', last_name: 'L', username: 'ada' }
const PRIVATE = { id: 42, type: 'private', first_name: 'Ada' }
const FORUM = { id: -100777, type: 'supergroup', title: 'Builds', is_forum: true }

describe('a Telegram bot', () => {
  let telegram: Awaited<ReturnType<typeof startBotApi>>
  let probe: Probe | undefined

  before(async () => (telegram = await startBotApi(TOKEN)))
  afterEach(async () => {
    await probe?.kill()
    probe = undefined
    telegram.clear()
    telegram.setWebhook(undefined)
  })
  after(() => telegram.close())

  async function start(
    { token = TOKEN, root = telegram.url, state = new Map<string, unknown>(), config = {}, publicUrl = '' } = {},
  ) {
    probe = await startProbe({
      runtime: await currentRuntime(),
      command: process.execPath,
      args: [...RUN, join(import.meta.dirname, 'main.ts')],
      env: { PATH: process.env.PATH ?? '', HOME: process.env.HOME ?? '' },
      configure: {
        type: 'configure',
        protocol: 'gatehouse.v1',
        plugin: { id: 'telegram', name: 'Telegram', version: '1.0.0' },
        config: { api_root: root, ...config },
        secrets: { token },
        data_dir: null,
        public_url: publicUrl || null,
      },
      state,
    })
    return probe
  }

  const message = (id: number, more: object, chat: object = PRIVATE) => ({
    message: { message_id: id, date: 1772352900, from: ADA, chat, ...more },
  })

  it('puts a sign below what somebody wrote, and shows in the topic that it types', async () => {
    const plugin = await start()
    await plugin.event('ready')
    const react = (request_id: string, more: object) =>
      plugin.ask({ type: 'set_reaction', request_id, chat_id: '42', message_id: '42/9', ...more })
    await react('X1', { emoji: '👀' })
    await react('X2', { replaces: '👀' })
    await plugin.send({ type: 'send_typing', chat_id: '-100777', duration: 5, thread_id: '3' })
    await plugin.until(() => telegram.calls.some(({ method }) => method === 'sendChatAction') || undefined)
    const told = (method: string) => telegram.calls.filter((call) => call.method === method).map(({ body }) => body)
    assert.deepEqual(told('setMessageReaction'), [
      { chat_id: '42', message_id: 9, reaction: [{ type: 'emoji', emoji: '👀' }] },
      { chat_id: '42', message_id: 9, reaction: [] },
    ])
    assert.deepEqual(told('sendChatAction'), [{ chat_id: '-100777', action: 'typing', message_thread_id: 3 }])
  })

  it('says who it is, and gives a message of a direct chat', async () => {
    const plugin = await start()
    assert.ok(await plugin.event('ready'), plugin.stderr())
    assert.deepEqual(await plugin.event('status'), { type: 'status', connected: true, identity: '@helper_bot' })
    telegram.happen(message(11, { text: 'hello' }))
    assert.deepEqual(await plugin.event('message_received'), {
      type: 'message_received',
      message_id: '42/11',
      chat_id: '42',
      sender: { id: '42', username: 'ada', display_name: 'Ada L' },
      content: { type: 'text', text: 'hello' },
      routing: { channel: 'telegram', chat_type: 'dm', chat_id: '42', sender_id: '42' },
      mentions_bot: true,
      reply_to_bot: false,
      timestamp: '2026-03-01T08:15:00.000Z',
    })
    assert.deepEqual(plugin.problems, [])
  })

  it('tells topics of a forum apart, and when it is meant', async () => {
    const plugin = await start()
    const entities = [{ type: 'mention', offset: 0, length: 11 }]
    telegram.happen(
      message(21, { text: '@Helper_Bot?', entities, message_thread_id: 9, is_topic_message: true }, FORUM),
    )
    const replied = { message_id: 20, date: 0, chat: FORUM, from: { id: 7, is_bot: true, first_name: 'H' } }
    telegram.happen(message(22, { text: 'yes', reply_to_message: replied, message_thread_id: 20 }, FORUM))
    telegram.happen(message(23, { text: 'among us' }, FORUM))
    const took = (id: number) => plugin.event('message_received', (event) => event.message_id === `-100777/${id}`)
    const [mention, reply, talk] = [await took(21), await took(22), await took(23)]
    assert.deepEqual([mention?.routing.thread_id, mention?.mentions_bot], ['9', true])
    assert.deepEqual([reply?.routing.thread_id, reply?.reply_to_bot, reply?.reply_to], [undefined, true, '-100777/20'])
    assert.deepEqual([talk?.mentions_bot, talk?.reply_to_bot, talk?.routing.chat_type], [false, false, 'group'])
  })

  it('takes an album as one: what is meant by one of its pictures is meant by all', async () => {
    const plugin = await start()
    const entities = [{ type: 'mention', offset: 0, length: 11 }]
    const album = (id: number, more: object = {}) =>
      message(id, { photo: [{ file_id: `a${id}`, file_size: 1 }], media_group_id: 'g1', ...more }, FORUM)
    telegram.files.set('a25', Buffer.from('one')).set('a26', Buffer.from('two')).set('a27', Buffer.from('x'))
    telegram.happen(album(25, { caption: '@helper_bot which?', caption_entities: entities }))
    telegram.happen(album(26))
    telegram.happen(album(27, { media_group_id: 'g2' }))
    const took = (id: number) => plugin.event('message_received', (event) => event.message_id === `-100777/${id}`)
    const [first, second, other] = [await took(25), await took(26), await took(27)]
    assert.deepEqual([first, second, other].map((event) => event?.mentions_bot), [true, true, false])
    assert.deepEqual([first, second].map((event) => event?.metadata), [{ media_group_id: 'g1' }, {
      media_group_id: 'g1',
    }])
  })

  it('gives files themselves, for their address has the token in it', async () => {
    const plugin = await start()
    telegram.files.set('f1', Buffer.from('picture'))
    const photo = [{ file_id: 'small', file_size: 10 }, { file_id: 'f1', file_size: 7 }, {
      file_id: 'huge',
      file_size: 9e6,
    }]
    telegram.happen(message(31, { photo, caption: 'look' }))
    telegram.happen(message(32, { document: { file_id: 'big', file_size: 9e6, file_name: 'big.zip' } }))
    const picture = await plugin.event('message_received', (event) => event.message_id === '42/31')
    assert.deepEqual(picture?.content, {
      type: 'media',
      media_type: 'image',
      url: `data:image/jpeg;name=photo.jpg;base64,${Buffer.from('picture').toString('base64')}`,
      caption: 'look',
    })
    const big = await plugin.event('message_received', (event) => event.message_id === '42/32')
    assert.deepEqual(big?.content, { type: 'text', text: '[the file big.zip is larger than 640 KB and was left out]' })
    assert.ok(!JSON.stringify(plugin.events).includes(TOKEN) && !plugin.stderr().includes(TOKEN))
  })

  it('confirms to Telegram only what the core has stored, and goes on there after a stop', async () => {
    const state = new Map<string, unknown>()
    const plugin = await start({ state })
    telegram.happen(message(41, { text: 'before' }))
    await plugin.event('message_received', (event) => event.message_id === '42/41')
    await plugin.event('state_set', ({ key }) => key === 'offset')
    await plugin.kill()
    telegram.happen(message(42, { text: 'meanwhile' }))
    const again = await start({ state })
    const first = await again.event('message_received')
    assert.equal(first?.message_id, '42/42')
  })

  it('begins anew after a week, when Telegram counts from another number', async () => {
    const week = 7 * 24 * 3600_000
    const state = new Map<string, unknown>([['offset', 900_000], ['offset_at', Date.now() - week]])
    const plugin = await start({ state })
    telegram.happen(message(43, { text: 'after a long silence' }))
    assert.equal((await plugin.event('message_received'))?.message_id, '42/43')
    assert.equal((await telegram.called('getUpdates')).body.offset, 0)
  })

  it('takes a webhook away that keeps the messages from it, and loses none that waited', async () => {
    telegram.setWebhook({ url: 'https://elsewhere.example/', secret_token: 'x' })
    telegram.happen(message(44, { text: 'was waiting' }))
    const plugin = await start()
    assert.equal((await plugin.event('message_received'))?.message_id, '42/44')
    assert.deepEqual((await telegram.called('deleteWebhook')).body, { drop_pending_updates: false })
  })

  it('sends formatted text in the topic that it answers, with buttons, and hears of a press', async () => {
    const plugin = await start()
    const answer = await plugin.ask({
      type: 'send_message',
      request_id: 'R1',
      chat_id: '-100777',
      thread_id: '9',
      reply_to: '-100777/21',
      content: 'It is **green** & <fine>',
      inline_keyboard: { rows: [[{ text: 'Yes', callback_data: 'approve:allow_once' }]] },
    })
    assert.equal(answer?.type, 'command_ok')
    const { body } = await telegram.called('sendMessage')
    assert.deepEqual(body, {
      chat_id: '-100777',
      text: 'It is <b>green</b> &amp; &lt;fine&gt;',
      parse_mode: 'HTML',
      message_thread_id: 9,
      reply_parameters: { message_id: 21, allow_sending_without_reply: true },
      reply_markup: { inline_keyboard: [[{ text: 'Yes', callback_data: 'approve:allow_once' }]] },
    })
    telegram.happen({
      callback_query: {
        id: 'cb1',
        from: ADA,
        chat_instance: 'x',
        message: { message_id: 501, date: 0, chat: FORUM },
        data: 'approve:allow_once',
      },
    })
    const pressed = await plugin.event('callback_query')
    assert.deepEqual([pressed?.chat_id, pressed?.message_id, pressed?.sender.id], ['-100777', '-100777/501', '42'])
    await plugin.ask({ type: 'answer_callback_query', request_id: 'R2', callback_query_id: 'cb1', text: 'Done' })
    assert.deepEqual((await telegram.called('answerCallbackQuery')).body, { callback_query_id: 'cb1', text: 'Done' })
    const edited = await plugin.ask({
      type: 'edit_message',
      request_id: 'R3',
      chat_id: '-100777',
      message_id: '-100777/501',
      content: '_red_',
    })
    assert.equal(edited?.type, 'command_ok')
    assert.equal((await telegram.called('editMessageText')).body.text, '<i>red</i>')
  })

  it('sends the words when Telegram refuses their look, and follows a group that moved', async () => {
    const plugin = await start()
    const refused = { ok: false as const, error_code: 400 }
    telegram.prepare('sendMessage', { ...refused, description: "Bad Request: can't parse entities: oops" })
    await plugin.ask({ type: 'send_message', request_id: 'P1', chat_id: '1', content: '**as it is**' })
    await telegram.called('sendMessage', ({ body }) => body.text === '**as it is**' && !body.parse_mode)
    const parameters = { migrate_to_chat_id: -1009 }
    telegram.prepare('sendMessage', { ...refused, description: 'group chat was upgraded', parameters })
    const moved = await plugin.ask({ type: 'send_message', request_id: 'P2', chat_id: '-9', content: 'moved' })
    assert.ok(moved?.type === 'command_ok' && moved.message_id?.startsWith('-1009/'))
  })

  it('tells when to try again, and what is lost for good', async () => {
    const plugin = await start()
    const send = (request_id: string) => plugin.ask({ type: 'send_message', request_id, chat_id: '1', content: 'x' })
    telegram.prepare('sendMessage', {
      ok: false,
      error_code: 429,
      description: 'Too Many Requests: retry after 7',
      parameters: { retry_after: 7 },
    })
    const later = await send('E1')
    assert.ok(later?.type === 'command_error')
    assert.deepEqual([later.code, later.retry_after_ms], ['rate_limited', 7000])
    telegram.prepare('sendMessage', {
      ok: false,
      error_code: 403,
      description: 'Forbidden: bot was blocked by the user',
    })
    const blocked = await send('E2')
    assert.ok(blocked?.type === 'command_error' && blocked.code === 'chat_not_found')
  })

  it('says a message once when the connection breaks before the answer', async () => {
    const plugin = await start()
    const send = (request_id: string) => plugin.ask({ type: 'send_message', request_id, chat_id: '1', content: 'x' })
    assert.equal((await send('L1'))?.type, 'command_ok')
    telegram.lost.add('sendMessage')
    const dark = await send('L2')
    assert.equal(dark?.type === 'command_error' && dark.code, 'not_connected')
    assert.equal(telegram.calls.filter(({ method }) => method === 'sendMessage').length, 2)
  })

  it('ends with a word for the owner when the token is refused', async () => {
    const plugin = await start({ token: '7:wrong' })
    const error = await plugin.event('error')
    assert.deepEqual([error?.code, error?.fatal], ['unauthorized', true])
    assert.ok(!JSON.stringify(plugin.events).includes('7:wrong'))
  })

  it('sends files', async () => {
    const plugin = await start()
    const media = { source: 'base64', data: 'AAAA', mime_type: 'image/png', filename: 'a.png' }
    const sent = await plugin.ask({
      type: 'send_media',
      request_id: 'M1',
      chat_id: '42',
      media,
      caption: 'a **picture**',
    })
    assert.equal(sent?.type, 'command_ok', JSON.stringify(sent))
    const { raw } = await telegram.called('sendPhoto')
    assert.match(raw, /filename="?a\.png/)
    assert.match(raw, /a <b>picture<\/b>/)
  })

  it('passes the conformance kit, also under a server that sends no settings', { timeout: 120_000 }, async () => {
    const env = { TELEGRAM_BOT_TOKEN: TOKEN, TELEGRAM_API_ROOT: telegram.url }
    assert.deepEqual(await faultsOf('telegram', { env }, '42', { bare: true }), [])
  })

  it('sends a caption that is too long as a message of its own', async () => {
    const plugin = await start()
    const media = { source: 'base64', data: 'AAAA', mime_type: 'image/png', filename: 'a.png' }
    const caption = `${'long '.repeat(300)}end`
    await plugin.ask({ type: 'send_media', request_id: 'M2', chat_id: '42', media, caption })
    assert.ok(telegram.calls.some(({ method, body }) => method === 'sendMessage' && String(body.text).endsWith('end')))
  })

  it('talks with another emulation of the platform as well', async () => {
    // It has no way of its own to a free port.
    const server = new TelegramServer({ port: await freePort(), host: '127.0.0.1' })
    await server.start()
    try {
      const root = `http://127.0.0.1:${server.config.port}`
      const plugin = await start({ root })
      const client = server.getClient(TOKEN)
      await client.sendMessage(client.makeMessage('hello from outside'))
      const event = await plugin.event('message_received')
      assert.deepEqual(event?.content, { type: 'text', text: 'hello from outside' })
      const chat_id = event!.chat_id
      await plugin.ask({ type: 'send_message', request_id: 'T1', chat_id, content: 'an answer' })
      const { result } = await client.getUpdates()
      assert.ok(JSON.stringify(result).includes('an answer'))
    } finally {
      await probe?.kill()
      await server.stop()
    }
  })
})

describe('text for Telegram', () => {
  const cases: [string, string][] = [
    ['a < b & c', 'a &lt; b &amp; c'],
    ['# Title', '<b>Title</b>'],
    ['```ts\nlet a = 1 < 2\n```', '<pre><code class="language-ts">let a = 1 &lt; 2</code></pre>'],
    ['[x](https://e.org/?a=1&b=2)', '<a href="https://e.org/?a=1&amp;b=2">x</a>'],
    ['[x](javascript:alert(1))', 'x'],
    ['<script>alert(1)</script>', '&lt;script&gt;alert(1)&lt;/script&gt;'],
    ['- a\n  - b\n- c', '• a\n  ◦ b\n• c'],
    ['~~no~~ *yes*', '<s>no</s> <i>yes</i>'],
  ]
  for (const [markdown, html] of cases) {
    it(`writes ${JSON.stringify(markdown)} as it knows it`, () => assert.equal(toHtml(markdown), html))
  }
})

async function freePort(): Promise<number> {
  const { createServer } = await import('node:net')
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  await new Promise((resolve) => server.close(resolve))
  return port
}
