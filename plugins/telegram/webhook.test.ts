import assert from 'node:assert/strict'
import { join } from 'node:path'
import process from 'node:process'
import { after, afterEach, before, describe, it } from 'node:test'
import { type Probe, startProbe } from '../../server/plugins/conformance/probe.ts'
import { currentRuntime } from '../../server/runtime/current.ts'
import { hookRequest } from '../../test/support/hook-request.ts'
import { startBotApi } from './bot-api.ts'

const TOKEN = '7:token-of-the-tests'
const RUN = process.versions.deno ? ['run', '-A', '--no-check', '--no-prompt'] : []
const PUBLIC = 'https://gate.example/hooks/plugins/telegram'
const MESSAGE = {
  message_id: 11,
  date: 1772352900,
  from: { id: 42, is_bot: false, first_name: 'Ada' },
  chat: { id: 42, type: 'private', first_name: 'Ada' },
}

describe('a Telegram bot with a webhook', () => {
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

  async function start({ mode = 'webhook', public_url = PUBLIC as string | null } = {}): Promise<Probe> {
    return probe = await startProbe({
      runtime: await currentRuntime(),
      command: process.execPath,
      args: [...RUN, join(import.meta.dirname, 'main.ts')],
      env: { PATH: process.env.PATH ?? '', HOME: process.env.HOME ?? '' },
      configure: {
        type: 'configure',
        protocol: 'gatehouse.v1',
        plugin: { id: 'telegram', name: 'Telegram', version: '1.0.0' },
        config: { api_root: telegram.url, mode },
        secrets: { token: TOKEN },
        data_dir: null,
        public_url,
      },
      state: new Map(),
    })
  }

  async function post(plugin: Probe, body: string, secret?: string): Promise<number> {
    const headers: Record<string, string> = secret === undefined ? {} : { 'x-telegram-bot-api-secret-token': secret }
    return (await hookRequest(plugin, { headers, body })).status
  }
  const update = (update_id: number, text: string) =>
    JSON.stringify({ update_id, message: { ...MESSAGE, message_id: update_id, text } })
  const connected = (plugin: Probe) => plugin.event('status', ({ connected }) => connected, 20_000)
  const texts = (plugin: Probe) =>
    plugin.events.flatMap((event) =>
      event.type === 'message_received' && event.content.type === 'text' ? [event.content.text] : []
    )

  it('tells Telegram its address, and answers when the core has what came', async () => {
    const plugin = await start()
    assert.equal((await connected(plugin))?.identity, '@helper_bot')
    const { body } = await telegram.called('setWebhook')
    const { secret_token, ...rest } = body
    assert.deepEqual(rest, {
      url: `${PUBLIC}/webhook`,
      allowed_updates: ['message', 'channel_post', 'callback_query'],
      drop_pending_updates: false,
    })
    assert.ok(!String(secret_token).includes(TOKEN))
    assert.equal(await post(plugin, update(1, 'hello'), String(secret_token)), 200)
    const order = plugin.events.map(({ type }) => type)
    assert.ok(order.indexOf('message_received') < order.lastIndexOf('state_get'))
    assert.ok(order.lastIndexOf('state_get') < order.indexOf('result'))
    assert.ok(!telegram.calls.some(({ method }) => method === 'getUpdates'))
  })

  it('gives what Telegram repeats once', async () => {
    const plugin = await start()
    await connected(plugin)
    const { secret_token } = telegram.webhook()!
    const answers = await Promise.all([1, 1, 2, 1].map((id) => post(plugin, update(id, `number ${id}`), secret_token)))
    assert.deepEqual(answers, [200, 200, 200, 200])
    assert.deepEqual(texts(plugin), ['number 1', 'number 2'])
  })

  it('believes nobody who does not know the secret', async () => {
    const plugin = await start()
    await connected(plugin)
    const { secret_token } = telegram.webhook()!
    for (const secret of [undefined, '', TOKEN, secret_token.slice(0, -1), `${secret_token}0`]) {
      assert.equal(await post(plugin, update(1, 'I am the owner'), secret), 403)
    }
    for (const broken of ['{"update_id":', '[]', 'null', '{"update_id":"1"}']) {
      assert.equal(await post(plugin, broken, secret_token), 400)
    }
    await plugin.ask({ type: 'ping', request_id: 'P' })
    assert.deepEqual(texts(plugin), [])
    assert.equal(plugin.events.filter((event) => event.type === 'log' && event.level === 'warn').length, 1)
  })

  it('goes back to polling without losing what waited', async () => {
    const plugin = await start()
    await connected(plugin)
    await plugin.kill()
    telegram.happen({ message: { ...MESSAGE, text: 'meanwhile' } })
    const polling = await start({ mode: 'polling' })
    assert.ok(await polling.event('message_received', undefined, 20_000))
    assert.deepEqual(texts(polling), ['meanwhile'])
    assert.deepEqual((await telegram.called('deleteWebhook')).body, { drop_pending_updates: false })
    assert.equal(telegram.webhook(), undefined)
    assert.ok(!polling.events.some(({ type }) => type === 'register'))
  })

  it('says what is missing: a public address, and one with https', async () => {
    const without = await start({ public_url: null })
    const error = await without.event('error', undefined, 20_000)
    assert.deepEqual([error?.code, error?.fatal], ['invalid_request', true])
    assert.match(error?.message ?? '', /set server\.public_url/)
    await without.kill()
    const plain = await start({ public_url: 'http://gate.example/hooks/plugins/telegram' })
    const status = await plain.event('status', undefined, 20_000)
    assert.deepEqual([status?.connected, status?.detail], [
      false,
      'Bad Request: bad webhook: An HTTPS URL must be provided',
    ])
  })
})
