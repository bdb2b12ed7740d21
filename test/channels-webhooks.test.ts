import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { afterEach, describe, it } from 'node:test'
import { pathToFileURL } from 'node:url'
import { startBotApi } from '../plugins/telegram/bot-api.ts'
import { startGraph } from '../plugins/whatsapp/graph-server.ts'
import { type Answer, scripted } from '../server/models/providers/scripted.ts'
import type { Manifest } from '../shared/plugin-manifest.ts'
import type { PluginDetail } from '../shared/plugins.ts'
import { type TestApp, testApp } from './support/app.ts'
import { closeAll, echo, opened } from './support/channel-app.ts'
import { until } from './support/chat-platform.ts'
import { homeWith } from './support/plugins/hosted.ts'

const PLUGINS = join(import.meta.dirname, '..', 'plugins')
const ADA = '4915112345678'
const PHONE = '106540352242922'
const closing: (() => Promise<unknown>)[] = []

/** A plugin of ours on Node, whose manifest lets it reach a platform on this machine. */
async function onNode(id: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'gatehouse-plugin-'))
  closing.push(() => rm(folder, { recursive: true, force: true }))
  const manifest = JSON.parse(await readFile(join(PLUGINS, id, 'plugin.json'), 'utf8')) as Manifest
  await writeFile(join(folder, 'main.ts'), `import '${pathToFileURL(join(PLUGINS, id, 'main.ts'))}'\n`)
  await writeFile(join(folder, 'plugin.json'), JSON.stringify({ ...manifest, runtime: 'node' }))
  return folder
}

/** A server that the internet reaches, with one channel, whose plugin answers requests by now. */
async function serving(id: string, settings: object, secrets: Record<string, string>, answers: Answer[] = echo()) {
  const home = await homeWith({
    server: { public_url: 'https://gate.example' },
    channels: { [id]: { burst_ms: 0, ...settings } },
    plugins: { paths: [await onNode(id)] },
  })
  const model = scripted(answers)
  const app = opened(await testApp({ home, model, env: { PATH: process.env.PATH! } }))
  await app.json(`/api/plugins/${id}/config`, { method: 'PUT', json: { secrets } })
  const plugin = async () => (await app.json<{ plugin: PluginDetail }>(`/api/plugins/${id}`)).plugin
  await until(plugin, ({ registered }) => registered.length > 0, 30_000)
  return { app, model }
}

const post = (app: TestApp, id: string, body: string, headers: Record<string, string>) =>
  app.request(`/hooks/plugins/${id}/webhook`, { method: 'POST', token: null, headers, body })

const sessions = async (app: TestApp) =>
  (await app.json<{ sessions: { session_id: string }[] }>('/api/sessions')).sessions.map(({ session_id }) => session_id)

afterEach(async () => {
  await closeAll()
  for (const close of closing.splice(0)) await close()
})

