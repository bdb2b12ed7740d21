import assert from 'node:assert/strict'
import process from 'node:process'
import { after, afterEach, describe, it } from 'node:test'
import { scripted } from '../server/models/providers/scripted.ts'
import type { GatewayError } from '../server/plugins/service.ts'
import type { Plugin } from '../shared/plugins.ts'
import { testApp } from './support/app.ts'
import { channel, homeWith, hosted, until } from './support/plugins/hosted.ts'

type Hosted = Awaited<ReturnType<typeof hosted>>

const opened: Hosted[] = []
const open = async (...given: Parameters<typeof hosted>): Promise<Hosted> => {
  const app = await hosted(...given)
  opened.push(app)
  return app
}
const close = () => Promise.all(opened.splice(0).map((app) => app.close()))

const failure = (work: Promise<unknown>): Promise<GatewayError> =>
  work.then(() => assert.fail('it was done'), (error: GatewayError) => error)

describe('a gateway', { timeout: 240_000 }, () => {
  afterEach(close)
  after(close)

  it('named by a bare command carries commands and messages', async () => {
    const app = await open({ work: channel('gateway.mjs', 'work') })
    const gateway = await app.ready('work')
    assert.deepEqual(gateway.ready, { gateway: 'work', version: 'v1alpha1', capabilities: ['edit', 'typing'] })
    assert.deepEqual(await app.order('work', 'hello'), { message_id: 'm1' })
    await app.order('work', 'message good morning')
    await until(() => app.texts('work').includes('good morning'))
  })

  it('is heard from its first line on, however many start at the same time', async () => {
    // A shell speaks before anybody can have begun to listen.
    const ready = '{"type":"ready","gateway":"quick","version":"v1alpha1"}'
    const shell = { command: 'sh', args: ['-c', `echo '${ready}'; exec cat > /dev/null`] }
    const names = Array.from({ length: 12 }, (_, i) => `g${10 + i}`)
    const app = await open(Object.fromEntries(names.map((name) => [name, shell])), { ping_seconds: 60 })
    await Promise.all(names.map(app.ready))
    const { plugins } = await app.json<{ plugins: Plugin[] }>('/api/plugins')
    const started = plugins.filter(({ name }) => names.includes(name))
    assert.deepEqual(started.map(({ state, restarts }) => `${state} ${restarts}`), names.map(() => 'ready 0'))
  })

  it("named as in Duragent's configuration runs as well", async () => {
    const app = await open({})
    const yaml = JSON.stringify({ gateways: { external: [{ name: 'old', ...channel('gateway.mjs', 'old') }] } })
    const answer = await app.request('/api/config/gateways', {
      method: 'PATCH',
      json: (JSON.parse(yaml) as { gateways: unknown }).gateways,
    })
    assert.equal(answer.status, 200, await answer.text())
    await app.ready('old')
  })

  it('answers with its own error code, and says when to try again', async () => {
    const app = await open({ a: channel('gateway.mjs') })
    await app.ready('a')
    const error = await failure(app.order('a', 'fail rate_limited'))
    assert.equal(error.code, 'rate_limited')
    assert.equal(error.retry_after_ms, 7000)
  })

  it('that does not answer in time fails the command; its late answer is still heard of', async () => {
    const app = await open({ a: channel('gateway.mjs') })
    await app.ready('a')
    const error = await failure(app.order('a', 'late 300', { timeout_ms: 100, request_id: 'slow' }))
    assert.deepEqual([error.code, error.sent], ['timeout', true])
    const late = await until(() => app.heard.find(({ event }) => event.type === 'command_ok'))
    assert.deepEqual(late.event, { type: 'command_ok', request_id: 'slow', message_id: 'late' })
  })

  it('that lies about request ids settles nothing of others', async () => {
    const app = await open({ a: channel('gateway.mjs', 'a'), b: channel('gateway.mjs', 'b') })
    await Promise.all([app.ready('a'), app.ready('b')])
    const waiting = failure(app.order('b', 'silent', { request_id: 'of-b', timeout_ms: 1000 }))
    await app.order('a', 'lie of-b', { timeout_ms: 500 }).catch(() => {})
    assert.equal((await waiting).code, 'timeout')
    const { incidents } = await app.plugin('a')
    assert.ok(incidents.some(({ message }) => /request_id that was not asked/.test(message)))
  })

  it('gets one command once although it is sent twice before its answer', async () => {
    const app = await open({ a: channel('gateway.mjs') })
    await app.ready('a')
    const both = await Promise.all([
      app.order('a', 'message once', { request_id: 'same' }),
      app.order('a', 'message once', { request_id: 'same' }),
    ])
    assert.deepEqual(both[0], both[1])
    await app.order('a', 'hello')
    assert.deepEqual(app.texts('a'), ['once'])
  })

  it('hears typing, which nobody waits for', async () => {
    const app = await open({ a: channel('gateway.mjs') })
    const gateway = await app.ready('a')
    gateway.typing('1', 5)
    await until(async () => {
      const { lines } = await app.json<{ lines: { text: string }[] }>('/api/plugins/a/logs')
      return lines.some(({ text }) => text === 'typing 5')
    })
  })

  it('is not sent anything before it is ready', async () => {
    const app = await open({ a: channel('never-ready.mjs') })
    await until(() => app.plugins.gateways()[0]?.state === 'starting')
    const error = await failure(app.order('a', 'hello'))
    assert.deepEqual([error.code, error.sent], ['gone', false])
  })

  it('that ends fails what it was asked, and is started again', async () => {
    const app = await open({ a: channel('gateway.mjs') })
    await app.ready('a')
    const error = await failure(app.order('a', 'exit 3'))
    assert.deepEqual([error.code, error.sent], ['gone', true])
    await until(async () => (await app.plugin('a')).restarts === 1)
    await app.ready('a')
    await app.order('a', 'hello')
    assert.match((await app.plugin('a')).incidents[0]!.message, /exit code 3/)
  })

  it('that ends well stays ended under on_failure, and is started again under always', async () => {
    const app = await open({
      once: channel('gateway.mjs'),
      ever: { ...channel('gateway.mjs'), restart: 'always' },
      never: { ...channel('gateway.mjs'), restart: 'never' },
    })
    await Promise.all(['once', 'ever', 'never'].map(app.ready))
    await app.order('once', 'exit 0').catch(() => {})
    await app.order('ever', 'exit 0').catch(() => {})
    await app.order('never', 'exit 1').catch(() => {})
    await until(async () => (await app.plugin('ever')).restarts === 1)
    await app.ready('ever')
    await until(() => app.gateway('once').state === 'stopped')
    await until(() => app.gateway('never').state === 'failed')
    assert.equal((await app.plugin('once')).restarts, 0)
  })

  it('is heard to the end: what it printed just before it ended, an unterminated line included', async () => {
    const app = await open({ a: channel('gateway.mjs') })
    await app.ready('a')
    await app.order('a', 'farewell 0').catch(() => {})
    await until(() => app.texts('a').length === 2)
    assert.deepEqual(app.texts('a'), ['last words', 'without an end'])
  })

  it('may write a line in pieces while commands go the other way', async () => {
    const app = await open({ a: channel('gateway.mjs') })
    await app.ready('a')
    const long = 'x'.repeat(20_000)
    const halves = app.order('a', `halves ${long}`)
    await Promise.all([halves, ...Array.from({ length: 20 }, () => app.order('a', 'hello'))])
    await until(() => app.texts('a').length === 1)
    assert.deepEqual(app.texts('a'), [long])
  })

  it('is heard although it reads nothing and both pipes are full', async () => {
    const app = await open({ a: channel('gateway.mjs') }, { ping_seconds: 60, hold_seconds: 30 })
    await app.ready('a')
    const large = 'x'.repeat(500_000)
    const unread = app.order('a', 'deaf 300').then(() =>
      Array.from({ length: 4 }, () => app.order('a', large).catch(({ code }: { code: string }) => code))
    )
    await until(() => app.texts('a').length === 300)
    assert.deepEqual(app.texts('a'), Array.from({ length: 300 }, (_, i) => `${i} ${'y'.repeat(2000)}`))
    // Then it reads on, and nothing was lost in this direction either.
    assert.ok((await Promise.all(await unread)).every((answer) => typeof answer === 'object'))
  })

  it('loses only the event with a bad field, which is named in its log', async () => {
    const app = await open({ a: channel('gateway.mjs') })
    await app.ready('a')
    const routing = '{"channel":"t","chat_type":"dm","chat_id":"1","sender_id":"7","thread_id":9}'
    const bad = '{"type":"message_received","message_id":"1","chat_id":"1","sender":{"id":"7"},' +
      `"content":{"type":"text","text":"bad"},"routing":${routing}}`
    await app.order('a', `raw ${bad}\\nno JSON\\n\\n{"type":"Ready"}\\r\\n`)
    await app.order('a', 'message good')
    await until(() => app.texts('a').includes('good'))
    assert.deepEqual(app.texts('a'), ['good'])
    const messages = (await app.plugin('a')).incidents.map(({ message }) => message)
    assert.ok(messages.some((message) => message === 'message_received: routing.thread_id must be text'), `${messages}`)
    assert.equal(messages.length, 3)
    assert.equal(app.gateway('a').state, 'ready')
  })

  it('has its events handled strictly in order, and reads no further than it may while they wait', async () => {
    const app = await open({ a: channel('gateway.mjs') })
    await app.ready('a')
    let release: () => void = () => {}
    const held = new Promise<void>((resolve) => (release = resolve))
    app.hold(() => held)
    const answer = app.order('a', 'many 500', { timeout_ms: 60_000 })
    await until(async () => (await app.plugin('a')).counters.events > 100)
    const { counters } = await app.plugin('a')
    assert.ok(counters.events < 500, `${counters.events} were read`)
    release()
    await until(() => app.texts('a').length === 500)
    assert.deepEqual(app.texts('a'), Array.from({ length: 500 }, (_, i) => `message ${i + 1}`))
    await answer
  })

  it('keeps a message that could not be stored for a moment', async () => {
    const app = await open({ a: channel('gateway.mjs') })
    await app.ready('a')
    let failures = 2
    app.hold(async () => {
      if (failures-- > 0) throw new Error('the disk is full')
    })
    await app.order('a', 'message kept')
    await until(() => app.texts('a').length === 1)
    assert.deepEqual(app.texts('a'), ['kept'])
  })

  it('does not suffer for what the process before it said, and was read late', async () => {
    const app = await open({ a: channel('gateway.mjs') }, { stop_grace_ms: 0 })
    await app.ready('a')
    let release = () => {}
    const released = new Promise<void>((resolve) => (release = resolve))
    app.hold(() => released)
    app.order('a', 'die 150').catch(() => {})
    const { pid } = await until(
      async () => {
        const plugin = await app.plugin('a')
        return plugin.restarts === 1 && plugin.state === 'ready' && plugin
      },
      'the next process',
      30_000,
    )
    release()
    await until(() => app.heard.some(({ event }) => event.type === 'error'), 'the last words', 30_000)
    assert.equal(app.texts('a').length, 150)
    assert.equal(app.gateway('a').status, undefined)
    await app.order('a', 'environment')
    assert.equal((await app.plugin('a')).pid, pid)
  })

  it('that is switched off in the configuration is stopped, and started when it is switched on', async () => {
    const app = await open({ a: channel('gateway.mjs') })
    await app.ready('a')
    const { pid } = await app.plugin('a')
    const set = (enabled: boolean) =>
      app.json('/api/config/channels', {
        method: 'PATCH',
        json: { a: { ...channel('gateway.mjs'), enabled } },
      })
    await set(false)
    await until(() => app.plugins.gateways().length === 0)
    await until(() => isGone(pid!))
    await set(true)
    await app.ready('a')
  })

  it('in quarantine stays there over a restart of the server, until somebody starts it', async () => {
    const settings = { bad: channel('hostile.mjs', 'crash-loop') }
    const first = await open(settings, { max_crashes: 2 })
    await until(async () => (await first.plugin('bad')).state === 'quarantined')
    await first.stop()
    opened.length = 0
    const app = await open(settings, { max_crashes: 2 }, first.home)
    await until(() => app.plugins.gateways()[0]?.state === 'quarantined')
    assert.equal((await app.plugin('bad')).restarts, 0)
    await app.json('/api/plugins/bad/restart', { json: {} })
    await until(async () => (await app.plugin('bad')).restarts === 1)
  })

  it('gets the variables that are named for it and none of ours', async () => {
    const app = await open({ a: { ...channel('gateway.mjs'), env: { MINE: 'yes' } } })
    await app.ready('a')
    const names = (await app.order('a', 'environment')).message_id!.split(',')
    assert.ok(names.includes('MINE') && names.includes('PATH'))
    assert.ok(!names.includes('GATEHOUSE_TOKEN'), `${names}`)
  })
})

describe('a message that a plugin brings', { timeout: 60_000 }, () => {
  it('is answered by the agent, through the plugin', async () => {
    const home = await homeWith({ channels: { chat: { ...channel('gateway.mjs', 'chat'), allowed_users: ['*'] } } })
    const app = await testApp({ home, env: { PATH: process.env.PATH! }, model: scripted(['Good morning to you.']) })
    try {
      const gateway = await until(() => app.plugins.gateways().find(({ state }) => state === 'ready'))
      const order = { type: 'send_message' as const, chat_id: '1', content: 'message good morning' }
      await gateway.command(order, { request_id: 'order' })
      await until(async () => {
        const { channels } = await app.json<{ channels: { name: string; messages: { in: number; out: number } }[] }>(
          '/api/channels',
        )
        const { messages } = channels.find(({ name }) => name === 'chat')!
        return messages.in === 1 && messages.out === 1
      }, 'the answer')
    } finally {
      await app.close()
    }
  })
})

function isGone(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return false
  } catch {
    return true
  }
}
