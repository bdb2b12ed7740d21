import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { access, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import process from 'node:process'
import { afterEach, describe, it } from 'node:test'
import { pathToFileURL } from 'node:url'
import { GatewayError } from '../server/plugins/gateway.ts'
import { hold, scripted, toolCall } from '../server/models/providers/scripted.ts'
import type { OutboxEntry } from '../shared/channels.ts'
import type { Attachment } from '../shared/turn-events.ts'
import { type TestApp, testApp } from './support/app.ts'
import { answered, begin, closeAll, lastText, opened } from './support/channel-app.ts'
import { ALL, chatPlatform, until } from './support/chat-platform.ts'
import { homeWith, program } from './support/plugins/hosted.ts'

afterEach(closeAll)

describe('files', () => {
  const PNG = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=='
  const image = (caption?: string) => ({
    type: 'media' as const,
    media_type: 'image',
    url: `data:image/png;base64,${PNG}`,
    ...(caption === undefined ? {} : { caption }),
  })

  it('come in with their caption, and reach the model', async () => {
    const { app, chat, model } = await begin({ answers: ['A dot.'] })
    await chat.say({ content: image('What is this?') })
    await answered(chat, 1)
    const parts = model.requests[0]!.messages.at(-1)!.content as { type: string }[]
    assert.ok(parts.some(({ type }) => type === 'image'))
    const { messages } = await app.json<{ messages: { attachments?: { type: string }[] }[] }>(
      '/api/sessions/tg:42/messages',
    )
    assert.equal(messages[0]!.attachments![0]!.type, 'image')
  })

  it('that are too large, or lie where they may not be fetched, are told in words', async () => {
    const { chat, model } = await begin({
      channels: { telegram: { allowed_users: ['42'], burst_ms: 0, max_media_bytes: 20 } },
    })
    await chat.say({ content: image('big') })
    await chat.say({
      content: { type: 'media', media_type: 'image', url: 'http://127.0.0.1:9/x.png', caption: 'local' },
    })
    await chat.say({ content: { type: 'media', media_type: 'document', url: 'file:///etc/passwd', caption: 'mine' } })
    await answered(chat, 3)
    const told = model.requests.map((request) => lastText([request]))
    assert.match(told[0]!, /^big\n\[a file \(image\) came with this, but could not be fetched: .*larger than 20 bytes/)
    assert.match(told[1]!, /^local\n\[.*private or local address/)
    assert.match(told[2]!, /^mine\n\[.*only a plugin with a folder of its own/)
  })

  it('whose address makes no sense hold nothing up', async () => {
    const { chat, model } = await begin()
    for (
      const url of ['data:text/plain,100%ZZ', 'data:text/plain;name=%ZZ;base64,aGk=', 'data:', 'nonsense', 'file:', '']
    ) {
      await chat.say({ content: { type: 'media', media_type: 'document', url, caption: 'see' } })
    }
    await answered(chat, 6)
    assert.equal(model.requests.length, 6)
  })

  it('go out where a reply shows one, but never programs', async () => {
    const { app, chat, home } = await begin({
      answers: [(request) => lastText([request])],
    })
    const folder = join(home, 'workspace')
    await mkdir(folder, { recursive: true })
    await writeFile(join(folder, 'dot.png'), Buffer.from(PNG, 'base64'))
    await writeFile(join(folder, 'run.exe'), 'MZ')
    await chat.say(`Here [IMAGE:${join(folder, 'dot.png')}] and [FILE:${join(folder, 'run.exe')}] [FILE:/etc/passwd]`)
    await answered(chat, 3)
    assert.equal(chat.shown[0]!.text, 'Here  and  [FILE:/etc/passwd]')
    assert.deepEqual(chat.shown[1]!.file, { mime_type: 'image/png', size: 70, filename: 'dot.png' })
    assert.equal(chat.shown[2]!.text, '📎 run.exe (programs are not sent)')
    assert.ok(app)
  })

  it('that are all of a reply take the place of what was shown while it was written', async () => {
    let file = ''
    const seen = Promise.withResolvers<void>()
    const { app, chat, home } = await begin({
      answers: [
        ['Let me draw that for you, this may take a moment.', hold(seen.promise), toolCall('time.now')],
        () => `[IMAGE:${file}]`,
      ],
    })
    file = join(home, 'workspace', 'dot.png')
    await mkdir(dirname(file), { recursive: true })
    await writeFile(file, Buffer.from(PNG, 'base64'))
    await chat.say('Draw a dot')
    await answered(chat, 1)
    assert.deepEqual(chat.texts(), ['Let me draw that for you, this may take a moment.'])
    // What was not sent yet could not be taken away.
    const sent = async () => (await app.json<{ entries: OutboxEntry[] }>('/api/outbox?state=sent')).entries
    await until(sent, ({ length }) => length === 1)
    seen.resolve()
    await until(sent, ({ length }) => length === 3)
    assert.deepEqual(chat.shown.map(({ text, file }) => [text, file?.filename]), [['', 'dot.png']])
  })

  it('are named in place of being sent where they are larger than the owner wants', async () => {
    const { chat, home } = await begin({
      answers: [(request) => lastText([request])],
      channels: { telegram: { allowed_users: ['42'], burst_ms: 0, max_media_bytes: 69 } },
    })
    const folder = join(home, 'workspace')
    await mkdir(folder, { recursive: true })
    await writeFile(join(folder, 'dot.png'), Buffer.from(PNG, 'base64'))
    await chat.say(`[IMAGE:${join(folder, 'dot.png')}]`)
    await answered(chat, 1)
    assert.equal(chat.shown[0]!.text, '📎 dot.png (too large for this channel)')
  })
})

const MB = 1024 ** 2
const digestOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')
const exists = (path: string): Promise<boolean> => access(path).then(() => true, () => false)

/** What somebody attached, as the page shows it. */
async function attachmentOf(app: TestApp, session: string): Promise<Attachment | undefined> {
  const response = await app.request(`/api/sessions/${session}/messages`)
  if (response.status === 404) return undefined
  return (await response.json() as { messages: { attachments?: Attachment[] }[] }).messages[0]?.attachments?.[0]
}

describe('large files', { timeout: 240_000 }, () => {
  /** The plugin of `support/plugins/files.ts`, which gets `size` bytes, and is to send `picture`. */
  async function withFiles(size: number, settings: Record<string, unknown>, picture: Uint8Array) {
    const folder = await mkdtemp(join(tmpdir(), 'gatehouse-plugin-'))
    await writeFile(join(folder, 'main.ts'), `import '${pathToFileURL(program('files.ts'))}'\n`)
    const manifest = {
      id: 'files',
      name: 'Files',
      version: '1.0.0',
      entry: 'main.ts',
      runtime: 'node',
      channels: ['files'],
      config_schema: { type: 'object', properties: { size: { type: 'integer' } } },
    }
    await writeFile(join(folder, 'plugin.json'), JSON.stringify(manifest))
    const home = await homeWith({
      channels: { files: { allowed_users: ['42'], burst_ms: 0, size, ...settings } },
      plugins: { paths: [folder] },
    })
    const path = join(home, 'workspace', 'big picture.bin')
    await mkdir(join(home, 'workspace'), { recursive: true })
    await writeFile(path, picture)
    const model = scripted([`Here you are: [FILE:${path}]`])
    const app = opened(await testApp({ home, model, env: { PATH: process.env.PATH! } }))
    return { app, home, model, data: join(home, 'plugin-data', 'files'), folder }
  }

  it('come and go through the folder of the plugin, whole, and leave nothing behind', async () => {
    const picture = randomBytes(3 * MB)
    const { app, data, folder } = await withFiles(5 * MB, {}, picture)
    const got = await until(() => attachmentOf(app, 'files:42'), (file) => file !== undefined, 30_000)
    assert.equal(got!.filename, 'my report.bin')
    assert.equal(got!.size, 5 * MB)
    const blocks = Array.from({ length: (5 * MB) / 64 }, (_, i) => createHash('sha512').update(String(i)).digest())
    assert.equal(digestOf(await readFile(got!.path)), digestOf(Buffer.concat(blocks)))

    const sent = await until(
      () => readFile(join(data, 'sent.json'), 'utf8').catch(() => ''),
      (text) => text !== '',
      30_000,
    )
    assert.deepEqual(JSON.parse(sent), [{ digest: digestOf(picture), name: 'big picture.bin', same: true }])
    for (const part of ['incoming', 'outgoing']) {
      assert.deepEqual(await until(() => readdir(join(data, part)), (names) => names.length === 0), [])
    }
    await rm(folder, { recursive: true })
  })

  it('beyond what the channel takes are not even told', async () => {
    const { app, model, data, folder } = await withFiles(2 * MB, { max_media_bytes: MB }, randomBytes(10))
    await until(() => model.requests.length, (count) => count === 1, 30_000)
    assert.match(lastText(model.requests), /^at most 1048576/)
    assert.equal((await attachmentOf(app, 'files:42'))?.filename, 'too_large.txt')
    assert.deepEqual(await readdir(join(data, 'incoming')), [])
    await rm(folder, { recursive: true })
  })
})

describe('a file that a plugin names by its path', () => {
  async function withFolder(channels: Record<string, unknown> = { telegram: { allowed_users: ['42'], burst_ms: 0 } }) {
    const data = await mkdtemp(join(tmpdir(), 'gatehouse-data-'))
    const chat = chatPlatform('telegram', [...ALL, 'media_file'], { data_dir: data })
    const begun = await begin({ platforms: [chat], channels })
    const say = (path: string, more: object = {}) =>
      chat.say({
        content: { type: 'media', media_type: 'document', url: pathToFileURL(path).href, caption: 'take' },
        ...more,
      })
    return { ...begun, data, say, end: () => rm(data, { recursive: true }) }
  }

  it('is only taken from its own folder, wherever links lead', async () => {
    const { home, chat, model, data, say, end } = await withFolder({
      telegram: { allowed_users: ['42'], burst_ms: 0, max_media_bytes: 1000 },
    })
    await writeFile(join(home, 'outside.txt'), 'a secret of the home')
    await symlink(join(home, 'outside.txt'), join(data, 'link.txt'))
    await symlink(home, join(data, 'folder'))
    await mkdir(join(data, 'directory'))
    await writeFile(join(data, 'big.bin'), randomBytes(1001))
    await writeFile(`${data}-neighbour`, 'a secret of another plugin')
    const paths = [
      '/etc/passwd',
      join(home, 'outside.txt'),
      join(data, 'link.txt'),
      join(data, 'folder', 'outside.txt'),
      `${data}-neighbour`,
      join(data, 'nothing.txt'),
      join(data, 'directory'),
      data,
      join(data, 'big.bin'),
    ]
    for (const path of paths) await say(path)
    await chat.say({ content: { type: 'media', media_type: 'document', url: 'file://elsewhere.example/x' } })
    await answered(chat, paths.length + 1)
    const told = model.requests.map((request) => lastText([request]))
    assert.equal(told.filter((text) => /could not be fetched/.test(text)).length, paths.length + 1, told.join('\n'))
    assert.match(told[0]!, /it is not in the plugin's own folder/)
    assert.match(told[6]!, /it is no file/)
    assert.match(told[8]!, /larger than 1000 bytes/)
    assert.ok(await exists(join(home, 'outside.txt')))
    assert.ok(await exists('/etc/passwd'))
    await rm(`${data}-neighbour`)
    await end()
  })

  it('is no way for a program without a folder', async () => {
    const { home, chat, model } = await begin()
    await writeFile(join(home, 'notes.txt'), 'x')
    const url = pathToFileURL(join(home, 'notes.txt')).href
    await chat.say({ content: { type: 'media', media_type: 'document', url, caption: 'take' } })
    await answered(chat, 1)
    assert.match(lastText(model.requests), /only a plugin with a folder of its own/)
    assert.ok(await exists(join(home, 'notes.txt')))
  })

  it('goes away once it is kept, or when nobody wants it', async () => {
    const { app, chat, data, say, end } = await withFolder({
      telegram: { allowed_users: ['42'], dispositions: { '7': 'silent' }, pairing: false, burst_ms: 0 },
    })
    const put = async (name: string): Promise<string> => {
      const folder = join(data, 'incoming', name)
      await mkdir(folder, { recursive: true })
      await writeFile(join(folder, `${name}.txt`), name)
      return join(folder, `${name}.txt`)
    }
    await say(await put('kept'), { id: '1' })
    await answered(chat, 1)
    assert.equal((await attachmentOf(app, 'tg:42'))!.filename, 'kept.txt')
    await say(await put('stranger'), { from: '99' })
    await say(await put('record'), { from: '7' })
    await say(await put('again'), { id: '1' })
    assert.deepEqual(await readdir(join(data, 'incoming')), [])
    await end()
  })

  it('that is told twice stays until it was taken', async () => {
    const { app, chat, data, say, end } = await withFolder({ telegram: { allowed_users: ['42'], burst_ms: 300 } })
    await writeFile(join(data, 'once.txt'), 'once')
    await say(join(data, 'once.txt'), { id: '1' })
    await say(join(data, 'once.txt'), { id: '1' })
    assert.ok(await exists(join(data, 'once.txt')))
    await answered(chat, 1)
    assert.equal((await attachmentOf(app, 'tg:42'))!.filename, 'once.txt')
    assert.equal(await exists(join(data, 'once.txt')), false)
    await end()
  })

  it('that its platform finds too large is told of by its name', async () => {
    const { home, chat } = await begin()
    await mkdir(join(home, 'workspace'), { recursive: true })
    await writeFile(join(home, 'workspace', 'film.mp4'), randomBytes(100))
    chat.before((body) => {
      if (body.type === 'send_media') throw new GatewayError('too_large', 'at most 10 bytes')
    })
    await chat.say(`Look: [FILE:${join(home, 'workspace', 'film.mp4')}]`)
    await answered(chat, 2)
    assert.equal(chat.texts()[1], '📎 film.mp4 (too large for this channel)')
  })

  it('is sent by path when it is large, again from the same place, and the copy then goes', async () => {
    const { home, chat, data, end } = await withFolder()
    await mkdir(join(home, 'workspace'), { recursive: true })
    const [big, small] = [join(home, 'workspace', 'big.bin'), join(home, 'workspace', 'small.bin')]
    await writeFile(big, randomBytes(2 * MB))
    await writeFile(small, randomBytes(100))
    const paths: string[] = []
    chat.before((body) => {
      if (body.type !== 'send_media' || body.media.source !== 'file') return
      paths.push(body.media.path)
      if (paths.length === 1) throw new GatewayError('rate_limited', 'slow down', { retry_after_ms: 50 })
    })
    await chat.say(`[FILE:${big}] [FILE:${small}]`)
    await until(() => chat.shown.filter(({ file }) => file).length, (count) => count === 2)
    assert.deepEqual(chat.shown.flatMap(({ file }) => file ? [file.size] : []), [2 * MB, 100])
    assert.equal(paths.length, 2)
    assert.equal(paths[0], paths[1])
    assert.ok(paths[0]!.startsWith(join(data, 'outgoing')))
    await until(() => readdir(join(data, 'outgoing')), (names) => names.length === 0)
    await end()
  })
})
