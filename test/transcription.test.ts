import assert from 'node:assert/strict'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import process from 'node:process'
import { afterEach, describe, it } from 'node:test'
import { fileURLToPath, pathToFileURL } from 'node:url'
import type { Model, Provider } from '../shared/models.ts'
import type { CommandResult } from '../shared/openagent.ts'
import type { PluginDetail } from '../shared/plugins.ts'
import type { TestApp } from './support/app.ts'
import { answered, begin, closeAll, echo, type Options } from './support/channel-app.ts'
import { until } from './support/chat-platform.ts'

const OGG = Buffer.from('OggS\0\x02 and what was said')
const note = {
  content: {
    type: 'media' as const,
    media_type: 'voice',
    url: `data:audio/ogg;name=note.oga;base64,${OGG.toString('base64')}`,
  },
}
const KEY = 'sk-key-of-the-voices-1234'

type Asked = { path: string; authorization: string | undefined; form: FormData }

const servers: { close(): unknown }[] = []
afterEach(async () => {
  await closeAll()
  for (const server of servers.splice(0)) server.close()
})

/** An OpenAI-compatible endpoint that answers each recording with this. */
async function voicesThat(status: number, answer: unknown) {
  const asked: Asked[] = []
  const server = createServer(async (request, response) => {
    const body = await bytesOf(request)
    const type = request.headers['content-type'] ?? ''
    if (!type.startsWith('multipart/')) return response.writeHead(404).end()
    const form = await new Response(body, { headers: { 'content-type': type } }).formData() as FormData
    asked.push({ path: request.url!, authorization: request.headers.authorization, form })
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(answer))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  servers.push(server)
  return { asked, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1` }
}

async function bytesOf(request: IncomingMessage): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array[] = []
  for await (const chunk of request) chunks.push(chunk as Uint8Array)
  return new Uint8Array(Buffer.concat(chunks))
}

/** Enables the model `whisper-1` of an endpoint. */
async function connect(app: TestApp, name: string, base_url: string): Promise<Model> {
  const { provider } = await app.json<{ provider: Provider }>('/api/providers', {
    json: { name, base_url, api_key: KEY },
    status: 201,
  })
  const { model } = await app.json<{ model: Model }>('/api/models', {
    json: { provider_id: provider.id, model: 'whisper-1', kind: 'stt' },
    status: 201,
  })
  return model
}

/** A server with a chat and that endpoint. */
async function withVoices(status: number, answer: unknown, options: Options = {}) {
  const voices = await voicesThat(status, answer)
  const served = await begin({ answers: echo(), ...options })
  return { ...served, ...voices, model: await connect(served.app, 'voices', voices.url) }
}

const env = { PATH: process.env.PATH! }
const SDK = pathToFileURL(fileURLToPath(new URL('../plugins/sdk', import.meta.url))).href

/** A plugin that offers speech and fails at it, in the home, not accepted yet. */
async function writeDeafPlugin(home: string): Promise<void> {
  const folder = join(home, 'plugins', 'deaf')
  await mkdir(folder, { recursive: true })
  const manifest = { id: 'deaf', name: 'Deaf', version: '1.0.0', protocol: 'gatehouse.v1', entry: 'main.mjs' }
  await writeFile(
    join(folder, 'plugin.json'),
    JSON.stringify({ ...manifest, runtime: 'node', capabilities: ['speech'] }),
  )
  await writeFile(
    join(folder, 'main.mjs'),
    `import { appendFile } from 'node:fs/promises'
     import { definePlugin } from '${SDK}/plugin.ts'
     definePlugin({
       id: 'deaf',
       register(api) {
         api.speech({
           name: 'ears',
           label: 'Ears',
           async transcribe() {
             await appendFile(api.dataDir + '/heard', 'x')
             throw new Error('no ears')
           },
         })
       },
     })`,
  )
}

describe('a model that listens', { timeout: 120_000 }, () => {
  it('writes voice notes down', async () => {
    const { chat, asked } = await withVoices(200, { text: ' Water the plants. ' })
    await chat.say(note)
    assert.match((await answered(chat, 1))[0]!, /^\[voice note, transcribed:\] Water the plants\.\n/)
    const [{ path, authorization, form }] = asked as [Asked]
    assert.equal(path, '/v1/audio/transcriptions')
    assert.equal(authorization, `Bearer ${KEY}`)
    assert.equal(form.get('model'), 'whisper-1')
    const file = form.get('file') as File
    assert.equal(file.name, 'recording.ogg')
    assert.deepEqual(Buffer.from(await file.arrayBuffer()), OGG)
  })

  it('is not asked once it is switched off', async () => {
    const { app, chat, asked, model } = await withVoices(200, { text: 'heard' })
    await app.json(`/api/models/${model.id}`, { method: 'PUT', json: { enabled: false } })
    await chat.say(note)
    assert.match((await answered(chat, 1))[0]!, /^\[voice note; it could not be transcribed\]/)
    assert.equal(asked.length, 0)
  })

  it('is asked where the plugin that listens fails', async () => {
    const { app, chat, asked } = await withVoices(200, { text: 'second ear' }, { env, prepare: writeDeafPlugin })
    const { plugin } = await app.json<{ plugin: PluginDetail }>('/api/plugins/deaf')
    await app.json('/api/plugins/deaf/enable', { json: { surface_hash: plugin.surface_hash } })
    await until(() => app.plugins.given('speech').length, (count) => count === 1, 30_000)
    await chat.say(note)
    assert.match((await answered(chat, 1))[0]!, /^\[voice note, transcribed:\] second ear\n/)
    assert.equal(asked.length, 1)
    assert.equal(await readFile(join(app.home, 'plugin-data', 'deaf', 'heard'), 'utf8'), 'x')
  })

  it('is asked where another one refuses', async () => {
    const { app, chat, asked } = await withVoices(401, { error: { message: 'no' } })
    const second = await voicesThat(200, { text: 'second ear' })
    await connect(app, 'more-voices', second.url)
    await chat.say(note)
    assert.match((await answered(chat, 1))[0]!, /^\[voice note, transcribed:\] second ear\n/)
    assert.deepEqual([asked.length, second.asked.length], [1, 1])
  })

  it('stands on the ledger with what it used, at its price where it counts tokens', async () => {
    const usage = { type: 'tokens', input_tokens: 1000, output_tokens: 200, total_tokens: 1200 }
    const { app, chat, model } = await withVoices(200, { text: 'heard', usage })
    const metadata = { input_cost_per_million: 3, output_cost_per_million: 5 }
    await app.json(`/api/models/${model.id}`, { method: 'PUT', json: { metadata } })
    await chat.say(note)
    await answered(chat, 1)
    const month = await app.json<CommandResult>('/api/commands/usage', { json: { session_id: 'tg:42' } })
    assert.match(month.text, /^This month: \$0\.0040, 2 model calls, /)
  })

  it('that bills by the second is counted without a price', async () => {
    const { app, chat, model } = await withVoices(200, { text: 'heard', usage: { type: 'duration', seconds: 3 } })
    const metadata = { input_cost_per_million: 3, output_cost_per_million: 5 }
    await app.json(`/api/models/${model.id}`, { method: 'PUT', json: { metadata } })
    await chat.say(note)
    await answered(chat, 1)
    const month = await app.json<CommandResult>('/api/commands/usage', { json: { session_id: 'tg:42' } })
    assert.match(month.text, /^This month: no price known, 2 model calls, /)
  })

  it('holds nothing up when it refuses, or answers nonsense', async () => {
    for (const [status, answer] of [[401, { error: { message: `no ${KEY}` } }], [200, { words: 'x' }]] as const) {
      const { chat, asked } = await withVoices(status, answer)
      await chat.say(note)
      const [text] = await answered(chat, 1)
      assert.match(text!, /^\[voice note; it could not be transcribed\]/)
      assert.ok(!text!.includes(KEY))
      assert.equal(asked.length, 1)
    }
  })
})
