import assert from 'node:assert/strict'
import { Buffer } from 'node:buffer'
import { describe, it } from 'node:test'
import { sessionKey } from '../../server/channels/session-key.ts'
import { faultsOf } from '../../test/support/channel-plugin.ts'
import { hookRequest } from '../../test/support/hook-request.ts'
import {
  ADA,
  codeOf,
  contacts,
  GROUP,
  now,
  PHONE,
  received,
  said,
  send,
  VERIFY,
  whatsAppBench,
} from '../../test/support/whatsapp-bench.ts'

describe('WhatsApp', () => {
  const bench = whatsAppBench()

  it('says which number it is, and gives a message before it answers Meta', async () => {
    const plugin = await bench.start()
    assert.equal((await plugin.event('status'))?.identity, '+49 170 1234567')
    assert.deepEqual((await plugin.event('ready'))?.capabilities, [
      'media',
      'typing',
      'reactions',
      'reply',
      'inline_keyboard',
    ])
    const answer = await bench.deliver(plugin, said('m1', { type: 'text', text: { body: 'hello' } }))
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
    const plugin = await bench.start({}, { state })
    assert.match(
      (await plugin.event('status'))?.detail ?? '',
      /enter https:\/\/gate\.example\/hooks\/plugins\/whatsapp\/webhook/,
    )
    await bench.greet(plugin)
    const heard = await plugin.event('status', ({ detail }) => detail === undefined, 20_000)
    assert.deepEqual(heard, { type: 'status', connected: true, identity: '+49 170 1234567' })
    await plugin.kill()
    const again = await bench.start({}, { state })
    assert.equal((await again.event('status'))?.detail, undefined)
    await again.kill()
    for (const publicUrl of ['', 'http://gate.example/hooks/plugins/whatsapp']) {
      const probe = await bench.begin({ ...bench.settings(), publicUrl })
      const status = await probe.event('status', undefined, 20_000)
      assert.deepEqual([status?.connected, status?.identity], [false, '+49 170 1234567'])
      assert.match(status?.detail ?? '', /set server\.public_url/)
      await probe.kill()
    }
  })

  it('believes only what is signed with the app secret, over the bytes that came', async () => {
    const plugin = await bench.start()
    const forged = said('forged', { type: 'text', text: { body: 'I am the owner' } })
    for (const signature of ['', 'sha256=', `sha256=${'0'.repeat(64)}`, bench.meta.sign('another body')]) {
      assert.equal((await bench.deliver(plugin, forged, { signature })).status, 403)
    }
    const body = JSON.stringify(bench.meta.delivery(forged))
    const headers = { 'x-hub-signature-256': bench.meta.sign(body, 'another secret') }
    assert.equal((await hookRequest(plugin, { method: 'POST', headers, body })).status, 403)
    assert.equal((await hookRequest(plugin, { method: 'POST', body })).status, 403)
    // What is parsed and written again would have another signature.
    const spaced = '{"object":\t"whatsapp_business_account",  "entry":\n[]}'
    const signed = { 'x-hub-signature-256': bench.meta.sign(spaced) }
    assert.equal((await hookRequest(plugin, { headers: signed, body: spaced })).status, 200)
    const bytes = Buffer.from(spaced).toString('base64')
    assert.equal((await hookRequest(plugin, { headers: signed, body: bytes, encoding: 'base64' })).status, 200)
    const broken = '{"object":'
    const answer = await hookRequest(plugin, {
      method: 'POST',
      headers: { 'x-hub-signature-256': bench.meta.sign(broken) },
      body: broken,
    })
    assert.equal(answer.status, 400)
    await plugin.ask({ type: 'ping', request_id: 'P' })
    assert.ok(!plugin.events.some(({ type }) => type === 'message_received'))
  })

  it('answers the question of Meta whether the address is ours, to who knows the token', async () => {
    const plugin = await bench.start()
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
    const plugin = await bench.start()
    const replied = { context: { id: 'wamid.sent1', from: '491701234567' } }
    await bench.deliver(plugin, {
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
    const plugin = await bench.start()
    bench.meta.files.set('f1', { bytes: Buffer.from('picture'), mime: 'image/jpeg' })
    bench.meta.files.set('f2', { bytes: Buffer.from('OggS'), mime: 'audio/ogg; codecs=opus' })
    bench.meta.files.set('big', { bytes: new Uint8Array(10), mime: 'application/pdf', lies: 9e6 })
    bench.meta.files.set('liar', { bytes: new Uint8Array(800 * 1024), mime: 'application/pdf', lies: 10 })
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
    await bench.deliver(plugin, { contacts, messages })
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
    const plugin = await bench.start()
    await bench.deliver(plugin, said('g1', { type: 'text', text: { body: 'among us' }, group_id: GROUP }))
    const group = await received(plugin, 'g1')
    assert.deepEqual([group?.chat_id, group?.routing.chat_type, group?.mentions_bot], [GROUP, 'group', false])
    await plugin.ask(
      send('G1', 'to all', { chat_id: GROUP, inline_keyboard: { rows: [[{ text: 'Yes', callback_data: 'y' }]] } }),
    )
    const hidden = 'DE.13491208655302741918'
    await bench.deliver(plugin, {
      contacts: [{ user_id: hidden, profile: { name: 'Eve', username: 'eve' } }],
      messages: [{ from_user_id: hidden, id: 'wamid.h1', timestamp: now(), type: 'text', text: { body: 'hi' } }],
    })
    assert.deepEqual((await received(plugin, 'h1'))?.sender, { id: hidden, username: 'eve', display_name: 'Eve' })
    await plugin.ask(send('H1', 'hello Eve', { chat_id: hidden }))
    assert.deepEqual(
      bench.meta.sent().map(({ recipient_type, to, recipient, type }) => [recipient_type, to ?? recipient, type]),
      [['group', GROUP, 'text'], ['individual', hidden, 'text']],
    )
  })

  it('passes over what is for another number, and what it can not read, and takes the rest', async () => {
    const plugin = await bench.start()
    assert.equal(
      (await bench.deliver(plugin, said('other', { type: 'text', text: { body: 'x' } }), { number: '999' })).status,
      200,
    )
    const messages = [
      { id: 7 },
      { id: 'wamid.nobody', type: 'text' },
      ...said('fine', { type: 'text', text: { body: 'ok' } }).messages,
    ]
    assert.equal((await bench.deliver(plugin, { contacts, messages })).status, 200)
    assert.equal((await plugin.event('message_received'))?.message_id, 'wamid.fine')
    assert.ok(await plugin.event('log', ({ message }) => message === 'A message could not be read: id is wrong'))
    assert.ok(await plugin.event('log', ({ message }) => message.endsWith('nobody is named who wrote it')))
  })

  it('ends with what to do when the token is refused, at the start or later', { timeout: 60_000 }, async () => {
    const plugin = await bench.start()
    await bench.greet(plugin)
    const expired = { status: 401, code: 190, message: 'Error validating access token: Session has expired' }
    bench.meta.prepared.push({ path: '/messages', ...expired }, { path: `/${PHONE}`, ...expired })
    const answer = await plugin.ask(send('E1', 'x'))
    assert.ok(answer?.type === 'command_error' && answer.code === 'unauthorized')
    assert.match(answer.message, /make a new one for the system user/)
    assert.equal((await plugin.event('error'))?.fatal, true)
    assert.equal((await plugin.exited).code, 1)
    const wrong: [object, RegExp][] = [
      [{ access_token: 'wrong-token' }, /^Meta refused the access token/],
      [{ app_secret: 'of another app' }, /^The app secret is not that of the app/],
      [{ verify_token: 'short' }, /at least 16 characters/],
    ]
    for (const [secrets, words] of wrong) {
      const probe = await bench.begin(bench.settings({}, secrets))
      const error = await probe.event('error', undefined, 20_000)
      assert.deepEqual([error?.code, error?.fatal], ['unauthorized', true])
      assert.match(error?.message ?? '', words)
      const told = JSON.stringify(probe.events) + probe.stderr()
      for (const secret of Object.values(secrets)) assert.ok(!told.includes(secret as string))
    }
  })

  it('gets ready while Meta is out of reach', { timeout: 60_000 }, async () => {
    const probe = await bench.begin(bench.settings({ api_root: 'http://127.0.0.1:9' }))
    assert.ok(await probe.event('ready', undefined, 20_000))
    assert.equal((await probe.event('status'))?.connected, false)
    assert.equal(codeOf(await probe.ask(send('R1', 'x'))), 'not_connected')
  })

  it('passes the conformance kit', { timeout: 120_000 }, async () => {
    const { config, secrets } = bench.settings()
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