describe('WhatsApp through the front door', { timeout: 240_000 }, () => {
  async function begin(answers?: Answer[]) {
    const secrets = { token: 'token-of-the-tests', secret: 'app-secret-of-the-tests' }
    const meta = await startGraph({ ...secrets, phone: PHONE })
    closing.push(() => meta.close())
    const settings = { allowed_users: [ADA], phone_number_id: PHONE, api_root: meta.url }
    const verify_token = 'words-of-our-own-choice'
    const given = { access_token: secrets.token, app_secret: secrets.secret, verify_token }
    const { app, model } = await serving('whatsapp', settings, given, answers)
    const deliver = async (id: string, more: object, { from = ADA, signature = '' } = {}): Promise<number> => {
      const timestamp = String(Math.floor(Date.now() / 1000))
      const body = JSON.stringify(meta.delivery({ messages: [{ from, id: `wamid.${id}`, timestamp, ...more }] }))
      const headers = { 'content-type': 'application/json', 'x-hub-signature-256': signature || meta.sign(body) }
      return (await post(app, 'whatsapp', body, headers)).status
    }
    const says = (id: string, body: string, options = {}) => deliver(id, { type: 'text', text: { body } }, options)
    const texts = () => meta.sent().map((sent) => (sent.text as { body: string } | undefined)?.body)
    return { app, model, meta, deliver, says, texts }
  }

  it('a message is answered once, in the session of its number, however often Meta delivers it', async () => {
    const { app, model, meta, says, texts } = await begin()
    assert.deepEqual(await Promise.all([says('m1', 'hello'), says('m1', 'hello')]), [200, 200])
    await until(texts, (all) => all.includes('hello'), 30_000)
    assert.equal(await says('m1', 'hello'), 200)
    assert.equal(await says('m2', 'and again'), 200)
    await until(texts, (all) => all.includes('and again'), 30_000)
    assert.deepEqual(texts(), ['hello', 'and again'])
    assert.equal(model.requests.length, 2)
    assert.deepEqual(await sessions(app), [`wa:${ADA}`])
    assert.equal(meta.sent()[0]!.to, ADA)
  })

  it('what is not signed has no effect, and a stranger gets a pairing code and nothing else', async () => {
    const { app, model, says, texts } = await begin()
    assert.equal(await says('m1', 'hello', { signature: `sha256=${'0'.repeat(64)}` }), 403)
    assert.equal(await says('m2', 'hello', { from: '4917000000000' }), 200)
    const [code] = await until(texts, (all) => all.length > 0, 30_000)
    assert.match(code!, /pair|code/i)
    assert.equal(model.requests.length, 0)
    assert.deepEqual(await sessions(app), [])
  })

  it('choices are buttons; a press is the next question, and nothing is left in the outbox', async () => {
    const { app, meta, deliver, says, texts } = await begin(['Which? [CHOICE: red | blue]', ...echo()])
    await says('m1', 'a colour')
    const shown = () => meta.sent().find(({ type }) => type === 'interactive')?.interactive
    const interactive = await until(shown, (found) => found !== undefined, 30_000) as {
      action: { buttons: { reply: { id: string; title: string } }[] }
    }
    const { reply } = interactive.action.buttons[1]!
    assert.equal(reply.title, 'blue')
    const press = { type: 'interactive', interactive: { type: 'button_reply', button_reply: reply } }
    assert.equal(await deliver('m2', { ...press, context: { id: meta.lastId() } }), 200)
    await until(texts, (all) => all.includes('blue'), 30_000)
    const left = async () => (await app.json<{ entries: object[] }>('/api/outbox')).entries
    await until(left, (entries) => entries.length === 0, 5000)
  })
})

describe('Telegram through the front door', { timeout: 240_000 }, () => {
  it('a message that Telegram posts is answered once, and no stranger may post', async () => {
    const token = '7:token-of-the-tests'
    const telegram = await startBotApi(token)
    closing.push(() => telegram.close())
    const settings = { allowed_users: ['42'], mode: 'webhook', api_root: telegram.url }
    const { app, model } = await serving('telegram', settings, { token })
    const { url, secret_token } = await until(() => telegram.webhook(), (found) => found !== undefined, 30_000) as {
      url: string
      secret_token: string
    }
    assert.equal(url, 'https://gate.example/hooks/plugins/telegram/webhook')
    const person = { id: 42, is_bot: false, first_name: 'Ada' }
    const chat = { id: 42, type: 'private', first_name: 'Ada' }
    const update = (id: number, text: string) =>
      JSON.stringify({ update_id: id, message: { message_id: id, date: 1772352900, from: person, chat, text } })
    const says = async (id: number, text: string, secret = secret_token) =>
      (await post(app, 'telegram', update(id, text), { 'x-telegram-bot-api-secret-token': secret })).status
    assert.equal(await says(1, 'I am Ada', 'guessed'), 403)
    assert.deepEqual(await Promise.all([says(2, 'hello'), says(2, 'hello')]), [200, 200])
    await telegram.called('sendMessage', ({ body }) => body.text === 'hello')
    assert.equal(await says(3, 'and again'), 200)
    await telegram.called('sendMessage', ({ body }) => body.text === 'and again')
    assert.equal(model.requests.length, 2)
    assert.deepEqual(await sessions(app), ['tg:42'])
  })
})
