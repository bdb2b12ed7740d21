import assert from 'node:assert/strict'
import { Buffer } from 'node:buffer'
import { after, afterEach, before, describe, it } from 'node:test'
import { faultsOf } from '../../test/support/channel-plugin.ts'
import {
  APP,
  BOT,
  codeOf,
  DIRECT,
  idOf,
  ROOM,
  said,
  send,
  startBench,
  textsOf,
} from '../../test/support/slack-bench.ts'

describe('Slack', () => {
  let bench: Awaited<ReturnType<typeof startBench>>
  let slack: typeof bench.slack

  before(async () => {
    bench = await startBench()
    slack = bench.slack
  })
  afterEach(() => bench.end())
  after(() => slack.close())

  it('says who it is, and tells direct messages, channels and threads apart', async () => {
    const plugin = await bench.start()
    assert.equal((await plugin.event('status'))?.identity, '@helper in Tests')
    const hello = slack.write(DIRECT, 'hello &lt;you&gt; &amp; me')
    const direct = await said(plugin, 'hello <you> & me')
    assert.deepEqual(
      [direct?.message_id, direct?.chat_id, direct?.routing.chat_type, direct?.sender, direct?.mentions_bot],
      [hello.ts, DIRECT, 'dm', { id: 'U0ADA', username: 'ada', display_name: 'Ada L' }, true],
    )
    assert.equal(direct?.timestamp, new Date(Number(hello.ts) * 1000).toISOString())
    const root = slack.write(ROOM, 'among us, <@U0BOB> in <#C0ROOM|general>: <https://e.org/?a=1&amp;b=2|see here>')
    const room = await said(plugin, 'among us, @Bob in #general: see here (https://e.org/?a=1&b=2)')
    assert.deepEqual(
      [room?.routing.chat_type, room?.routing.thread_id, room?.mentions_bot, room?.reply_to_bot],
      ['group', undefined, false, false],
    )
    slack.write(ROOM, 'in the thread', { thread_ts: root.ts, parent_user_id: 'U0ADA' })
    const thread = await said(plugin, 'in the thread')
    assert.deepEqual([thread?.chat_id, thread?.routing.thread_id, thread?.reply_to], [ROOM, root.ts, root.ts])
    slack.write(ROOM, 'and more there', { thread_ts: root.ts, subtype: 'thread_broadcast' })
    const more = await said(plugin, 'and more there')
    assert.deepEqual([more?.routing.thread_id, more?.reply_to, more?.reply_to_bot], [root.ts, undefined, false])
    assert.deepEqual(plugin.problems, [])
  })

  it('hears when it is called, once, and passes over bots, edits and news', async () => {
    const plugin = await bench.start()
    const text = '<@U0HELPER> is it green, <@U0HELPER|helper>?'
    const { ts } = slack.write(ROOM, text)
    await slack.ackOf(slack.event({ type: 'app_mention', user: 'U0ADA', text, ts, channel: ROOM, event_ts: ts }))
    const called = await said(plugin, 'is it green, @helper?')
    assert.equal(called?.mentions_bot, true)
    slack.write(ROOM, 'from a bot', { bot_id: 'B0OTHER', subtype: 'bot_message' })
    slack.write(ROOM, 'has joined', { subtype: 'channel_join' })
    slack.event({
      type: 'message',
      subtype: 'message_changed',
      channel: ROOM,
      hidden: true,
      message: { text: 'edited' },
    })
    slack.event({
      type: 'reaction_added',
      user: 'U0ADA',
      reaction: 'eyes',
      item: { type: 'message', channel: ROOM, ts },
    })
    slack.write(ROOM, 'waves', { subtype: 'me_message' })
    await said(plugin, '* waves')
    assert.equal(textsOf(plugin, ROOM).filter((text) => text.startsWith('is it green')).length, 1)
    assert.ok(!JSON.stringify(plugin.events).match(/from a bot|has joined|edited/))
  })

  it('is meant in threads below its messages and in those that it wrote in', async () => {
    const plugin = await bench.start()
    const sent = idOf(await plugin.ask(send('R1', ROOM, 'It is.')))
    slack.write(ROOM, 'why?', { thread_ts: sent, parent_user_id: 'U0HELPER' })
    const answer = await said(plugin, 'why?')
    assert.deepEqual([answer?.routing.thread_id, answer?.reply_to, answer?.reply_to_bot], [sent, sent, true])
    const root = slack.write(ROOM, 'a question')
    await plugin.ask(send('R2', ROOM, 'An answer', { thread_id: root.ts }))
    slack.write(ROOM, 'thanks', { thread_ts: root.ts, parent_user_id: 'U0ADA' })
    assert.equal((await said(plugin, 'thanks'))?.reply_to_bot, true)
  })

  it('begins a thread with each call of a channel, and stays out of others, if it is told to', async () => {
    const plugin = await bench.start(bench.settings({ answer_in_threads: true, follow_threads: false }))
    const call = slack.write(ROOM, '<@U0HELPER> in a thread')
    assert.equal((await said(plugin, 'in a thread'))?.routing.thread_id, call.ts)
    slack.write(ROOM, 'not for it')
    assert.equal((await said(plugin, 'not for it'))?.routing.thread_id, undefined)
    slack.write(DIRECT, 'directly')
    assert.equal((await said(plugin, 'directly'))?.routing.thread_id, undefined)
    await plugin.ask(send('T0', ROOM, 'An answer', { thread_id: call.ts }))
    slack.write(ROOM, 'between us', { thread_ts: call.ts, parent_user_id: 'U0ADA' })
    assert.equal((await said(plugin, 'between us'))?.reply_to_bot, false)
  })

  it('answers in the thread, calls nobody, edits and deletes', async () => {
    const plugin = await bench.start()
    const root = slack.write(ROOM, 'over here')
    const message_id = idOf(
      await plugin.ask(send('T1', ROOM, '**green** <!channel> [a](https://e.org)', { thread_id: root.ts })),
    )
    const sent = slack.messages.at(-1)!
    assert.deepEqual(
      [sent.ts, sent.channel, sent.thread_ts, sent.text],
      [message_id, ROOM, root.ts, '*green* &lt;!channel&gt; <https://e.org|a>'],
    )
    const { args } = slack.calls.findLast(({ method }) => method === 'chat.postMessage')!
    assert.deepEqual([args.unfurl_links, args.unfurl_media], ['false', 'false'])
    await plugin.ask({ type: 'edit_message', request_id: 'T2', chat_id: ROOM, message_id, content: '_red_' })
    assert.deepEqual([sent.text, sent.blocks], ['_red_', []])
    // More than an edited text may have, as soon as its signs are escaped.
    const long = '<&> '.repeat(800)
    const grown = { type: 'edit_message', request_id: 'T3', chat_id: ROOM, message_id, content: long }
    assert.equal(idOf(await plugin.ask(grown)), message_id)
    const blocks = sent.blocks as { text: { text: string } }[]
    assert.equal(blocks.map(({ text }) => text.text.split(' ').length).reduce((one, other) => one + other), 800)
    await plugin.ask({ type: 'delete_message', request_id: 'T4', chat_id: ROOM, message_id })
    assert.ok(!slack.messages.some(({ ts }) => ts === message_id))
  })

  it('splits long texts and keeps fences', async () => {
    const plugin = await bench.start()
    const before = slack.messages.length
    await plugin.ask(send('L1', DIRECT, `\`\`\`ts\n${'const x = 1\n'.repeat(500)}\`\`\``))
    const pieces = slack.messages.slice(before).map(({ text }) => String(text))
    assert.equal(pieces.length, 2)
    for (const piece of pieces) {
      assert.ok(piece.length <= 4000)
      assert.match(piece, /^```\n[^`]*\n```$/)
    }
  })

  it('shows a message once, also when its answer was lost or it is repeated to another process', async () => {
    const before = slack.messages.length
    const id = '01KHW3Q7M8ZB4T5R6Y7A8C9D0E'
    const first = await bench.start()
    const sent = idOf(await first.ask(send(id, DIRECT, 'only once')))
    await first.kill()
    const second = await bench.start()
    assert.equal(idOf(await second.ask(send(id, DIRECT, 'only once'))), sent)
    assert.equal(slack.messages.length, before + 1)
    const { ts } = slack.write(ROOM, 'a root')
    slack.prepared.push({ method: 'chat.postMessage', cut: true })
    const inThread = send('01KHW3Q7M8ZB4T5R6Y7A8C9D0F', ROOM, 'in the dark', { thread_id: ts })
    assert.equal(codeOf(await second.ask(inThread)), 'not_connected')
    const answers = second.events.length
    await second.send(inThread)
    const done = await second.event('command_ok', undefined, undefined, answers)
    assert.equal(done?.message_id, slack.messages.at(-1)!.ts)
    assert.equal(slack.messages.filter(({ text }) => text === 'in the dark').length, 1)
  })

  it('gives files themselves, each as a message, and fetches none from elsewhere', async () => {
    const plugin = await bench.start()
    slack.files.set('cat.png', { bytes: Buffer.from('picture'), name: 'cat.png', type: 'image/png' })
    const own = { id: 'F1', name: 'cat.png', mimetype: 'image/png', size: 7, url_private: `${slack.url}/files/cat.png` }
    const files = [
      own,
      { ...own, id: 'F2', name: 'big.zip', mimetype: 'application/zip', size: 9e6 },
      { ...own, id: 'F3', name: 'secret.png', url_private: `${slack.url}/files/secret.png` },
      { ...own, id: 'F4', name: 'plan', is_external: true, url_private: 'https://drive.example/plan' },
      { ...own, id: 'F5', name: 'trap', url_private: 'http://169.254.169.254/files/trap' },
      { ...own, id: 'F6', name: 'clip.m4a', mimetype: 'audio/mp4', subtype: 'slack_audio' },
    ]
    const { ts } = slack.write(DIRECT, 'look', { subtype: 'file_share', files })
    const took = async (n: number) => {
      const id = n === 1 ? ts : `${ts}#${n}`
      const message = await plugin.event('message_received', ({ message_id }) => message_id === id)
      return message?.content
    }
    assert.deepEqual(await took(1), {
      type: 'media',
      media_type: 'image',
      url: `data:image/png;name=cat.png;base64,${Buffer.from('picture').toString('base64')}`,
      caption: 'look',
    })
    const captions = await Promise.all([2, 3, 4, 5].map(async (n) => {
      const content = await took(n)
      return content?.type === 'media' && content.url === undefined ? content.caption : content
    }))
    assert.deepEqual(captions, [
      '[the file big.zip is larger than 640 KB and was left out]',
      '[the file secret.png could not be fetched]',
      '[a file elsewhere: plan, https://drive.example/plan]',
      '[a file elsewhere: trap, http://169.254.169.254/files/trap]',
    ])
    const voice = await took(6)
    assert.equal(voice?.type === 'media' && voice.media_type, 'voice')
  })

  it('sends files with their words, once, also into threads', async () => {
    const plugin = await bench.start()
    const root = slack.write(ROOM, 'a file, please')
    const media = { source: 'base64', data: 'aGVsbG8=', mime_type: 'text/plain', filename: 'hello.txt' }
    const command = {
      type: 'send_media',
      request_id: 'M1',
      chat_id: ROOM,
      thread_id: root.ts,
      media,
      caption: '**here**',
    }
    const sent = idOf(await plugin.ask(command))
    const message = slack.messages.find(({ ts }) => ts === sent)!
    assert.deepEqual([message.text, message.thread_ts], ['*here*', root.ts])
    const upload = slack.uploads.get((message.files as { id: string }[])[0]!.id)!
    assert.deepEqual([upload.name, Buffer.from(upload.bytes!).toString()], ['hello.txt', 'hello'])
    // It was shared, and nobody heard of it.
    const [before, answers] = [slack.messages.length, plugin.events.length]
    slack.prepared.push({ method: 'files.completeUploadExternal', cut: true })
    await plugin.ask({ ...command, request_id: 'M2' })
    await plugin.send({ ...command, request_id: 'M2' })
    assert.ok(await plugin.event('command_ok', undefined, undefined, answers))
    assert.equal(slack.messages.length, before + 1)
    const link = { source: 'url', url: 'https://e.org/c.png' }
    await plugin.ask({ type: 'send_media', request_id: 'M3', chat_id: ROOM, media: link, caption: 'a cat' })
    assert.equal(slack.messages.at(-1)!.text, 'a cat\nhttps://e.org/c.png')
  })

  it('shows buttons, takes a pressed one in a thread, and says a word about it', async () => {
    const plugin = await bench.start()
    const root = slack.write(ROOM, 'ask me')
    const row = ['a', 'b'].map((name) => ({ text: name.repeat(90), callback_data: `ask:${name}` }))
    const message_id = idOf(
      await plugin.ask(send('B1', ROOM, '**which?**', { thread_id: root.ts, inline_keyboard: { rows: [row, row] } })),
    )
    const blocks = slack.messages.at(-1)!.blocks as { type: string; text?: { text: string } }[]
    assert.deepEqual(blocks.map(({ type }) => type), ['section', 'actions', 'actions'])
    assert.equal(blocks[0]?.text?.text, '*which?*')
    const envelope = slack.tell('interactive', {
      type: 'block_actions',
      trigger_id: '1.2.three',
      user: { id: 'U0ADA', username: 'ada', team_id: 'T1' },
      container: { type: 'message', message_ts: message_id, channel_id: ROOM, thread_ts: root.ts },
      channel: { id: ROOM, name: 'general' },
      message: { ts: message_id, thread_ts: root.ts },
      actions: [{ type: 'button', action_id: 'button-0-1', value: 'ask:b', action_ts: '1.1' }],
    })
    const pressed = await plugin.event('callback_query')
    assert.deepEqual(
      [pressed?.chat_id, pressed?.message_id, pressed?.data, pressed?.sender],
      [ROOM, message_id, 'ask:b', { id: 'U0ADA', username: 'ada', display_name: 'Ada L' }],
    )
    await slack.ackOf(envelope)
    const id = pressed!.callback_query_id
    await plugin.ask({ type: 'answer_callback_query', request_id: 'B2', callback_query_id: id, text: 'Allowed <3' })
    const { args } = await slack.called('chat.postEphemeral')
    assert.deepEqual([args.channel, args.user, args.thread_ts, args.text], [ROOM, 'U0ADA', root.ts, 'Allowed &lt;3'])
    const long = { rows: [[{ text: 'x', callback_data: 'x'.repeat(2001) }]] }
    assert.equal(codeOf(await plugin.ask(send('B3', ROOM, 'x', { inline_keyboard: long }))), 'invalid_request')
  })

  it('takes a slash command as a message, and answers what is asked in a foreign chat in its own', async () => {
    const plugin = await bench.start()
    const use = (text: string, channel_id: string) =>
      slack.tell('slash_commands', {
        command: '/gatehouse',
        text,
        trigger_id: `t${text}`,
        user_id: 'U0ADA',
        user_name: 'ada',
        channel_id,
        channel_name: channel_id === ROOM ? 'general' : 'directmessage',
        response_url: 'https://hooks.slack.com/commands/x',
      })
    const status = await slack.ackOf(use('model large', ROOM))
    assert.deepEqual(status.payload, { response_type: 'ephemeral', text: '/model large' })
    const message = await said(plugin, '/model large')
    assert.deepEqual(
      [message?.chat_id, message?.routing.chat_type, message?.sender.username, message?.mentions_bot],
      [ROOM, 'group', 'ada', true],
    )
    use('is it &lt;green&gt;, <@U0BOB|bob>?', 'D0BOBADA')
    const question = await said(plugin, 'is it <green>, @bob?')
    assert.deepEqual([question?.chat_id, question?.routing.chat_type], [DIRECT, 'dm'])
    for (const closed of ['C0CLOSED', 'C0HIDDEN']) {
      assert.match(String((await slack.ackOf(use('who hears?', closed))).payload?.text), /\/invite/)
    }
    use('', ROOM)
    assert.ok(await said(plugin, '/help'))
    assert.ok(!JSON.stringify(plugin.events).includes('who hears?'))
  })

  it('sets a sign below a message in place of the one before', async () => {
    const plugin = await bench.start()
    const { ts } = slack.write(ROOM, 'work, please')
    const react = (request_id: string, more: object) =>
      plugin.ask({ type: 'set_reaction', request_id, chat_id: ROOM, message_id: ts, ...more })
    await react('X1', { emoji: '👀' })
    assert.deepEqual(slack.reactions.get(ts), ['eyes'])
    // A repetition of what is there already is none.
    assert.equal((await react('X2', { emoji: '👀' }))?.type, 'command_ok')
    await react('X3', { emoji: '👍', replaces: '👀' })
    assert.deepEqual(slack.reactions.get(ts), ['+1'])
    assert.equal((await react('X4', { replaces: '👀' }))?.type, 'command_ok')
    await react('X5', { replaces: '👍' })
    assert.deepEqual(slack.reactions.get(ts), [])
    assert.equal(codeOf(await react('X6', { emoji: '🦩' })), 'invalid_request')
  })

  it('tells when to try again, and what is lost', async () => {
    const plugin = await bench.start()
    slack.prepared.push({
      method: 'chat.postMessage',
      status: 429,
      headers: { 'retry-after': '7' },
      body: { ok: false, error: 'ratelimited' },
    })
    const slow = await plugin.ask(send('E1', DIRECT, 'x'))
    assert.deepEqual(slow?.type === 'command_error' && [slow.code, slow.retry_after_ms], ['rate_limited', 7000])
    assert.equal(codeOf(await plugin.ask(send('E2', 'C0NOWHERE', 'x'))), 'chat_not_found')
    assert.equal(codeOf(await plugin.ask(send('E3', '../auth.test', 'x'))), 'chat_not_found')
    const closed = await plugin.ask(send('E4', 'C0CLOSED', 'x'))
    assert.equal(codeOf(closed), 'forbidden')
    assert.match(JSON.stringify(closed), /\/invite/)
    const edit = { type: 'edit_message', request_id: 'E5', chat_id: ROOM, message_id: '8.11', content: 'x' }
    assert.equal(codeOf(await plugin.ask(edit)), 'message_not_found')
    slack.prepared.push({
      method: 'chat.postMessage',
      body: { ok: false, error: 'missing_scope', needed: 'chat:write' },
    })
    assert.match(JSON.stringify(await plugin.ask(send('E6', ROOM, 'x'))), /forbidden.*chat:write/)
  })

  it('passes the conformance kit, also under a server that sends no settings', { timeout: 120_000 }, async () => {
    const env = { SLACK_BOT_TOKEN: BOT, SLACK_APP_TOKEN: APP, SLACK_API_ROOT: `${slack.url}/api` }
    assert.deepEqual(await faultsOf('slack', { env }, DIRECT, { bare: true }), [])
  })
})
