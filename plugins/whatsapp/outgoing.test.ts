import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ADA, codeOf, idOf, said, send, whatsAppBench } from '../../test/support/whatsapp-bench.ts'

describe('what is sent to WhatsApp', () => {
  const bench = whatsAppBench()

  it('sends formatted text as an answer, once for each command', async () => {
    const plugin = await bench.start()
    await bench.greet(plugin)
    const first = await plugin.ask(send('R1', 'It is **green**, see https://e.org', { reply_to: 'wamid.m1' }))
    assert.match(idOf(first), /^wamid\.sent/)
    await plugin.send(send('R1', 'It is **green**, see https://e.org', { reply_to: 'wamid.m1' }))
    await plugin.ask(send('R2', 'next', { reply_to: 'no-id-of-whatsapp' }))
    assert.deepEqual(bench.meta.sent(), [
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
    assert.equal(bench.meta.sent().length, 4)
  })

  it('puts a sign below what somebody wrote, and takes it away', async () => {
    const plugin = await bench.start()
    await bench.greet(plugin)
    const react = (request_id: string, more: object) =>
      plugin.ask({ type: 'set_reaction', request_id, chat_id: ADA, message_id: 'wamid.m1', ...more })
    await react('X1', { emoji: '👀' })
    await react('X2', { replaces: '👀' })
    assert.equal(codeOf(await react('X3', { message_id: 'none', emoji: '👀' })), 'message_not_found')
    assert.deepEqual(bench.meta.sent().map(({ type, reaction }) => [type, reaction]), [
      ['reaction', { message_id: 'wamid.m1', emoji: '👀' }],
      ['reaction', { message_id: 'wamid.m1', emoji: '' }],
    ])
  })

  it('does not send again what arrived although its answer was lost', async () => {
    const plugin = await bench.start()
    await bench.greet(plugin)
    bench.meta.prepared.push({ path: '/messages', status: 0, lost: true })
    assert.equal(codeOf(await plugin.ask(send('L1', 'only once'))), 'not_connected')
    await bench.deliver(plugin, {
      statuses: [{ id: 'wamid.lost', status: 'sent', recipient_id: ADA, biz_opaque_callback_data: 'L1' }],
    })
    const at = plugin.events.length
    await plugin.send(send('L1', 'only once'))
    const again = await plugin.event('command_ok', ({ request_id }) => request_id === 'L1', 20_000, at)
    assert.equal(again?.message_id, 'wamid.lost')
    assert.equal(bench.meta.sent().length, 1)
  })

  it('gives up to three choices as buttons, up to ten as a list, and more as text', async () => {
    const plugin = await bench.start()
    await bench.greet(plugin)
    const rows = (count: number, word = 'Choice') => ({
      rows: Array.from({ length: count }, (_, i) => [{ text: `${word} ${i + 1}`, callback_data: `choice:${i}` }]),
    })
    const wide = 'A choice with many words in it, so that it'
    await plugin.ask(send('B1', 'Which **one**?', { inline_keyboard: rows(3), reply_to: 'wamid.m1' }))
    await plugin.ask(send('B2', 'Which?', { inline_keyboard: rows(10) }))
    await plugin.ask(send('B3', 'Which?', { inline_keyboard: rows(2, wide) }))
    await plugin.ask(send('B4', 'Which?', { inline_keyboard: rows(11) }))
    await plugin.ask(send('B5', `${'word '.repeat(300)}?`, { inline_keyboard: rows(2) }))
    const [buttons, list, wideList, text, head, below] = bench.meta.sent() as Record<string, Record<string, unknown>>[]
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
    const plugin = await bench.start()
    await bench.greet(plugin)
    const press = (id: string, interactive: object) =>
      bench.deliver(
        plugin,
        said(id, { type: 'interactive', interactive, context: { id: 'wamid.sent7', from: '4917' } }),
      )
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
    const [said1, ...more] = bench.meta.sent()
    assert.deepEqual([said1?.context, said1?.text], [{ message_id: 'wamid.p1' }, {
      body: 'Allowed',
      preview_url: false,
    }])
    assert.deepEqual(more, [])
  })

  it('sends files as what they are, with the words where there is room for them', async () => {
    const plugin = await bench.start()
    await bench.greet(plugin)
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
    const of = (type: string) => bench.meta.sent().find((body) => body.type === type)?.[type] as Record<string, unknown>
    assert.equal(of('image').caption, 'a *picture*')
    assert.equal(of('audio').voice, true)
    assert.equal(of('document').filename, 'notes.md')
    assert.deepEqual(bench.meta.sent().map(({ type }) => type), ['image', 'text', 'audio', 'text', 'document'])
    assert.deepEqual(bench.meta.files.get(String(of('image').id)), { bytes: new Uint8Array(3), mime: 'image/png' })
  })

  it('shows that it types below what was said last, once in a while', async () => {
    const plugin = await bench.start()
    await plugin.send({ type: 'send_typing', chat_id: ADA, duration: 5 })
    await bench.greet(plugin, 'typed')
    await plugin.send({ type: 'send_typing', chat_id: ADA, duration: 5 })
    await plugin.send({ type: 'send_typing', chat_id: ADA, duration: 5 })
    assert.deepEqual((await bench.meta.called('/messages', (body) => body.status === 'read')).body, {
      messaging_product: 'whatsapp',
      status: 'read',
      message_id: 'wamid.typed',
      typing_indicator: { type: 'text' },
    })
    await plugin.ask(send('T1', 'done'))
    assert.equal(bench.meta.calls.filter(({ body }) => body.status === 'read').length, 1)
    await plugin.kill()
    const quiet = await bench.start({ typing: false })
    bench.meta.calls.length = 0
    await bench.greet(quiet)
    await quiet.send({ type: 'send_typing', chat_id: ADA, duration: 5 })
    await quiet.ask(send('T2', 'done'))
    assert.ok(!bench.meta.calls.some(({ body }) => body.status === 'read'))
  })

  it('tells that the 24 hours window is closed, also when Meta says so afterwards', { timeout: 60_000 }, async () => {
    const plugin = await bench.start()
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
    await bench.meta.called('/messages', (body) => body.biz_opaque_callback_data === 'W1')
    await bench.deliver(plugin, failed(bench.meta.lastId(), 131047, 'Re-engagement message'))
    const answer = await sending
    assert.ok(answer?.type === 'command_error')
    assert.equal(answer.code, 'forbidden')
    assert.match(answer.message, /^The 24 hours window is closed: .*Re-engagement message: why \(131047\)$/)
    // She writes: now a message is sent without a wait, and what goes wrong later is told in the log.
    await bench.greet(plugin)
    const sent = idOf(await plugin.ask(send('W2', 'welcome back')))
    await bench.deliver(plugin, failed(sent, 131026, 'Message undeliverable'))
    const told = await plugin.event('error', ({ message }) => message.includes('Nobody can be reached there'))
    assert.deepEqual([told?.code, told?.fatal], ['chat_not_found', false])
    assert.match(told?.message ?? '', /^A message to 4915112345678 was not delivered: /)
    await bench.deliver(plugin, { statuses: [{ id: sent, status: 'read' }, { status: 7 }] })
    assert.ok(
      await plugin.event('log', ({ message }) => message.includes('status is wrong') || message.includes('id is')),
    )
  })
  it('tells when to try again, and what nobody can mend by trying', { timeout: 60_000 }, async () => {
    const plugin = await bench.start()
    await bench.greet(plugin)
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
      bench.meta.prepared.push({ path: '/messages', status: 400, ...failure })
      const answer = await plugin.ask(send(`E${i}`, 'x'))
      assert.ok(answer?.type === 'command_error', JSON.stringify(answer))
      assert.deepEqual([answer.code, answer.retry_after_ms], wanted)
    }
    assert.equal(
      codeOf(await plugin.ask({ type: 'edit_message', request_id: 'X', chat_id: ADA, message_id: 'm', content: 'x' })),
      'not_implemented',
    )
  })
})
