import assert from 'node:assert/strict'
import { Buffer } from 'node:buffer'
import { after, afterEach, before, describe, it } from 'node:test'
import { sessionKey } from '../../server/channels/session-key.ts'
import type { Probe } from '../../server/plugins/conformance/probe.ts'
import { faultsOf, startPlugin } from '../../test/support/channel-plugin.ts'
import type { HttpAnswer } from '../../shared/plugin-routes.ts'
import { hookRequest } from '../../test/support/hook-request.ts'
import { toWhatsApp } from './format.ts'
import { startGraph } from './graph-server.ts'

const PUBLIC = 'https://gate.example/hooks/plugins/whatsapp'
const PHONE = '106540352242922'
const TOKEN = 'token-of-the-tests'
const SECRET = 'app-secret-of-the-tests'
const VERIFY = 'words-of-our-own-choice'
const ADA = '4915112345678'
const now = () => String(Math.floor(Date.now() / 1000))
const GROUP = 'Y2FwaV9ncm91cDoxNzA1NTU1MDEz'

describe('WhatsApp', () => {
  let meta: Awaited<ReturnType<typeof startGraph>>
  let probe: Probe | undefined
  let numbers = 0

  before(async () => (meta = await startGraph({ token: TOKEN, secret: SECRET, phone: PHONE })))
  afterEach(async () => {
    await probe?.kill()
    probe = undefined
    meta.prepared.length = 0
    meta.calls.length = 0
  })
  after(() => meta.close())

  const settings = (config: object = {}, secrets: object = {}) => ({
    config: { phone_number_id: PHONE, api_root: meta.url, ...config },
    secrets: { access_token: TOKEN, app_secret: SECRET, verify_token: VERIFY, ...secrets },
  })
  async function start(config: object = {}, more: Parameters<typeof startPlugin>[1] = {}): Promise<Probe> {
    probe = await startPlugin('whatsapp', { ...settings(config), publicUrl: PUBLIC, ...more })
    assert.ok(await probe.event('status', ({ connected }) => connected, 20_000), probe.stderr())
    assert.ok(await probe.event('register', ({ kind }) => kind === 'http_route', 20_000))
    return probe
  }

  function deliver(
    plugin: Probe,
    value: object,
    more: { signature?: string; number?: string } = {},
  ): Promise<HttpAnswer> {
    const body = JSON.stringify(meta.delivery(value as Record<string, unknown>, more.number))
    const headers = { 'x-hub-signature-256': more.signature ?? meta.sign(body), 'content-type': 'application/json' }
    return hookRequest(plugin, { method: 'POST', headers, body })
  }
  const contacts = [{ wa_id: ADA, profile: { name: 'Ada L' } }]
  const said = (id: string, more: object) => ({
    contacts,
    messages: [{ from: ADA, id: `wamid.${id}`, timestamp: '1772352900', ...more }],
  })
  const received = (plugin: Probe, id: string) =>
    plugin.event('message_received', ({ message_id }) => message_id === `wamid.${id}`, 20_000)
  /** Ada has just written, so that everything may be sent to her. */
  const greet = (plugin: Probe, id = `greeting${++numbers}`) =>
    deliver(plugin, said(id, { type: 'text', text: { body: 'hi' }, timestamp: now() }))
  const send = (request_id: string, content: string, more: object = {}) => ({
    type: 'send_message',
    request_id,
    chat_id: ADA,
    content,
    ...more,
  })
  const codeOf = (answer: Awaited<ReturnType<Probe['ask']>>) => answer?.type === 'command_error' ? answer.code : answer
  const idOf = (answer: Awaited<ReturnType<Probe['ask']>>) =>
    answer?.type === 'command_ok' ? answer.message_id ?? '' : JSON.stringify(answer)

  it('says which number it is, and gives a message before it answers Meta', async () => {
    const plugin = await start()
    assert.equal((await plugin.event('status'))?.identity, '+49 170 1234567')
    assert.deepEqual((await plugin.event('ready'))?.capabilities, ['media', 'typing', 'reply', 'inline_keyboard'])
    const answer = await deliver(plugin, said('m1', { type: 'text', text: { body: 'hello' } }))
    assert.equal(answer.status, 200)
    const event = await received(plugin, 'm1')
    assert.deepEqual(event, {
      type: 'message_received',
      message_id: 'wamid.m1',
      chat_id: ADA,
      sender: { id: ADA, display_name: 'Ada L' },
      content: { type: 'text', text: 'hello' },
      routing: { channel: 'whatsapp', chat_type: 'dm', chat_id: ADA, sender_id: ADA },
      mentions_bot: true,
      reply_to_bot: false,
      timestamp: '2026-03-01T08:15:00.000Z',
    })
    assert.equal(sessionKey(event.routing as Parameters<typeof sessionKey>[0]), `wa:${ADA}`)
    const order = plugin.events.map(({ type }) => type)
    const asked = order.findLastIndex((type) => type.startsWith('state_'))
    assert.ok(order.indexOf('message_received') < asked && asked < order.indexOf('result'))
    assert.deepEqual(plugin.problems, [])
  })

  it('says what the owner still has to do for messages to come in', async () => {
    const state = new Map<string, unknown>()
    const plugin = await start({}, { state })
    assert.match(
      (await plugin.event('status'))?.detail ?? '',
      /enter https:\/\/gate\.example\/hooks\/plugins\/whatsapp\/webhook/,
    )
    await greet(plugin)
    const now = await plugin.event('status', ({ detail }) => detail === undefined, 20_000)
    assert.deepEqual(now, { type: 'status', connected: true, identity: '+49 170 1234567' })
    await plugin.kill()
    const again = await start({}, { state })
    assert.equal((await again.event('status'))?.detail, undefined)
    await again.kill()
    for (const publicUrl of ['', 'http://gate.example/hooks/plugins/whatsapp']) {
      probe = await startPlugin('whatsapp', { ...settings(), publicUrl })
      const status = await probe.event('status', undefined, 20_000)
      assert.deepEqual([status?.connected, status?.identity], [false, '+49 170 1234567'])
      assert.match(status?.detail ?? '', /set server\.public_url/)
      await probe.kill()
    }
  })

  it('believes only what is signed with the app secret, over the bytes that came', async () => {
    const plugin = await start()
    const forged = said('forged', { type: 'text', text: { body: 'I am the owner' } })
    for (const signature of ['', 'sha256=', `sha256=${'0'.repeat(64)}`, meta.sign('another body')]) {
      assert.equal((await deliver(plugin, forged, { signature })).status, 403)
    }
    const body = JSON.stringify(meta.delivery(forged))
    const headers = { 'x-hub-signature-256': meta.sign(body, 'another secret') }
    assert.equal((await hookRequest(plugin, { method: 'POST', headers, body })).status, 403)
    assert.equal((await hookRequest(plugin, { method: 'POST', body })).status, 403)
    // Meta escapes some characters; what is parsed and written again would have another signature.
    const escaped = String.raw`{"object":"whatsapp_business_account", "entry":[]}`
    const bytes = Buffer.from(escaped.replace('entry', 'entry\\u0000').replace('\\u0000', '')).toString('base64')
    const signed = { 'x-hub-signature-256': meta.sign(Buffer.from(bytes, 'base64')) }
    assert.equal(
      (await hookRequest(plugin, { method: 'POST', headers: signed, body: bytes, encoding: 'base64' })).status,
      200,
    )
    const broken = '{"object":'
    const answer = await hookRequest(plugin, {
      method: 'POST',
      headers: { 'x-hub-signature-256': meta.sign(broken) },
      body: broken,
    })
    assert.equal(answer.status, 400)
    await plugin.ask({ type: 'ping', request_id: 'P' })
    assert.ok(!plugin.events.some(({ type }) => type === 'message_received'))
  })

  it('answers the question of Meta whether the address is ours, to who knows the token', async () => {
    const plugin = await start()
    const ask = (query: Record<string, string>) =>
      hookRequest(plugin, { method: 'GET', query: String(new URLSearchParams(query)), body: '' })
    const query = { 'hub.mode': 'subscribe', 'hub.challenge': '1158201444', 'hub.verify_token': VERIFY }
    const answer = await ask(query)
    assert.deepEqual([answer.status, answer.body, answer.headers?.['content-type']], [200, '1158201444', 'text/plain'])
    assert.equal((await ask({ ...query, 'hub.verify_token': 'guessed' })).status, 403)
    assert.equal((await ask({ ...query, 'hub.mode': 'other' })).status, 403)
    assert.equal((await ask({ ...query, 'hub.challenge': '<script>' })).status, 400)
  })

  it('reads what people send: places, contacts, answers, reactions, and what it does not know', async () => {
    const plugin = await start()
    const replied = { context: { id: 'wamid.sent1', from: '491701234567' } }
    await deliver(plugin, {
      contacts,
      messages: [
        { type: 'text', text: { body: 'yes' }, ...replied },
        { type: 'location', location: { latitude: 52.5, longitude: 13.4 } },
        { type: 'location', location: { latitude: 52.5, longitude: 13.4, name: 'Gate', address: 'Pariser Platz' } },
        { type: 'contacts', contacts: [{ name: { formatted_name: 'Bob' }, phones: [{ phone: '+49 1' }] }] },
        {
          type: 'contacts',
          contacts: [{ name: { formatted_name: 'Bob' }, phones: [{ phone: '+1' }] }, {
            name: { formatted_name: 'Eve' },
          }],
        },
        { type: 'reaction', reaction: { message_id: 'wamid.sent1', emoji: '👍' } },
        { type: 'button', button: { text: 'Start', payload: 'p' } },
        { type: 'unsupported', errors: [{ code: 131051, title: 'Message type unknown' }] },
      ].map((message, i) => ({ from: ADA, id: `wamid.k${i}`, timestamp: '1772352900', ...message })),
    })
    const events = await Promise.all([0, 1, 2, 3, 4, 5, 6, 7].map((i) => received(plugin, `k${i}`)))
    assert.deepEqual([events[0]?.reply_to, events[0]?.reply_to_bot], ['wamid.sent1', true])
    assert.deepEqual(events.slice(1).map((event) => event?.content), [
      { type: 'location', latitude: 52.5, longitude: 13.4 },
      { type: 'text', text: '[location: Gate, Pariser Platz; 52.5, 13.4]' },
      { type: 'contact', name: 'Bob', phone: '+49 1' },
      { type: 'text', text: '[contact: Bob, +1]\n[contact: Eve, ]' },
      { type: 'unknown', raw: { type: 'reaction', reaction: { message_id: 'wamid.sent1', emoji: '👍' } } },
      { type: 'text', text: 'Start' },
      { type: 'unknown', raw: { type: 'unsupported', errors: [{ code: 131051, title: 'Message type unknown' }] } },
    ])
    assert.equal(events[5]?.reply_to, 'wamid.sent1')
  })

  it('gives files themselves, and names those that are too large or gone', async () => {
    const plugin = await start()
    meta.files.set('f1', { bytes: Buffer.from('picture'), mime: 'image/jpeg' })
    meta.files.set('f2', { bytes: Buffer.from('OggS'), mime: 'audio/ogg; codecs=opus' })
    meta.files.set('big', { bytes: new Uint8Array(10), mime: 'application/pdf', lies: 9e6 })
    meta.files.set('liar', { bytes: new Uint8Array(800 * 1024), mime: 'application/pdf', lies: 10 })
    const messages = [
      { type: 'image', image: { id: 'f1', mime_type: 'image/jpeg', caption: 'look' } },
      { type: 'audio', audio: { id: 'f2', mime_type: 'audio/ogg; codecs=opus', voice: true } },
      {
        type: 'document',
        document: { id: 'big', filename: 'plan.pdf', mime_type: 'application/pdf', caption: 'here' },
      },
      { type: 'document', document: { id: 'liar', filename: 'liar.pdf', mime_type: 'application/pdf' } },
      { type: 'sticker', sticker: { id: 'gone', mime_type: 'image/webp' } },
    ].map((message, i) => ({ from: ADA, id: `wamid.f${i}`, timestamp: '1772352900', ...message }))
    await deliver(plugin, { contacts, messages })
    const contents = await Promise.all([0, 1, 2, 3, 4].map(async (i) => (await received(plugin, `f${i}`))?.content))
    assert.deepEqual(contents, [
      {
        type: 'media',
        media_type: 'image',
        caption: 'look',
        url: `data:image/jpeg;name=photo.jpg;base64,${Buffer.from('picture').toString('base64')}`,
      },
      {
        type: 'media',
        media_type: 'voice',
        url: `data:audio/ogg;name=audio.ogg;base64,${Buffer.from('OggS').toString('base64')}`,
      },
      { type: 'text', text: 'here\n[the file plan.pdf is larger than 640 KB and was left out]' },
      { type: 'text', text: '[the file liar.pdf is larger than 640 KB and was left out]' },
      { type: 'text', text: '[the file sticker.webp could not be fetched]' },
    ])
  })

  it('tells groups apart from people, and knows those who hide their number', async () => {
    const plugin = await start()
    await deliver(plugin, said('g1', { type: 'text', text: { body: 'among us' }, group_id: GROUP }))
    const group = await received(plugin, 'g1')
    assert.deepEqual([group?.chat_id, group?.routing.chat_type, group?.mentions_bot], [GROUP, 'group', false])
    await plugin.ask(
      send('G1', 'to all', { chat_id: GROUP, inline_keyboard: { rows: [[{ text: 'Yes', callback_data: 'y' }]] } }),
    )
    const hidden = 'DE.13491208655302741918'
    await deliver(plugin, {
      contacts: [{ user_id: hidden, profile: { name: 'Eve', username: 'eve' } }],
      messages: [{ from_user_id: hidden, id: 'wamid.h1', timestamp: now(), type: 'text', text: { body: 'hi' } }],
    })
    assert.deepEqual((await received(plugin, 'h1'))?.sender, { id: hidden, username: 'eve', display_name: 'Eve' })
    await plugin.ask(send('H1', 'hello Eve', { chat_id: hidden }))
    assert.deepEqual(
      meta.sent().map(({ recipient_type, to, recipient, type }) => [recipient_type, to ?? recipient, type]),
      [['group', GROUP, 'text'], ['individual', hidden, 'text']],
    )
  })

  it('passes over what is for another number, and what it can not read, and takes the rest', async () => {
    const plugin = await start()
    assert.equal(
      (await deliver(plugin, said('other', { type: 'text', text: { body: 'x' } }), { number: '999' })).status,
      200,
    )
    const messages = [
      { id: 7 },
      { id: 'wamid.nobody', type: 'text' },
      ...said('fine', { type: 'text', text: { body: 'ok' } }).messages,
    ]
    assert.equal((await deliver(plugin, { contacts, messages })).status, 200)
    assert.equal((await plugin.event('message_received'))?.message_id, 'wamid.fine')
    assert.ok(await plugin.event('log', ({ message }) => message === 'A message could not be read: id is wrong'))
    assert.ok(await plugin.event('log', ({ message }) => message.endsWith('nobody is named who wrote it')))
  })

  it('sends formatted text as an answer, once for each command', async () => {
    const plugin = await start()
    await greet(plugin)
    const first = await plugin.ask(send('R1', 'It is **green**, see https://e.org', { reply_to: 'wamid.m1' }))
    assert.match(idOf(first), /^wamid\.sent/)
    await plugin.send(send('R1', 'It is **green**, see https://e.org', { reply_to: 'wamid.m1' }))
    await plugin.ask(send('R2', 'next', { reply_to: 'no-id-of-whatsapp' }))
    assert.deepEqual(meta.sent(), [
      {
        messaging_product: 'whatsapp',
        recipient_type: 'individual',
        to: ADA,
        context: { message_id: 'wamid.m1' },
        type: 'text',
        text: { body: 'It is *green*, see https://e.org', preview_url: true },
        biz_opaque_callback_data: 'R1',
      },
      {
        messaging_product: 'whatsapp',
        recipient_type: 'individual',
        to: ADA,
        type: 'text',
        text: { body: 'next', preview_url: false },
        biz_opaque_callback_data: 'R2',
      },
    ])
    const long = await plugin.ask(send('R3', `${'word '.repeat(1500)}end`))
    assert.equal(long?.type, 'command_ok', JSON.stringify(long))
    assert.equal(meta.sent().length, 4)
  })

  it('does not send again what arrived although its answer was lost', async () => {
    const plugin = await start()
    await greet(plugin)
    meta.prepared.push({ path: '/messages', status: 0, lost: true })
    assert.equal(codeOf(await plugin.ask(send('L1', 'only once'))), 'not_connected')
    await deliver(plugin, {
      statuses: [{ id: 'wamid.lost', status: 'sent', recipient_id: ADA, biz_opaque_callback_data: 'L1' }],
    })
    const at = plugin.events.length
    await plugin.send(send('L1', 'only once'))
    const again = await plugin.event('command_ok', ({ request_id }) => request_id === 'L1', 20_000, at)
    assert.equal(again?.message_id, 'wamid.lost')
    assert.equal(meta.sent().length, 1)
  })

  it('gives up to three choices as buttons, up to ten as a list, and more as text', async () => {
    const plugin = await start()
    await greet(plugin)
    const rows = (count: number, word = 'Choice') => ({
      rows: Array.from({ length: count }, (_, i) => [{ text: `${word} ${i + 1}`, callback_data: `choice:${i}` }]),
    })
    const wide = 'A choice with many words in it, so that it'
    await plugin.ask(send('B1', 'Which **one**?', { inline_keyboard: rows(3), reply_to: 'wamid.m1' }))
    await plugin.ask(send('B2', 'Which?', { inline_keyboard: rows(10) }))
    await plugin.ask(send('B3', 'Which?', { inline_keyboard: rows(2, wide) }))
    await plugin.ask(send('B4', 'Which?', { inline_keyboard: rows(11) }))
    await plugin.ask(send('B5', `${'word '.repeat(300)}?`, { inline_keyboard: rows(2) }))
    const [buttons, list, wideList, text, head, below] = meta.sent() as Record<string, Record<string, unknown>>[]
    assert.deepEqual(buttons?.interactive, {
      type: 'button',
      body: { text: 'Which *one*?' },
      action: {
        buttons: [0, 1, 2].map((i) => ({ type: 'reply', reply: { id: `choice:${i}`, title: `Choice ${i + 1}` } })),
      },
    })
    assert.deepEqual(buttons?.context, { message_id: 'wamid.m1' })
    assert.equal(list?.interactive?.type, 'list')
    assert.deepEqual(
      (wideList!.interactive!.action as { sections: { rows: object[] }[] }).sections[0]!.rows[0],
      { id: 'choice:0', title: 'A choice with many word…', description: `${wide} 1` },
    )
    assert.ok(String(text?.text?.body).endsWith('• Choice 10\n• Choice 11'))
    assert.ok(String(head?.text?.body).startsWith('word word'))
    assert.deepEqual((below!.interactive!.body as { text: string }).text, '👇')
  })

  it('tells of a pressed button, and says the answer in the chat', async () => {
    const plugin = await start()
    await greet(plugin)
    const press = (id: string, interactive: object) =>
      deliver(plugin, said(id, { type: 'interactive', interactive, context: { id: 'wamid.sent7', from: '4917' } }))
    const data = 'approve:allow_once:01J'
    assert.equal((await press('p1', { type: 'button_reply', button_reply: { id: data, title: 'Allow' } })).status, 200)
    assert.deepEqual(await plugin.event('callback_query'), {
      type: 'callback_query',
      callback_query_id: 'wamid.p1',
      chat_id: ADA,
      sender: { id: ADA, display_name: 'Ada L' },
      message_id: 'wamid.sent7',
      data,
    })
    await press('p2', { type: 'list_reply', list_reply: { id: 'choice:4', title: 'Five' } })
    assert.equal(
      (await plugin.event('callback_query', (event) => event.data === 'choice:4'))?.message_id,
      'wamid.sent7',
    )
    const answer = { type: 'answer_callback_query', callback_query_id: 'wamid.p1' }
    await plugin.ask({ ...answer, request_id: 'C1', text: 'Allowed' })
    await plugin.ask({ ...answer, request_id: 'C2' })
    const [said1, ...more] = meta.sent()
    assert.deepEqual([said1?.context, said1?.text], [{ message_id: 'wamid.p1' }, {
      body: 'Allowed',
      preview_url: false,
    }])
    assert.deepEqual(more, [])
  })

  it('sends files as what they are, with the words where there is room for them', async () => {
    const plugin = await start()
    await greet(plugin)
    const media = (request_id: string, mime_type: string, filename: string, caption?: string) =>
      plugin.ask({
        type: 'send_media',
        request_id,
        chat_id: ADA,
        media: { source: 'base64', data: 'AAAA', mime_type, filename },
        ...(caption ? { caption } : {}),
      })
    await media('M1', 'image/png', 'a.png', 'a **picture**')
    await media('M2', 'audio/ogg', 'a.ogg', 'spoken')
    await media('M3', 'text/markdown', 'notes.md', 'long '.repeat(400))
    assert.equal(codeOf(await media('M4', 'image/gif', 'a.gif')), 'not_implemented')
    const of = (type: string) => meta.sent().find((body) => body.type === type)?.[type] as Record<string, unknown>
    assert.equal(of('image').caption, 'a *picture*')
    assert.equal(of('audio').voice, true)
    assert.equal(of('document').filename, 'notes.md')
    assert.deepEqual(meta.sent().map(({ type }) => type), ['image', 'text', 'audio', 'text', 'document'])
    assert.deepEqual(meta.files.get(String(of('image').id)), { bytes: new Uint8Array(3), mime: 'image/png' })
  })

  it('shows that it types below what was said last, once in a while', async () => {
    const plugin = await start()
    await plugin.send({ type: 'send_typing', chat_id: ADA, duration: 5 })
    await greet(plugin, 'typed')
    await plugin.send({ type: 'send_typing', chat_id: ADA, duration: 5 })
    await plugin.send({ type: 'send_typing', chat_id: ADA, duration: 5 })
    assert.deepEqual((await meta.called('/messages', (body) => body.status === 'read')).body, {
      messaging_product: 'whatsapp',
      status: 'read',
      message_id: 'wamid.typed',
      typing_indicator: { type: 'text' },
    })
    await plugin.ask(send('T1', 'done'))
    assert.equal(meta.calls.filter(({ body }) => body.status === 'read').length, 1)
    await plugin.kill()
    const quiet = await start({ typing: false })
    meta.calls.length = 0
    await greet(quiet)
    await quiet.send({ type: 'send_typing', chat_id: ADA, duration: 5 })
    await quiet.ask(send('T2', 'done'))
    assert.ok(!meta.calls.some(({ body }) => body.status === 'read'))
  })

  it('tells that the 24 hours window is closed, also when Meta says so afterwards', { timeout: 60_000 }, async () => {
    const plugin = await start()
    const failed = (id: string, code: number, title: string) => ({
      statuses: [{
        id,
        status: 'failed',
        recipient_id: ADA,
        errors: [{ code, title, error_data: { details: 'why' } }],
      }],
    })
    // Nobody wrote since the start, so Meta's word is waited for.
    const sending = plugin.ask(send('W1', 'are you there?'), 20_000)
    await meta.called('/messages', (body) => body.biz_opaque_callback_data === 'W1')
    await deliver(plugin, failed(meta.lastId(), 131047, 'Re-engagement message'))
    const answer = await sending
    assert.ok(answer?.type === 'command_error')
    assert.equal(answer.code, 'forbidden')
    assert.match(answer.message, /^The 24 hours window is closed: .*Re-engagement message: why \(131047\)$/)
    // She writes: now a message is sent without a wait, and what goes wrong later is told in the log.
    await greet(plugin)
    const sent = idOf(await plugin.ask(send('W2', 'welcome back')))
    await deliver(plugin, failed(sent, 131026, 'Message undeliverable'))
    const told = await plugin.event('error', ({ message }) => message.includes('Nobody can be reached there'))
    assert.deepEqual([told?.code, told?.fatal], ['chat_not_found', false])
    assert.match(told?.message ?? '', /^A message to 4915112345678 was not delivered: /)
    await deliver(plugin, { statuses: [{ id: sent, status: 'read' }, { status: 7 }] })
    assert.ok(
      await plugin.event('log', ({ message }) => message.includes('status is wrong') || message.includes('id is')),
    )
  })
  it('tells when to try again, and what nobody can mend by trying', { timeout: 60_000 }, async () => {
    const plugin = await start()
    await greet(plugin)
    const cases: [object, unknown[]][] = [
      [{ status: 400, code: 130429, message: '(#130429) Rate limit hit' }, ['rate_limited', 5000]],
      [{ status: 400, code: 131056, message: '(#131056) Pair rate limit hit' }, ['rate_limited', 6000]],
      [{ status: 429, message: 'slow', headers: { 'retry-after': '3' } }, ['rate_limited', 3000]],
      [{ status: 400, code: 131030, message: '(#131030) Recipient not in allowed list' }, [
        'chat_not_found',
        undefined,
      ]],
      [{ status: 503, code: 131016, message: 'Service unavailable' }, ['not_connected', undefined]],
      [{ status: 500, code: 131000, message: 'Something went wrong' }, ['platform_error', undefined]],
      [{ status: 400, code: 131009, message: 'Parameter value is not valid' }, ['invalid_request', undefined]],
      [{ status: 400, code: 131031, message: 'Account locked' }, ['forbidden', undefined]],
    ]
    for (const [i, [failure, wanted]] of cases.entries()) {
      meta.prepared.push({ path: '/messages', status: 400, ...failure })
      const answer = await plugin.ask(send(`E${i}`, 'x'))
      assert.ok(answer?.type === 'command_error', JSON.stringify(answer))
      assert.deepEqual([answer.code, answer.retry_after_ms], wanted)
    }
    assert.equal(
      codeOf(await plugin.ask({ type: 'edit_message', request_id: 'X', chat_id: ADA, message_id: 'm', content: 'x' })),
      'not_implemented',
    )
  })

  it('ends with what to do when the token is refused, at the start or later', { timeout: 60_000 }, async () => {
    const plugin = await start()
    await greet(plugin)
    const expired = { status: 401, code: 190, message: 'Error validating access token: Session has expired' }
    meta.prepared.push({ path: '/messages', ...expired }, { path: `/${PHONE}`, ...expired })
    const answer = await plugin.ask(send('E1', 'x'))
    assert.ok(answer?.type === 'command_error' && answer.code === 'unauthorized')
    assert.match(answer.message, /make a new one for the system user/)
    assert.equal((await plugin.event('error'))?.fatal, true)
    assert.equal((await plugin.exited).code, 1)
    probe = await startPlugin('whatsapp', settings({}, { access_token: 'wrong-token' }))
    const error = await probe.event('error', undefined, 20_000)
    assert.deepEqual([error?.code, error?.fatal], ['unauthorized', true])
    assert.ok(!JSON.stringify(probe.events).includes('wrong-token') && !probe.stderr().includes('wrong-token'))
    await probe.kill()
    probe = await startPlugin('whatsapp', settings({}, { app_secret: 'of another app' }))
    assert.match(
      (await probe.event('error', undefined, 20_000))?.message ?? '',
      /^The app secret is not that of the app/,
    )
    await probe.kill()
    probe = await startPlugin('whatsapp', settings({}, { verify_token: 'short' }))
    assert.match((await probe.event('error', undefined, 20_000))?.message ?? '', /at least 16 characters/)
  })

  it('gets ready while Meta is out of reach', { timeout: 60_000 }, async () => {
    probe = await startPlugin('whatsapp', settings({ api_root: 'http://127.0.0.1:9' }))
    assert.ok(await probe.event('ready', undefined, 20_000))
    assert.equal((await probe.event('status'))?.connected, false)
    assert.equal(codeOf(await probe.ask(send('R1', 'x'))), 'not_connected')
  })

  it('passes the conformance kit', { timeout: 120_000 }, async () => {
    const { config, secrets } = settings()
    const env = {
      WHATSAPP_PHONE_NUMBER_ID: config.phone_number_id,
      WHATSAPP_API_ROOT: config.api_root,
      WHATSAPP_ACCESS_TOKEN: secrets.access_token,
      WHATSAPP_APP_SECRET: secrets.app_secret,
      WHATSAPP_VERIFY_TOKEN: secrets.verify_token,
    }
    assert.deepEqual(await faultsOf('whatsapp', { env }, ADA, { bare: true }), [])
  })
})

describe('text for WhatsApp', () => {
  const cases: [string, string][] = [
    ['# Title', '*Title*'],
    ['**bold** _slanted_ ~~struck~~ `code`', '*bold* _slanted_ ~struck~ `code`'],
    ['```ts\nlet a = 1\n```', '```let a = 1```'],
    ['[x](https://e.org/)', 'x (https://e.org/)'],
    ['[x](javascript:alert(1))', 'x'],
    ['https://e.org/', 'https://e.org/'],
    ['> quoted\n> twice', '> quoted\n> twice'],
    ['- a\n  - b\n- c', '• a\n  ◦ b\n• c'],
    ['**two\nlines**', '*two*\n*lines*'],
  ]
  for (const [markdown, text] of cases) {
    it(`writes ${JSON.stringify(markdown)} as it knows it`, () => assert.equal(toWhatsApp(markdown), text))
  }
})
