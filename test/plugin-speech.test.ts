import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import process from 'node:process'
import { afterEach, describe, it } from 'node:test'
import { fileURLToPath, pathToFileURL } from 'node:url'
import type { PluginDetail } from '../shared/plugins.ts'
import { scripted } from '../server/models/providers/scripted.ts'
import { type TestApp, testApp } from './support/app.ts'
import { answered, begin, closeAll, echo, forget, opened } from './support/channel-app.ts'
import { type ChatPlatform, hostOf } from './support/chat-platform.ts'
import { until } from './support/plugins/hosted.ts'

const SDK = pathToFileURL(fileURLToPath(new URL('../plugins/sdk', import.meta.url))).href
/** A file of the kind that phones record: its first bytes say so. */
const recording = (size: number) => Buffer.concat([Buffer.from('OggS\0\x02'), randomBytes(size - 6)])
const note = (bytes: Buffer, caption?: string, kind = 'voice') => ({
  content: {
    type: 'media' as const,
    media_type: kind,
    url: `data:audio/ogg;base64,${bytes.toString('base64')}`,
    ...(caption === undefined ? {} : { caption }),
  },
})

afterEach(closeAll)

/** Writes a plugin `scribe` that answers recordings by this code, and notes each in `heard` of its data folder. */
async function writeScribe(home: string, transcribe: string): Promise<void> {
  const folder = join(home, 'plugins', 'scribe')
  await mkdir(folder, { recursive: true })
  const about = {
    id: 'scribe',
    name: 'Scribe',
    version: '1.0.0',
    protocol: 'gatehouse.v1',
    entry: 'main.mjs',
    runtime: 'node',
    capabilities: ['speech'],
  }
  await writeFile(join(folder, 'plugin.json'), JSON.stringify(about))
  await writeFile(
    join(folder, 'main.mjs'),
    `import { appendFile, readFile } from 'node:fs/promises'
     import { join } from 'node:path'
     import { definePlugin } from '${SDK}/plugin.ts'
     definePlugin({
       id: 'scribe',
       register(api) {
         api.speech({
           name: 'ears',
           label: 'Ears',
           async transcribe(input, { signal }) {
             await appendFile(join(api.dataDir, 'heard'), JSON.stringify({ ...input, data: undefined }) + '\\n')
             ${transcribe}
           },
         })
       },
     })`,
  )
}

/** A server with a chat, and with that plugin where it has code. */
async function withScribe(transcribe?: string, config: Record<string, unknown> = {}) {
  const served = await begin({
    answers: echo(),
    env: { PATH: process.env.PATH! },
    async prepare(home) {
      const telegram = { allowed_users: ['42'], burst_ms: 0 }
      await writeFile(join(home, 'gatehouse.yaml'), JSON.stringify({ channels: { telegram }, plugins: config }))
      if (transcribe !== undefined) await writeScribe(home, transcribe)
    },
  })
  if (transcribe !== undefined) await accepted(served.app)
  const data = join(served.home, 'plugin-data', 'scribe')
  return {
    ...served,
    data,
    /** What the plugin was asked, without the bytes. */
    heard: async () => (await readFile(join(data, 'heard'), 'utf8')).trim().split('\n').map((line) => JSON.parse(line)),
    get: () => scribeOf(served.app),
  }
}

const scribeOf = async (app: TestApp) => (await app.json<{ plugin: PluginDetail }>('/api/plugins/scribe')).plugin

async function accepted(app: TestApp): Promise<void> {
  const { surface_hash } = await scribeOf(app)
  await app.json('/api/plugins/scribe/enable', { json: { surface_hash } })
  await until(async () => (await scribeOf(app)).registered.some(({ kind }) => kind === 'speech'), 'it to register')
}

/** So many answers of a model that repeats what it is told, without the names of files. */
const told = async (chat: ChatPlatform, count: number) =>
  (await answered(chat, count)).map((text) => text.replace(/\n\[Attached voice: [^\]]*\]$/, ''))

const attachmentOf = async (app: TestApp) => {
  const path = '/api/sessions/tg:42/messages'
  const { messages } = await app.json<{ messages: { attachments?: { type: string; size: number }[] }[] }>(path)
  return messages[0]!.attachments?.[0]
}

