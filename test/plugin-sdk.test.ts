import assert from 'node:assert/strict'
import { appendFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { after, describe, it } from 'node:test'
import { pathToFileURL } from 'node:url'
import { type Probe, type ProbeOptions, startProbe } from '../server/plugins/conformance/probe.ts'
import { runConformance } from '../server/plugins/conformance/run.ts'
import { openTarget } from '../server/plugins/conformance/target.ts'
import { currentRuntime } from '../server/runtime/current.ts'

const ROOT = join(import.meta.dirname, '..')
const RUN = process.versions.deno ? ['run', '-A', '--no-check', '--no-prompt'] : []
const probes: Probe[] = []
const folders: string[] = []
after(async () => {
  for (const probe of probes) await probe.kill()
  for (const folder of folders) await rm(folder, { recursive: true, force: true })
})

const configure = (config: object = {}, secrets: object = {}) => ({
  type: 'configure',
  protocol: 'gatehouse.v1',
  plugin: { id: 'test', name: 'Test', version: '1.0.0' },
  config,
  secrets,
  data_dir: null,
})

/** Starts a plugin on the runtime that runs the tests. */
async function start(file: string, options: Partial<ProbeOptions> = {}): Promise<Probe> {
  const probe = await startProbe({
    runtime: await currentRuntime(),
    command: process.execPath,
    args: [...RUN, file],
    env: { PATH: process.env.PATH ?? '', HOME: process.env.HOME ?? '' },
    configure: configure(),
    ...options,
  })
  probes.push(probe)
  return probe
}

/** Starts a plugin that is written here. */
async function startSource(source: string, options: Partial<ProbeOptions> = {}): Promise<Probe> {
  const folder = await mkdtemp(join(tmpdir(), 'gatehouse-sdk-'))
  folders.push(folder)
  const sdk = pathToFileURL(join(ROOT, 'plugins/sdk')).href
  await writeFile(join(folder, 'main.ts'), source.replaceAll("'../sdk/", `'${sdk}/`))
  return await start(join(folder, 'main.ts'), options)
}

const ECHO = join(ROOT, 'plugins/echo/main.ts')

describe('a channel made with the SDK', () => {
  it('says ready once, with what it can do and how long a text may be', async () => {
    const probe = await start(ECHO)
    const ready = await probe.event('ready')
    assert.deepEqual(ready, {
      type: 'ready',
      gateway: 'echo',
      version: 'v1alpha1',
      capabilities: ['edit', 'delete', 'media', 'typing', 'reply', 'inline_keyboard'],
      text_limit: 4000,
      text_unit: 'utf16',
    })
    assert.equal((await probe.event('status'))?.identity, 'echo')
    assert.deepEqual(probe.problems, [])
  })

  it('answers all eight commands as the protocol says', async () => {
    const probe = await start(ECHO, { configure: configure({ prefix: '> ' }) })
    const sent = await probe.ask({ type: 'send_message', request_id: 'R1', chat_id: '5', content: 'hello' })
    assert.deepEqual(sent, { type: 'command_ok', request_id: 'R1', message_id: 'm1' })
    const message = await probe.event('message_received')
    assert.deepEqual(message?.content, { type: 'text', text: '> hello' })
    assert.deepEqual(message?.routing, { channel: 'echo', chat_type: 'dm', chat_id: '5', sender_id: 'echo' })
    assert.equal(message?.reply_to, 'm1')
    const media = { source: 'url', url: 'https://img.example/cat.png' }
    const file = await probe.ask({ type: 'send_media', request_id: 'R2', chat_id: '5', media, caption: 'cat' })
    assert.equal(file?.type, 'command_ok')
    const place = { chat_id: '5', message_id: 'm1' }
    const edited = await probe.ask({ type: 'edit_message', request_id: 'R3', ...place, content: 'bye' })
    assert.deepEqual(edited, { type: 'command_ok', request_id: 'R3', message_id: 'm1' })
    assert.equal((await probe.ask({ type: 'delete_message', request_id: 'R4', ...place }))?.type, 'command_ok')
    const again = await probe.ask({ type: 'delete_message', request_id: 'R5', ...place })
    assert.equal(again?.type === 'command_error' && again.code, 'message_not_found')
    await probe.send({ type: 'send_typing', chat_id: '5', duration: 5 })
    const query = { type: 'answer_callback_query', request_id: 'R6', callback_query_id: 'c1', text: null }
    assert.equal((await probe.ask(query))?.type, 'command_ok')
    const pong = await probe.ask({ type: 'ping', request_id: 'R7' })
    assert.deepEqual(pong, { type: 'pong', request_id: 'R7', uptime_seconds: 0, connected: true })
    await probe.send({ type: 'shutdown' })
    assert.deepEqual(await probe.exited, { code: 0, signal: null })
    assert.deepEqual(probe.problems, [])
  })

  it('tells why a command failed and when it may be tried again', async () => {
    const probe = await start(ECHO)
    const answer = await probe.ask({ type: 'send_message', request_id: 'R1', chat_id: '5', content: '/fail' })
    assert.deepEqual(answer, {
      type: 'command_error',
      request_id: 'R1',
      code: 'rate_limited',
      message: 'Not now',
      retry_after_ms: 2000,
    })
  })

  it('does a command once that comes twice, and answers both times alike', async () => {
    const probe = await start(ECHO)
    const command = { type: 'send_message', request_id: 'SAME', chat_id: '5', content: 'hello' }
    await probe.ask(command)
    await probe.send(command)
    const answers = await probe.until(() => {
      const found = probe.events.filter((event) => event.type === 'command_ok')
      return found.length === 2 ? found : undefined
    })
    assert.deepEqual(answers?.[0], answers?.[1])
    assert.equal(probe.events.filter(({ type }) => type === 'message_received').length, 1)
  })

  it('keeps the order within a chat, and a slow chat holds no other', async () => {
    const probe = await start(ECHO)
    await probe.event('ready')
    const send = (request_id: string, chat_id: string, content: string) =>
      probe.send({ type: 'send_message', request_id, chat_id, content })
    await send('A1', 'a', '/slow')
    await send('A2', 'a', 'second')
    await send('B1', 'b', 'other')
    await probe.event('command_ok', ({ request_id }) => request_id === 'A2')
    const order = probe.events.flatMap((event) => event.type === 'command_ok' ? [event.request_id] : [])
    assert.deepEqual(order, ['B1', 'A1', 'A2'])
  })

  it('sends a text that is too long in pieces; the last one is answered with', async () => {
    const probe = await start(ECHO)
    const content = Array.from({ length: 30 }, (_, i) => `${i} ${'x'.repeat(300)}`).join('\n\n')
    const answer = await probe.ask({ type: 'send_message', request_id: 'R1', chat_id: '5', content })
    const texts = probe.events.flatMap((event) => event.type === 'message_received' ? [event] : [])
    assert.equal(texts.length, 3)
    assert.equal(answer?.type === 'command_ok' && answer.message_id, texts.at(-1)?.reply_to)
  })

  it('lives on after an unknown command, a missing field, an empty line and no JSON', async () => {
    const probe = await start(ECHO)
    await probe.write('\nnot json\n[1]\n{"type":"send_message","request_id":"BAD","chat_id":7}\n{"request_id":"R0"}\n')
    const unknown = await probe.ask({ type: 'pin_message', request_id: 'R1' })
    assert.equal(unknown?.type === 'command_error' && unknown.code, 'invalid_request')
    const bad = await probe.event('command_error', ({ request_id }) => request_id === 'BAD')
    assert.match(bad?.message ?? '', /chat_id/)
    assert.equal((await probe.ask({ type: 'ping', request_id: 'R2' }))?.type, 'pong')
  })

  it('keeps what it remembers with the core', async () => {
    const probe = await start(ECHO)
    await probe.ask({ type: 'send_message', request_id: 'R1', chat_id: '5', content: 'hello' })
    assert.ok(await probe.event('state_set', ({ key }) => key === 'last_id'))
  })

  it('runs under a core that sends no settings, and then speaks the Gateway Protocol alone', async () => {
    const probe = await start(ECHO, { configure: undefined })
    const answer = await probe.ask({ type: 'send_message', request_id: 'R1', chat_id: '5', content: 'hello' })
    assert.equal(answer?.type, 'command_ok')
    const ours = probe.events.filter(({ type }) => /^(state_|log|status|register)/.test(type))
    assert.deepEqual(ours, [])
  })

  it('ends with code 0 within 500 ms when its input closes, on SIGTERM, and when its own clean-up hangs', async () => {
    const hangs = `
      import { defineChannel } from '../sdk/channel.ts'
      defineChannel({
        id: 'hangs',
        start: () => ({ send: () => Promise.resolve('1'), stop: () => new Promise(() => {}) }),
      })
      setInterval(() => {}, 1000)
    `
    const endings: [() => Promise<Probe>, (probe: Probe) => unknown][] = [
      [() => start(ECHO), (probe) => probe.endInput()],
      [() => start(ECHO), (probe) => probe.terminate()],
      [() => startSource(hangs), (probe) => probe.send({ type: 'shutdown' })],
    ]
    for (const [begin, end] of endings) {
      const times: number[] = []
      // A busy machine may stop any process for a while: the quickest of three counts.
      while (times.length < 3 && !times.some((ms) => ms < 500)) {
        const probe = await begin()
        await probe.event('ready')
        const began = performance.now()
        await end(probe)
        assert.equal((await probe.exited).code, 0)
        times.push(performance.now() - began)
      }
      assert.ok(Math.min(...times) < 500, `took ${times}`)
    }
  })

  it('tells a start that fails as a fatal error and ends with code 1', async () => {
    const probe = await startSource(`
      import { defineChannel } from '../sdk/channel.ts'
      import { PluginError } from '../sdk/errors.ts'
      defineChannel({ id: 'refused', start: () => { throw new PluginError('unauthorized', 'The token is refused') } })
    `)
    const error = await probe.event('error')
    assert.deepEqual(error, { type: 'error', code: 'unauthorized', message: 'The token is refused', fatal: true })
    assert.equal((await probe.exited).code, 1)
    assert.ok(!probe.events.some(({ type }) => type === 'ready'))
  })

  it('keeps what is printed off the protocol, and refuses a record with a wrong field before the core sees it', async () => {
    const probe = await startSource(`
      import { defineChannel } from '../sdk/channel.ts'
      defineChannel({
        id: 'prints',
        async start(api) {
          console.log('printed', { a: 1 })
          const told = api.received({ message_id: 7, chat_id: '1', sender: { id: '1' },
            content: { type: 'text', text: 'x' }, routing: { chat_type: 'dm' } })
          await told.catch((error) => console.log('refused:', error.message))
          return { send: () => Promise.resolve('1') }
        },
      })
    `)
    await probe.event('ready')
    await probe.until(() => /refused: message_received: message_id must be text/.test(probe.stderr()) || undefined)
    assert.match(probe.stderr(), /printed \{ a: 1 \}/)
    assert.deepEqual(probe.problems, [])
    assert.ok(!probe.events.some(({ type }) => type === 'message_received'))
  })

  it('does not let the core forget: settled comes after the store of the core answered', async () => {
    const probe = await startSource(`
      import { defineChannel } from '../sdk/channel.ts'
      defineChannel({
        id: 'settles',
        start: (api) => ({
          async send({ chat_id }) {
            await api.received({ message_id: 'm', chat_id, sender: { id: '1' },
              content: { type: 'text', text: 'x' }, routing: { chat_type: 'dm' } })
            await api.settled()
            return 'done'
          },
        }),
      })
    `)
    await probe.ask({ type: 'send_message', request_id: 'R1', chat_id: '5', content: 'x' })
    const order = probe.events.map(({ type }) => type).filter((type) => !['ready', 'log'].includes(type))
    assert.deepEqual(order, ['message_received', 'state_get', 'command_ok'])
  })
})

describe('the example in the README of the SDK', () => {
  it(
    'is a whole plugin: it passes the conformance kit and carries messages both ways',
    { timeout: 120_000 },
    async () => {
      const readme = await readFile(join(ROOT, 'plugins/sdk/README.md'), 'utf8')
      const block = (language: string) => new RegExp('```' + language + '\\n([^]*?)```').exec(readme)![1]!
      const folder = await mkdtemp(join(tmpdir(), 'gatehouse-sdk-'))
      folders.push(folder)
      const sdk = pathToFileURL(join(ROOT, 'plugins/sdk')).href
      await writeFile(join(folder, 'main.ts'), block('ts').replaceAll("'../sdk/", `'${sdk}/`))
      await writeFile(join(folder, 'plugin.json'), block('json'))
      const path = join(folder, 'chat.txt')
      await writeFile(path, '')
      const runtime = await currentRuntime()
      const target = await openTarget([folder], { runtime, environment: process.env, settings: { config: { path } } })
      const report = await runConformance(target, { chat: path })
      const bad = report.sections.flatMap(({ checks }) => checks).filter(({ status }) => status === 'fail')
      assert.deepEqual(bad, [])

      await writeFile(path, 'first line\n')
      const probe = await start(join(folder, 'main.ts'), { configure: configure({ path }) })
      const text = (wanted: string) => ({ content }: { content: { type: string; text?: string } }) =>
        content.text === wanted
      assert.ok(await probe.event('message_received', text('first line')))
      await probe.ask({ type: 'send_message', request_id: 'R1', chat_id: path, content: 'an answer' })
      assert.match(await readFile(path, 'utf8'), /^agent: an answer$/m)
      await appendFile(path, 'second line\n')
      assert.ok(await probe.event('message_received', text('second line')))
      assert.ok(!probe.events.some((event) => event.type === 'message_received' && text('agent: an answer')(event)))
    },
  )
})

describe('capabilities made with the SDK', () => {
  const source = `
    import { definePlugin } from '../sdk/plugin.ts'
    import { PluginError } from '../sdk/errors.ts'
    definePlugin({
      id: 'clock',
      register(api) {
        api.tool({
          name: 'now',
          description: 'The time',
          effect: 'read',
          input_schema: { type: 'object', properties: { zone: { type: 'string' } } },
          async run({ zone }, { signal, chunk, context }) {
            if (zone === 'slow') await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
            if (zone === 'bad') throw new PluginError('invalid_request', 'There is no such zone')
            if (zone === 'parts') for (let i = 0; i < 3; i++) await chunk(i)
            return { ok: true, text: zone + ' for ' + context.handle + ' ' + api.secrets.key }
          },
        })
        api.webSearch({ name: 'find', label: 'Find', search: ({ query }) => ({ results: [{ title: query, url: 'https://a.example' }] }) })
        api.service({ name: 'beat', start: () => 'begun', stop: () => api.log.info('the beat ends') })
      },
    })
  `
  const call = (call_id: string, handle: string, method: string, input: unknown, more: object = {}) => ({
    type: 'call',
    call_id,
    handle,
    method,
    input,
    deadline_ms: 5000,
    credit: 10,
    context: { handle: 'ada' },
    ...more,
  })

  it('are registered after ready, called by handle, and get their secrets', async () => {
    const probe = await startSource(source, { configure: configure({}, { key: 'k-1' }) })
    const tool = await probe.event('register', ({ kind }) => kind === 'tool')
    assert.deepEqual(probe.events[0]?.type, 'ready')
    assert.equal(tool?.definition.name, 'now')
    assert.ok(!('run' in tool!.definition))
    const search = await probe.event('register', ({ kind }) => kind === 'web_search')
    const service = await probe.event('register', ({ kind }) => kind === 'service')
    await probe.send(call('c1', tool!.handle, 'run', { zone: 'UTC' }))
    await probe.send(call('c2', search!.handle, 'search', { query: 'gate', count: 3 }))
    await probe.send(call('c3', service!.handle, 'start', {}))
    const result = async (id: string) => (await probe.event('result', ({ call_id }) => call_id === id))?.output
    assert.deepEqual(await result('c1'), { ok: true, text: 'UTC for ada k-1' })
    assert.deepEqual(await result('c2'), { results: [{ title: 'gate', url: 'https://a.example' }] })
    assert.equal(await result('c3'), 'begun')
    await probe.send({ type: 'shutdown' })
    assert.ok(await probe.event('log', ({ message }) => message === 'the beat ends'))
    assert.deepEqual(probe.problems, [])
  })

  it('fail with a code, can be cancelled, and end at their deadline', async () => {
    const probe = await startSource(source)
    const { handle } = (await probe.event('register'))!
    const failure = async (id: string) => (await probe.event('failed', ({ call_id }) => call_id === id))?.code
    await probe.send(call('c1', handle, 'run', { zone: 'bad' }))
    await probe.send(call('c2', handle, 'run', { zone: 'slow' }))
    await probe.send(call('c3', handle, 'run', { zone: 'slow' }, { deadline_ms: 50 }))
    await probe.send(call('c4', handle, 'walk', {}))
    await probe.send(call('c5', 'nobody', 'run', {}))
    await probe.send({ type: 'cancel', call_id: 'c2', reason: 'the turn was interrupted' })
    await probe.send({ type: 'cancel', call_id: 'nothing', reason: 'x' })
    assert.equal(await failure('c1'), 'invalid_request')
    assert.equal(await failure('c2'), 'cancelled')
    assert.equal(await failure('c3'), 'timeout')
    assert.equal(await failure('c4'), 'invalid_request')
    assert.equal(await failure('c5'), 'invalid_request')
  })

  it('send no more chunks than there is credit for', async () => {
    const probe = await startSource(source)
    const { handle } = (await probe.event('register'))!
    await probe.send(call('c1', handle, 'run', { zone: 'parts' }, { credit: 2 }))
    await probe.event('chunk', ({ data }) => data === 1)
    await probe.ask({ type: 'ping', request_id: 'P' })
    assert.equal(probe.events.filter(({ type }) => type === 'chunk').length, 2)
    await probe.send({ type: 'credit', call_id: 'c1', chunks: 1 })
    assert.ok(await probe.event('result'))
    assert.equal(probe.events.filter(({ type }) => type === 'chunk').length, 3)
  })
})
