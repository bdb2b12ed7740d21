import assert from 'node:assert/strict'
import { Buffer } from 'node:buffer'
import { after, afterEach, before, describe, it } from 'node:test'
import type { Probe } from '../../server/plugins/conformance/probe.ts'
import { faultsOf, startPlugin } from '../../test/support/channel-plugin.ts'
import { startHomeserver } from './homeserver.ts'
import { toHtml } from './html.ts'

const TOKEN = 'token-of-the-tests'
const ME = '@helper:example.org'
const ADA = '@ada:example.org'
const ROOM = '!build:example.org'
const DIRECT = '!direct:example.org'

const send = (request_id: string, chat_id: string, content: string, more: object = {}) => ({
  type: 'send_message',
  request_id,
  chat_id,
  content,
  ...more,
})

describe('Matrix', () => {
  let matrix: Awaited<ReturnType<typeof startHomeserver>>
  let probe: Probe | undefined

  before(async () => {
    matrix = await startHomeserver({ token: TOKEN, me: ME })
    matrix.room(ROOM, { [ADA]: 'Ada', '@bob:example.org': 'Bob' })
    matrix.room(DIRECT, { [ADA]: 'Ada' })
  })
  afterEach(async () => {
    await probe?.kill()
    probe = undefined
    matrix.setLimit(100)
    matrix.prepared.length = 0
  })
  after(() => matrix.close())

  const settings = () => ({ config: { homeserver: matrix.url }, secrets: { access_token: TOKEN } })
  /** Started, and reading. */
  async function start(more: Parameters<typeof startPlugin>[1] = {}): Promise<Probe> {
    probe = await startPlugin('matrix', { ...settings(), ...more })
    await probe.event('state_set', ({ key }) => key === 'since', 3000)
    return probe
  }
  const said = (plugin: Probe, text: string) =>
    plugin.event('message_received', ({ content }) => content.type === 'text' && content.text === text)

  it('says who it is, and tells direct chats, rooms, threads and answers apart', async () => {
    matrix.happen(ROOM, ADA, { msgtype: 'm.text', body: 'from before the first start' })
    const plugin = await start()
    assert.equal((await plugin.event('status'))?.identity, ME)
    matrix.happen(DIRECT, ADA, { msgtype: 'm.text', body: 'hello' })
    const direct = await said(plugin, 'hello')
    assert.deepEqual(
      [direct?.chat_id, direct?.routing.chat_type, direct?.sender],
      [DIRECT, 'dm', { id: ADA, username: ADA, display_name: 'Ada' }],
    )
    assert.equal(direct?.timestamp?.slice(0, 16), '2026-03-01T08:15')
    const root = matrix.happen(ROOM, ADA, { msgtype: 'm.text', body: 'among us' })
    const group = await said(plugin, 'among us')
    assert.deepEqual([group?.routing.chat_type, group?.mentions_bot], ['group', false])
    matrix.happen(ROOM, ADA, {
      msgtype: 'm.text',
      body: 'Helper: green?',
      'm.mentions': { user_ids: [ME] },
      'm.relates_to': {
        rel_type: 'm.thread',
        event_id: root,
        is_falling_back: true,
        'm.in_reply_to': { event_id: root },
      },
    })
    const thread = await said(plugin, 'Helper: green?')
    assert.deepEqual([thread?.routing.thread_id, thread?.mentions_bot, thread?.reply_to], [root, true, undefined])
    const texts = plugin.events.flatMap((event) => event.type === 'message_received' ? [event.content] : [])
    assert.ok(!JSON.stringify(texts).includes('before the first start'))
    assert.deepEqual(plugin.problems, [])
  })

  it('hears that an answer is to what it said, without the quotation, and leaves out edits and notices', async () => {
    const plugin = await start()
    const sent = await plugin.ask(send('R1', ROOM, 'Build is **green**.'))
    const message_id = sent?.type === 'command_ok' ? sent.message_id! : ''
    matrix.happen(ROOM, ADA, {
      msgtype: 'm.text',
      body: '> <@helper:example.org> Build is green.\n\nwhy?',
      'm.relates_to': { 'm.in_reply_to': { event_id: message_id } },
    })
    const answer = await said(plugin, 'why?')
    assert.deepEqual([answer?.reply_to, answer?.reply_to_bot], [message_id, true])
    matrix.happen(ROOM, ADA, { msgtype: 'm.notice', body: 'a notice' })
    matrix.happen(ROOM, ADA, {
      msgtype: 'm.text',
      body: '* why not?',
      'm.relates_to': { rel_type: 'm.replace', event_id: 'x' },
    })
    matrix.happen(ROOM, ADA, { msgtype: 'm.text', body: 'the last' })
    await said(plugin, 'the last')
    assert.ok(!JSON.stringify(plugin.events).match(/a notice|why not/))
  })

  it('sends formatted text into the thread, edits it, deletes it, and shows typing', async () => {
    const plugin = await start()
    const sent = await plugin.ask(
      send('F1', ROOM, 'It is **green** <b>', { thread_id: '$root:example.org', reply_to: '$q:example.org' }),
    )
    assert.equal(sent?.type, 'command_ok')
    const { content } = matrix.sent(ROOM).at(-1)!
    assert.equal(content.formatted_body, '<p>It is <strong>green</strong> &lt;b&gt;</p>')
    assert.deepEqual(content['m.relates_to'], {
      rel_type: 'm.thread',
      event_id: '$root:example.org',
      is_falling_back: false,
      'm.in_reply_to': { event_id: '$q:example.org' },
    })
    const message = { chat_id: ROOM, message_id: sent?.type === 'command_ok' ? sent.message_id : '' }
    await plugin.ask({ type: 'edit_message', request_id: 'F2', ...message, content: 'It is red' })
    const edit = matrix.sent(ROOM).at(-1)!.content as Record<string, unknown>
    assert.deepEqual(edit['m.relates_to'], { rel_type: 'm.replace', event_id: message.message_id })
    assert.equal((edit['m.new_content'] as { body: string }).body, 'It is red')
    await plugin.ask({ type: 'delete_message', request_id: 'F3', ...message })
    await plugin.send({ type: 'send_typing', chat_id: ROOM, duration: 5 })
    assert.deepEqual((await matrix.called('/typing/')).body, { typing: true, timeout: 5000 })
    assert.ok(matrix.calls.some(({ path }) => path.includes('/redact/')))
  })

  it('does a command once, also when it is repeated to another process', async () => {
    const before = matrix.sent(DIRECT).length
    const first = await start()
    await first.ask(send('SAME', DIRECT, 'only once'))
    await first.kill()
    const second = await start()
    await second.ask(send('SAME', DIRECT, 'only once'))
    assert.equal(matrix.sent(DIRECT).length, before + 1)
  })

  it('reads on where the core has everything, and fills what a long absence left out', async () => {
    const state = new Map<string, unknown>()
    const first = await start({ state })
    matrix.happen(ROOM, ADA, { msgtype: 'm.text', body: 'while it runs' })
    const message = await said(first, 'while it runs')
    await first.event('state_set', undefined, undefined, first.events.indexOf(message!))
    await first.kill()
    matrix.setLimit(2)
    for (let i = 1; i <= 7; i++) matrix.happen(ROOM, ADA, { msgtype: 'm.text', body: `missed ${i}` })
    const second = await start({ state })
    await said(second, 'missed 7')
    const texts = second.events.flatMap((event) =>
      event.type === 'message_received' && event.content.type === 'text' ? [event.content.text] : []
    )
    assert.deepEqual(texts, [1, 2, 3, 4, 5, 6, 7].map((i) => `missed ${i}`))
  })

  it('lives on after events that nobody should have written, and tells what comes next', async () => {
    const plugin = await start()
    const strange: [unknown, object?][] = [
      [{ msgtype: 'm.text', body: 5 }],
      [{ msgtype: 'm.text', body: { a: 1 }, 'm.mentions': 'all' }],
      [{ msgtype: 'm.text', body: 'later', 'm.relates_to': 'no', 'm.mentions': { user_ids: 7 } }, {
        origin_server_ts: 9e18,
      }],
      [{ msgtype: 'm.location', geo_uri: 'geo:-.,..' }],
      [{ msgtype: 'm.image', url: 4, info: 'big' }],
      [{ msgtype: ['m.text'] }],
      [null],
      ['text'],
      [{ msgtype: 'm.text', body: 'x' }, { sender: 5 }],
      [{ membership: 3 }, { type: 'm.room.member' }],
    ]
    for (const [content, more] of strange) matrix.happen(ROOM, '@eve:example.org', content, more)
    matrix.happen(ROOM, ADA, { msgtype: 'm.text', body: 'still there?' })
    assert.ok(await said(plugin, 'still there?'), plugin.stderr())
    assert.ok(await said(plugin, 'later'))
    assert.ok(!plugin.events.some(({ type }) => type === 'error'))
    assert.deepEqual(plugin.problems, [])
  })

  it('sets a sign below a message in place of the one before', async () => {
    const plugin = await start()
    const react = (request_id: string, more: object) =>
      plugin.ask({ type: 'set_reaction', request_id, chat_id: DIRECT, message_id: '$asked', ...more })
    const before = matrix.calls.length
    await react('X1', { emoji: '👀' })
    await react('X2', { emoji: '👍', replaces: '👀' })
    await react('X3', { replaces: '👍' })
    const [first, second] = matrix.sent(DIRECT).slice(-2)
    assert.deepEqual(first!.content['m.relates_to'], { rel_type: 'm.annotation', event_id: '$asked', key: '👀' })
    const redacted = matrix.calls.slice(before).filter(({ path }) => path.includes('/redact/')).map(({ path }) =>
      path.split('/').at(-2)
    )
    assert.deepEqual(redacted.map((id) => decodeURIComponent(id!)), [first!.event_id, second!.event_id])
  })

  it('gives files themselves and sends files', async () => {
    const plugin = await start()
    matrix.files.set('cat', Buffer.from('picture'))
    const file = { msgtype: 'm.image', url: 'mxc://example.org/cat', info: { mimetype: 'image/png', size: 7 } }
    matrix.happen(DIRECT, ADA, { ...file, body: 'look', filename: 'cat.png' })
    const big = { ...file, msgtype: 'm.file', info: { size: 9e6 } }
    matrix.happen(DIRECT, ADA, { ...big, body: 'big.zip' })
    const took = (type: string) =>
      plugin.event('message_received', ({ content }) => content.type === 'media' && content.media_type === type)
    assert.deepEqual((await took('image'))?.content, {
      type: 'media',
      media_type: 'image',
      url: `data:image/png;name=cat.png;base64,${Buffer.from('picture').toString('base64')}`,
      caption: 'look',
    })
    const left = (await took('document'))?.content
    assert.deepEqual(left, {
      type: 'media',
      media_type: 'document',
      caption: '[a file larger than 640 KB was left out]',
    })
    const media = { source: 'base64', data: 'aGVsbG8=', mime_type: 'text/plain', filename: 'hello.txt' }
    await plugin.ask({ type: 'send_media', request_id: 'M1', chat_id: DIRECT, media })
    assert.deepEqual(matrix.sent(DIRECT).at(-1)!.content, {
      msgtype: 'm.file',
      body: 'hello.txt',
      filename: 'hello.txt',
      url: 'mxc://example.org/uploaded',
      info: { mimetype: 'text/plain', size: 5 },
      'm.mentions': {},
    })
  })

  it('accepts invitations, and knows that a third person makes a group', async () => {
    const plugin = await start()
    matrix.room('!new:example.org', { [ADA]: 'Ada' }, { invited: true })
    await matrix.called('/join/')
    matrix.happen('!new:example.org', ADA, { msgtype: 'm.text', body: 'two of us' })
    assert.equal((await said(plugin, 'two of us'))?.routing.chat_type, 'dm')
    matrix.member('!new:example.org', '@bob:example.org', 'Bob')
    matrix.happen('!new:example.org', ADA, { msgtype: 'm.text', body: 'three of us' })
    assert.equal((await said(plugin, 'three of us'))?.routing.chat_type, 'group')
  })

  it('sends nothing openly into an encrypted room', async () => {
    matrix.room('!secret:example.org', { [ADA]: 'Ada' }, { encrypted: true })
    const plugin = await start()
    const answer = await plugin.ask(send('R1', '!secret:example.org', 'x'))
    assert.equal(answer?.type === 'command_error' && answer.code, 'invalid_request')
    assert.deepEqual(matrix.sent('!secret:example.org'), [])
  })

  it('tells when to try again, what is lost, and ends when the token is refused', { timeout: 30_000 }, async () => {
    const plugin = await start()
    const path = `client/v3/rooms/${encodeURIComponent(ROOM)}/send`
    matrix.prepared.push({
      path,
      status: 429,
      body: { errcode: 'M_LIMIT_EXCEEDED', error: 'slow', retry_after_ms: 1500 },
    })
    const slow = await plugin.ask(send('E1', ROOM, 'x'))
    assert.deepEqual(slow?.type === 'command_error' && [slow.code, slow.retry_after_ms], ['rate_limited', 1500])
    const lost = await plugin.ask(send('E2', '!nowhere:example.org', 'x'))
    assert.equal(lost?.type === 'command_error' && lost.code, 'chat_not_found')
    matrix.prepared.push({ path: 'client/v3/sync', status: 502, body: {} })
    matrix.happen(ROOM, ADA, { msgtype: 'm.text', body: 'wake' })
    assert.ok(await plugin.event('status', ({ connected }) => !connected))
    const at = plugin.events.length
    assert.ok(await plugin.event('status', ({ connected }) => connected, 10_000, at))
    await plugin.kill()
    const refused = await start({ secrets: { access_token: 'wrong' } })
    const error = await refused.event('error')
    assert.deepEqual([error?.code, error?.fatal], ['unauthorized', true])
    assert.ok(!refused.stderr().includes('wrong'))
  })

  it('gets ready while the homeserver is out of reach', async () => {
    const plugin = await startPlugin('matrix', {
      config: { homeserver: 'http://127.0.0.1:9' },
      secrets: { access_token: TOKEN },
    })
    probe = plugin
    assert.ok(await plugin.event('ready'))
    assert.equal((await plugin.event('status'))?.connected, false)
    const answer = await plugin.ask(send('R1', ROOM, 'x'))
    assert.equal(answer?.type === 'command_error' && answer.code, 'not_connected')
  })

  it('passes the conformance kit', { timeout: 120_000 }, async () => {
    assert.deepEqual(await faultsOf('matrix', settings(), DIRECT), [])
  })
})

describe('text for Matrix', () => {
  const cases: [string, string][] = [
    ['# Title', '<h1>Title</h1>'],
    ['a\nb', '<p>a<br>b</p>'],
    ['<script>alert(1)</script>', '&lt;script&gt;alert(1)&lt;/script&gt;'],
    ['[x](javascript:alert(1))', '<p>x</p>'],
    ['![cat](https://e.org/c.png)', '<p><a href="https://e.org/c.png">cat</a></p>'],
    ['a <img src=x onerror=y> b', '<p>a &lt;img src=x onerror=y&gt; b</p>'],
  ]
  for (const [markdown, html] of cases) {
    it(`writes ${JSON.stringify(markdown)} as it knows it`, () => assert.equal(toHtml(markdown), html))
  }

  it('shows what is nested too deep to be read', () => assert.match(toHtml(`${'>'.repeat(20_000)} deep`), /deep/))
})
