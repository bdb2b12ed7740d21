import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, afterEach, before, describe, it } from 'node:test'
import type { Probe } from '../../server/plugins/conformance/probe.ts'
import { faultsOf, startPlugin } from '../../test/support/channel-plugin.ts'
import { problemOf, sign } from './signature.ts'

const SECRET = 'a secret that both sides know'

describe('a signed webhook', () => {
  let peer: Server
  let port: number
  let probe: Probe | undefined
  const posted: { id: string; body: Record<string, unknown>; problem: string | undefined }[] = []
  let answer: { status: number; headers?: Record<string, string>; body?: object } = { status: 200 }

  before(async () => {
    peer = createServer(async (request, response) => {
      let body = ''
      for await (const chunk of request) body += String(chunk)
      const header = (name: string) => String(request.headers[`webhook-${name}`])
      const signed = { id: header('id'), timestamp: header('timestamp'), signature: header('signature') }
      const problem = problemOf(SECRET, signed, body, Date.now() / 1000)
      posted.push({ id: signed.id, body: JSON.parse(body) as Record<string, unknown>, problem })
      response.writeHead(answer.status, answer.headers).end(JSON.stringify(answer.body ?? {}))
    }).listen(0, '127.0.0.1')
    await once(peer, 'listening')
  })
  afterEach(async () => {
    await probe?.kill()
    probe = undefined
    answer = { status: 200 }
    posted.length = 0
  })
  after(() => {
    peer.close()
    peer.closeAllConnections()
  })

  const url = () => `http://127.0.0.1:${(peer.address() as AddressInfo).port}/answers`
  async function start(secret = SECRET): Promise<Probe> {
    port = await freePort()
    probe = await startPlugin('webhook', {
      config: { send_url: url(), listen_port: port },
      secrets: { signing_secret: secret },
    })
    return probe
  }
  async function post(id: string, value: unknown, more: Record<string, string> = {}) {
    const body = typeof value === 'string' ? value : JSON.stringify(value)
    const timestamp = String(Math.floor(Date.now() / 1000))
    const headers = { 'webhook-id': id, 'webhook-timestamp': timestamp, ...more }
    const response = await fetch(`http://127.0.0.1:${port}/`, {
      method: 'POST',
      headers: { 'webhook-signature': sign(SECRET, id, headers['webhook-timestamp'], body), ...headers },
      body,
    })
    return { status: response.status, ...await response.json() as { error?: string } }
  }
  const message = { type: 'message', chat_id: 'c1', sender: { id: 'ada', name: 'Ada' }, text: 'hello' }

  it('takes a message, and accepts it when the core has it', async () => {
    const plugin = await start()
    assert.ok(await plugin.event('ready'), plugin.stderr())
    assert.equal((await post('m1', { ...message, group: true, thread_id: 't' })).status, 202)
    const event = await plugin.event('message_received')
    assert.deepEqual(
      [event?.message_id, event?.routing.thread_id, event?.routing.chat_type, event?.mentions_bot],
      ['m1', 't', 'group', false],
    )
    assert.ok(plugin.events.some(({ type }) => type === 'state_get'))
    assert.equal(
      (await post('m2', { type: 'callback', chat_id: 'c1', sender: { id: 'ada' }, message_id: 'x', data: 'd' })).status,
      202,
    )
    assert.equal((await plugin.event('callback_query'))?.data, 'd')
  })

  it('believes nothing that is not signed, or that was recorded', async () => {
    const plugin = await start()
    await plugin.event('ready')
    assert.equal((await post('m1', message, { 'webhook-signature': 'v1,AAAA' })).status, 401)
    assert.equal((await post('m1', message, { 'webhook-timestamp': '1000' })).status, 401)
    assert.equal((await fetch(`http://127.0.0.1:${port}/`, { method: 'POST', body: '{}' })).status, 401)
    assert.equal((await fetch(`http://127.0.0.1:${port}/`)).status, 405)
    const wrong = await post('m1', { ...message, sender: {} })
    assert.deepEqual([wrong.status, wrong.error], [422, 'sender.id is missing'])
    assert.equal((await post('m1', 'x'.repeat(300_000))).status, 413)
    await plugin.ask({ type: 'ping', request_id: 'P' })
    assert.ok(!plugin.events.some(({ type }) => type === 'message_received'))
  })

  it('posts answers, signed, with an id that is the same when they are sent again', async () => {
    const plugin = await start()
    answer = { status: 200, body: { message_id: 'their-id' } }
    const buttons = { rows: [[{ text: 'Yes', callback_data: 'y' }]] }
    const sent = await plugin.ask({
      type: 'send_message',
      request_id: 'R1',
      chat_id: 'c1',
      content: 'an **answer**',
      inline_keyboard: buttons,
    })
    assert.equal(sent?.type === 'command_ok' && sent.message_id, 'their-id')
    assert.deepEqual(posted[0], {
      id: 'R1',
      problem: undefined,
      body: { type: 'message', chat_id: 'c1', content: 'an **answer**', buttons: buttons.rows },
    })
  })

  it('tells when to try again, and that nobody is there', async () => {
    const plugin = await start()
    answer = { status: 429, headers: { 'retry-after': '3' } }
    const slow = await plugin.ask({ type: 'send_message', request_id: 'R1', chat_id: 'c1', content: 'x' })
    assert.deepEqual(slow?.type === 'command_error' && [slow.code, slow.retry_after_ms], ['rate_limited', 3000])
    answer = { status: 302, headers: { location: 'http://127.0.0.1:9/' } }
    const moved = await plugin.ask({ type: 'send_message', request_id: 'R2', chat_id: 'c1', content: 'x' })
    assert.equal(moved?.type === 'command_error' && moved.code, 'not_connected')
  })

  it('does not start with a secret that can be guessed', async () => {
    const plugin = await start('short')
    assert.equal((await plugin.event('error'))?.code, 'unauthorized')
    assert.equal((await plugin.exited).code, 1)
  })

  it('passes the conformance kit', { timeout: 120_000 }, async () => {
    const config = { send_url: url(), listen_port: await freePort() }
    const faults = await faultsOf('webhook', { config, secrets: { signing_secret: SECRET } }, 'c1')
    assert.deepEqual(faults, [])
  })
})

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}