describe('voice notes', { timeout: 240_000 }, () => {
  it('reach the agent by their words, and stay as files', async () => {
    const { app, chat, heard } = await withScribe(`
      return { text: Buffer.from(input.data, 'base64').length + ' bytes of ' + input.mime }
    `)
    await chat.say(note(recording(500), 'Listen!'))
    await chat.say(note(recording(400), undefined, 'audio'))
    assert.deepEqual(await told(chat, 2), [
      'Listen!\n[voice note, transcribed:] 500 bytes of audio/ogg',
      '[audio file, transcribed:] 400 bytes of audio/ogg',
    ])
    assert.equal((await attachmentOf(app))?.type, 'voice')
    assert.equal((await heard()).length, 2)
  })

  it('that are too large for a line are passed as files, which go away', async () => {
    const { chat, data, heard } = await withScribe(`
      return { text: (await readFile(input.path)).length + ' bytes' }
    `)
    await chat.say(note(recording(2_000_000)))
    assert.deepEqual(await told(chat, 1), ['[voice note, transcribed:] 2000000 bytes'])
    const [{ path }] = await heard()
    assert.ok(path.startsWith(join(data, 'recordings')), path)
    assert.match(path, /\.ogg$/)
    assert.deepEqual(await readdir(join(data, 'recordings')), [])
  })

  it('are answered without words where nobody writes them down', async () => {
    const { app, chat } = await withScribe()
    await chat.say(note(recording(500), 'Listen!'))
    assert.deepEqual(await told(chat, 1), ['Listen!\n[voice note; it could not be transcribed]'])
    assert.equal((await attachmentOf(app))?.type, 'voice')
  })

  it('are answered without words when the plugin fails, answers nonsense or ends', async () => {
    for (const code of [`throw new Error('no ears')`, `return { words: 'wrong' }`, `process.exit(3)`]) {
      const { app, chat } = await withScribe(code)
      await chat.say(note(recording(500)))
      assert.deepEqual(await told(chat, 1), ['[voice note; it could not be transcribed]'], code)
      assert.equal((await attachmentOf(app))?.type, 'voice')
    }
  })

  it('are answered without words when the plugin hangs', async () => {
    const { chat, heard } = await withScribe(`await new Promise(() => {})`, { call_timeout_seconds: 1 })
    await chat.say(note(recording(700_000)))
    assert.deepEqual(await told(chat, 1), ['[voice note; it could not be transcribed]'])
    const [{ path }] = await heard()
    await assert.rejects(readFile(path), { code: 'ENOENT' })
  })

  it('are heard after a restart that came while one was listened to', async () => {
    const first = await withScribe(`
      const { length } = (await readFile(join(api.dataDir, 'heard'), 'utf8')).trim().split('\\n')
      if (length === 1) await new Promise(() => {})
      return { text: 'the time is ' + length }
    `)
    await first.chat.say(note(recording(500)))
    await until(async () => (await first.heard().catch(() => [])).length === 1)
    await first.app.stop()
    first.chat.leave()
    forget()
    opened(
      await testApp({
        home: first.home,
        model: scripted(echo()),
        gateways: hostOf(first.chat),
        env: { PATH: process.env.PATH! },
      }),
    )
    assert.deepEqual(await told(first.chat, 1), ['[voice note, transcribed:] the time is 2'])
  })

  it('in which nobody speaks say so', async () => {
    const { chat } = await withScribe(`return { text: ' ' }`)
    await chat.say(note(recording(500)))
    assert.deepEqual(await told(chat, 1), ['[voice note; nobody speaks in it]'])
  })

  it('are the only files that are listened to', async () => {
    const { chat } = await withScribe(`return { text: 'heard' }`)
    await chat.say(note(recording(500), 'a file', 'document'))
    assert.deepEqual(await told(chat, 1), ['a file'])
  })

  it('are not written down by a plugin that did not declare it', async () => {
    const { app, chat, home, get } = await withScribe(`return { text: 'heard' }`)
    await app.json('/api/plugins/scribe/disable', { json: {} })
    const manifest = join(home, 'plugins', 'scribe', 'plugin.json')
    await writeFile(manifest, JSON.stringify({ ...JSON.parse(await readFile(manifest, 'utf8')), capabilities: [] }))
    await app.json('/api/plugins/reload', { json: {} })
    const { surface_hash } = await get()
    await app.json('/api/plugins/scribe/enable', { json: { surface_hash } })
    await until(async () => (await get()).incidents.some(({ message }) => /does not declare the speech/.test(message)))
    await chat.say(note(recording(500)))
    assert.deepEqual(await told(chat, 1), ['[voice note; it could not be transcribed]'])
  })
})
