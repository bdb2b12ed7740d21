import assert from 'node:assert/strict'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, it } from 'node:test'
import type { Model, Provider } from '../shared/models.ts'
import { answered, begin, closeAll, echo } from './support/channel-app.ts'

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

/** A server with a chat and that endpoint, whose model `whisper-1` is enabled. */
async function withVoices(status: number, answer: unknown) {
  const voices = await voicesThat(status, answer)
  const served = await begin({ answers: echo() })
  const { provider } = await served.app.json<{ provider: Provider }>('/api/providers', {
    json: { name: 'voices', base_url: voices.url, api_key: KEY },
    status: 201,
  })
  const { model } = await served.app.json<{ model: Model }>('/api/models', {
    json: { provider_id: provider.id, model: 'whisper-1', kind: 'stt' },
    status: 201,
  })
  return { ...served, ...voices, model }
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
