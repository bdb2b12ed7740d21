import assert from 'node:assert/strict'
import { Buffer } from 'node:buffer'
import { after, afterEach, before, describe, it } from 'node:test'
import type { Probe } from '../../server/plugins/conformance/probe.ts'
import { faultsOf, startPlugin } from '../../test/support/channel-plugin.ts'
import { startSlack } from './slack-server.ts'

const BOT = 'xoxb-of-the-tests'
const APP = 'xapp-of-the-tests'
const ROOM = 'C0ROOM'
const DIRECT = 'D0ADA'

const send = (request_id: string, chat_id: string, content: string, more: object = {}) => ({
  type: 'send_message',
  request_id,
  chat_id,
  content,
  ...more,
})

describe('Slack', () => {
  let slack: Awaited<ReturnType<typeof startSlack>>
  let probe: Probe | undefined

  before(async () => {
    slack = await startSlack({ bot: BOT, app: APP, retryMs: 300 })
    slack.channel(ROOM)
    slack.channel(DIRECT)
    slack.channel('C0CLOSED', { member: false })
    slack.user('U0ADA', 'ada', 'Ada L')
    slack.user('U0BOB', 'bob', 'Bob')
  })
  afterEach(async () => {
    await probe?.kill()
    probe = undefined
    slack.prepared.length = 0
    await slack.until(() => slack.open() === 0 || undefined, 'the end of all connections')
  })
  after(() => slack.close())

  const secrets = { bot_token: BOT, app_token: APP }
  const settings = (config: object = {}) => ({ config: { api_root: `${slack.url}/api`, ...config }, secrets })
  /** Started, and hearing. */
  async function start(more: Parameters<typeof startPlugin>[1] = {}): Promise<Probe> {
    probe = await startPlugin('slack', { ...settings(), ...more })
    assert.ok(await probe.event('status', ({ connected }) => connected, 20_000), probe.stderr())
    return probe
  }
  const said = (plugin: Probe, text: string, from = 0) =>
    plugin.event(
      'message_received',
      ({ content }) => content.type === 'text' && content.text === text,
      20_000,
      from,
    )
  const kept = (plugin: Probe, from: number) => plugin.event('state_set', ({ key }) => key === 'read', undefined, from)
  const idOf = (answer: Awaited<ReturnType<Probe['ask']>>) =>
    answer?.type === 'command_ok' ? answer.message_id ?? '' : JSON.stringify(answer)
  const codeOf = (answer: Awaited<ReturnType<Probe['ask']>>) => answer?.type === 'command_error' ? answer.code : answer
  const textsOf = (plugin: Probe, chat: string) =>
    plugin.events.flatMap((event) =>
      event.type === 'message_received' && event.content.type === 'text' && event.chat_id === chat
        ? [event.content.text]
        : []
    )

  it('says who it is, and tells direct messages, channels and threads apart', async () => {
    const plugin = await start()
    assert.equal((await plugin.event('status'))?.identity, '@helper')
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
    const plugin = await start()
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

  it('acknowledges what the core has stored, and knows again what Slack repeats', async () => {
    const plugin = await start()
    const { envelope } = slack.write(DIRECT, 'keep this')
    const message = await said(plugin, 'keep this')
    await slack.ackOf(envelope)
    const stored = plugin.events.findIndex((event, i) =>
      i > plugin.events.indexOf(message!) && event.type === 'state_get'
    )
    assert.ok(stored > 0)
    const before = slack.acked.length
    // Under a core that takes no lines, nothing is acknowledged, and Slack says it again.
    await plugin.write('{"type":"ping",')
    const slow = slack.write(DIRECT, 'the core is slow')
    await said(plugin, 'the core is slow')
    await slack.until(() => slack.resent.includes(slow.envelope) || undefined, 'the second time')
    assert.equal(slack.acked.length, before)
    await plugin.write('"request_id":"P1"}\n')
    await slack.ackOf(slow.envelope)
    slack.write(DIRECT, 'the next')
    await said(plugin, 'the next')
    assert.equal(textsOf(plugin, DIRECT).filter((text) => text === 'the core is slow').length, 1)
  })

  it('is meant in threads below its messages and in those that it wrote in', async () => {
    const plugin = await start()
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
    const plugin = await start(settings({ answer_in_threads: true, follow_threads: false }))
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
    const plugin = await start()
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
    const plugin = await start()
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
    const first = await start()
    const sent = idOf(await first.ask(send(id, DIRECT, 'only once')))
    await first.kill()
    const second = await start()
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
    const plugin = await start()
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
      url: `data:image/png;base64,${Buffer.from('picture').toString('base64')}`,
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
    const plugin = await start()
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
    const plugin = await start()
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
    const plugin = await start()
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
    use('is it <green>?', 'D0BOBADA')
    const question = await said(plugin, 'is it <green>?')
    assert.deepEqual([question?.chat_id, question?.routing.chat_type], [DIRECT, 'dm'])
    use('', ROOM)
    assert.ok(await said(plugin, '/help'))
  })

  it('puts a reaction on what is meant for it', async () => {
    const plugin = await start(settings({ acknowledge: ':eyes:' }))
    const from = slack.calls.length
    slack.write(ROOM, 'talk')
    await said(plugin, 'talk')
    const { ts } = slack.write(ROOM, '<@U0HELPER> now')
    const { args } = await slack.called('reactions.add', from)
    assert.deepEqual([args.channel, args.timestamp, args.name], [ROOM, ts, 'eyes'])
  })

  it('opens the next connection before Slack closes the last', async () => {
    const plugin = await start()
    const before = slack.connections()
    slack.leave('refresh_requested')
    await slack.until(() => slack.connections() > before || undefined, 'another connection')
    await slack.until(() => slack.open() === 1 || undefined, 'the end of the old connection')
    slack.write(DIRECT, 'after the change')
    assert.ok(await said(plugin, 'after the change'))
    assert.ok(!plugin.events.some((event) => event.type === 'status' && !event.connected))
  })

  it('reads what was said during a break, in channels and threads', { timeout: 60_000 }, async () => {
    const plugin = await start()
    const root = slack.write(ROOM, 'before the break')
    slack.write(ROOM, 'in a thread before it', { thread_ts: root.ts })
    await said(plugin, 'in a thread before it')
    slack.cut()
    assert.ok(await plugin.event('status', ({ connected }) => !connected))
    const broken = plugin.events.length
    slack.write(ROOM, 'during the break', { heard: false })
    slack.write(ROOM, 'in the thread meanwhile', { heard: false, thread_ts: root.ts })
    assert.ok(await plugin.event('status', ({ connected }) => connected, 20_000, broken))
    const message = await said(plugin, 'during the break')
    assert.equal(message?.chat_id, ROOM)
    assert.equal((await said(plugin, 'in the thread meanwhile'))?.routing.thread_id, root.ts)
  })

  it('reads what was said while it was gone, page by page, and waits when Slack asks for it', {
    timeout: 60_000,
  }, async () => {
    const state = new Map<string, unknown>()
    const first = await start({ state })
    slack.write(DIRECT, 'seen')
    const seen = await said(first, 'seen')
    await kept(first, first.events.indexOf(seen!))
    await first.kill()
    const missed = Array.from({ length: 250 }, (_, i) => `missed ${i + 1}`)
    for (const text of missed) slack.write(DIRECT, text, { heard: false })
    slack.prepared.push({ method: 'conversations.history', status: 429, headers: { 'retry-after': '1' } })
    const second = await start({ state })
    slack.write(DIRECT, 'and now')
    await said(second, 'and now')
    assert.deepEqual(textsOf(second, DIRECT), [...missed, 'and now'])
  })

  it('finds out that a connection is dead, and what was missed by it', { timeout: 60_000 }, async () => {
    const plugin = await start(settings({ quiet_seconds: 2 }))
    slack.write(DIRECT, 'alive')
    await said(plugin, 'alive')
    slack.goDeaf()
    slack.write(DIRECT, 'into the void', { heard: false })
    assert.ok(await said(plugin, 'into the void'))
    await slack.until(() => slack.open() === 2 || undefined, 'the next connection')
    slack.cut()
  })

  it('tells when to try again, and what is lost', async () => {
    const plugin = await start()
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

  it('ends when a token is refused, in words for the owner', { timeout: 60_000 }, async () => {
    const refused: [Record<string, string>, RegExp][] = [
      [{ ...secrets, bot_token: 'xoxb-wrong' }, /bot token/],
      [{ ...secrets, app_token: 'xapp-wrong' }, /app token/],
      [{ bot_token: 'xapp-wrong', app_token: 'xoxb-wrong' }, /xoxb-/],
      [{ ...secrets, bot_token: 'xoxb-wrong secret\n!' }, /characters/],
    ]
    for (const [secrets, words] of refused) {
      probe = await startPlugin('slack', { ...settings(), secrets })
      const error = await probe.event('error', undefined, 20_000)
      assert.deepEqual([error?.code, error?.fatal], ['unauthorized', true])
      assert.match(error!.message, words)
      assert.ok(!(JSON.stringify(probe.events) + probe.stderr()).includes('wrong'))
      await probe.kill()
    }
    slack.setApp('A0ANOTHER')
    probe = await startPlugin('slack', settings())
    const error = await probe.event('error', undefined, 20_000)
    slack.setApp('A0HELPER')
    assert.match(error!.message, /two apps/)
    assert.ok(!(JSON.stringify(probe.events) + probe.stderr()).match(new RegExp(`${BOT}|${APP}`)))
  })

  it('gets ready while Slack is out of reach', async () => {
    probe = await startPlugin('slack', { config: { api_root: 'http://127.0.0.1:9/api' }, secrets })
    assert.ok(await probe.event('ready'))
    assert.equal((await probe.event('status'))?.connected, false)
    assert.equal(codeOf(await probe.ask(send('R1', DIRECT, 'x'))), 'not_connected')
    assert.ok(!(JSON.stringify(probe.events) + probe.stderr()).match(new RegExp(`${BOT}|${APP}`)))
  })

  it('passes the conformance kit, also under a server that sends no settings', { timeout: 120_000 }, async () => {
    const env = { SLACK_BOT_TOKEN: BOT, SLACK_APP_TOKEN: APP, SLACK_API_ROOT: `${slack.url}/api` }
    assert.deepEqual(await faultsOf('slack', { env }, DIRECT, { bare: true }), [])
  })
})
