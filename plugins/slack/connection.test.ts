import assert from 'node:assert/strict'
import { after, afterEach, before, describe, it } from 'node:test'
import {
  APP,
  BOT,
  codeOf,
  DIRECT,
  ROOM,
  said,
  SECRETS,
  send,
  startBench,
  textsOf,
} from '../../test/support/slack-bench.ts'

describe('the connection to Slack', () => {
  let bench: Awaited<ReturnType<typeof startBench>>
  let slack: typeof bench.slack

  before(async () => {
    bench = await startBench()
    slack = bench.slack
  })
  afterEach(() => bench.end())
  after(() => slack.close())

  it('acknowledges what the core has stored, and knows again what Slack repeats', async () => {
    const plugin = await bench.start()
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

  it('opens the next connection before Slack closes the last', async () => {
    const plugin = await bench.start()
    const before = slack.connections()
    slack.leave('refresh_requested')
    await slack.until(() => slack.connections() > before || undefined, 'another connection')
    await slack.until(() => slack.open() === 1 || undefined, 'the end of the old connection')
    slack.write(DIRECT, 'after the change')
    assert.ok(await said(plugin, 'after the change'))
    assert.ok(!plugin.events.some((event) => event.type === 'status' && !event.connected))
  })

  it('reads what was said during a break, in channels and threads', { timeout: 60_000 }, async () => {
    const plugin = await bench.start()
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
    const first = await bench.start({ state })
    slack.write(DIRECT, 'seen')
    const seen = await said(first, 'seen')
    await first.event('state_set', ({ key }) => key === 'read', undefined, first.events.indexOf(seen!))
    await first.kill()
    const missed = Array.from({ length: 250 }, (_, i) => `missed ${i + 1}`)
    for (const text of missed) slack.write(DIRECT, text, { heard: false })
    slack.prepared.push({ method: 'conversations.history', status: 429, headers: { 'retry-after': '1' } })
    const second = await bench.start({ state })
    slack.write(DIRECT, 'and now')
    await said(second, 'and now')
    assert.deepEqual(textsOf(second, DIRECT), [...missed, 'and now'])
  })

  it('finds out that a connection is dead, and what was missed by it', { timeout: 60_000 }, async () => {
    const plugin = await bench.start(bench.settings({ quiet_seconds: 2 }))
    slack.write(DIRECT, 'alive')
    await said(plugin, 'alive')
    slack.goDeaf()
    slack.write(DIRECT, 'into the void', { heard: false })
    assert.ok(await said(plugin, 'into the void'))
    await slack.until(() => slack.open() === 2 || undefined, 'the next connection')
    slack.cut()
  })

  it('ends when a token is refused, in words for the owner', { timeout: 60_000 }, async () => {
    const refused: [Record<string, string>, RegExp][] = [
      [{ ...SECRETS, bot_token: 'xoxb-wrong' }, /bot token/],
      [{ ...SECRETS, app_token: 'xapp-wrong' }, /app token/],
      [{ bot_token: 'xapp-wrong', app_token: 'xoxb-wrong' }, /xoxb-/],
      [{ ...SECRETS, bot_token: 'xoxb-wrong secret\n!' }, /characters/],
    ]
    for (const [secrets, words] of refused) {
      const plugin = await bench.launch({ secrets })
      const error = await plugin.event('error', undefined, 20_000)
      assert.deepEqual([error?.code, error?.fatal], ['unauthorized', true])
      assert.match(error!.message, words)
      assert.ok(!(JSON.stringify(plugin.events) + plugin.stderr()).includes('wrong'))
      await plugin.kill()
    }
    slack.setApp('A0ANOTHER')
    const plugin = await bench.launch()
    const error = await plugin.event('error', undefined, 20_000)
    slack.setApp('A0HELPER')
    assert.match(error!.message, /two apps/)
    assert.ok(!(JSON.stringify(plugin.events) + plugin.stderr()).match(new RegExp(`${BOT}|${APP}`)))
  })

  it(
    'tells each message once, in order, through repetitions and broken connections',
    { timeout: 120_000 },
    async () => {
      const plugin = await bench.start()
      const texts = Array.from({ length: 300 }, (_, i) => `storm ${i + 1}`)
      for (const [i, text] of texts.entries()) {
        // Slack gives up what is not acknowledged in time; some it says twice.
        const { ts } = slack.write(DIRECT, text)
        if (i % 5 === 0) slack.event({ type: 'message', channel: DIRECT, ts, user: 'U0ADA', text, channel_type: 'im' })
        if (i % 100 !== 80) continue
        slack.cut()
        if (i < 200) await slack.until(() => slack.open() > 0 || undefined, 'a connection')
      }
      await plugin.until(() => textsOf(plugin, DIRECT).length >= texts.length || undefined, 60_000)
      assert.deepEqual(textsOf(plugin, DIRECT), texts)
      // An answer still finds its way.
      assert.equal((await plugin.ask(send('S1', DIRECT, 'done')))?.type, 'command_ok')
    },
  )

  it('takes no harm from nonsense', async () => {
    const plugin = await bench.start()
    const frames = [
      'no JSON',
      '[]',
      '"text"',
      '{"type":"events_api","envelope_id":"E1"}',
      '{"type":"events_api","envelope_id":"E2","payload":{"event":{"type":"message","channel":7,"ts":{},"user":[]}}}',
      '{"type":"interactive","envelope_id":"E3","payload":{"type":"block_actions"}}',
      '{"type":"slash_commands","envelope_id":"E4","payload":{}}',
      '{"type":"something_new","envelope_id":"E5","payload":{}}',
      'null',
    ]
    for (const frame of frames) slack.say(frame)
    slack.write(DIRECT, 'still here')
    assert.ok(await said(plugin, 'still here'))
    assert.equal(plugin.ended(), undefined)
    assert.deepEqual(plugin.problems, [])
  })

  it("follows no address that is not Slack's, and sends nothing there", async () => {
    slack.prepared.push({
      method: 'apps.connections.open',
      body: { ok: true, url: 'wss://slack.com.evil.example/link' },
    })
    const plugin = await bench.launch()
    assert.match((await plugin.event('status', ({ connected }) => !connected))?.detail ?? '', /not its own/)
    assert.ok(await plugin.event('status', ({ connected }) => connected, 20_000))
    slack.prepared.push({
      method: 'files.getUploadURLExternal',
      body: { ok: true, file_id: 'F1', upload_url: 'http://169.254.169.254/latest' },
    })
    const media = { source: 'base64', data: 'aGVsbG8=', mime_type: 'text/plain' }
    const answer = await plugin.ask({ type: 'send_media', request_id: 'A1', chat_id: DIRECT, media })
    assert.equal(codeOf(answer), 'forbidden')
  })

  it('says when another program takes messages away, and when socket mode is turned off', async () => {
    const call = { method: 'POST', headers: { authorization: `Bearer ${APP}` }, body: new URLSearchParams() }
    const { url } = await (await fetch(`${slack.url}/api/apps.connections.open`, call)).json() as { url: string }
    const other = new WebSocket(url)
    await slack.until(() => slack.open() === 1 || undefined, 'the other program')
    const plugin = await bench.start()
    assert.ok(await plugin.event('log', ({ message }) => message.includes('Another program')))
    other.close()
    slack.leave('link_disabled')
    slack.cut()
    const down = await plugin.event('status', ({ connected }) => !connected)
    assert.match(down?.detail ?? '', /Socket Mode/)
  })

  it('gets ready while Slack is out of reach', async () => {
    const plugin = await bench.launch({ config: { api_root: 'http://127.0.0.1:9/api' } })
    assert.ok(await plugin.event('ready'))
    assert.equal((await plugin.event('status'))?.connected, false)
    assert.equal(codeOf(await plugin.ask(send('R1', DIRECT, 'x'))), 'not_connected')
    assert.ok(!(JSON.stringify(plugin.events) + plugin.stderr()).match(new RegExp(`${BOT}|${APP}`)))
  })
})
