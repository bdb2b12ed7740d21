import { setTimeout } from 'node:timers/promises'
import { ulid } from 'ulid'
import { MAX_LINE_BYTES } from '../../../shared/gateway-protocol.ts'
import { declares } from '../kinds/kinds.ts'
import { type Bench, type Check, fail, lastWords, type Outcome, pass, skip, warn } from './check.ts'
import type { Probe, Sent } from './probe.ts'
import type { Target } from './target.ts'

/** Until `ready`, and until a ping is answered. */
const READY_MS = 10_000
const PONG_MS = 5000
/** A platform may be slow to refuse. */
const ANSWER_MS = 30_000
const PINGS = 200

/** What a plugin does while it runs; the checks come one after the other, to one process. */
export const protocolChecks: Check[] = [
  {
    id: 'ready',
    title: `it says ready within ${READY_MS / 1000} s`,
    async run(bench) {
      if (!bench.target.start) return fail('It is not known how to start it')
      const probe = await bench.shared()
      const ready = await probe.event('ready', undefined, READY_MS)
      if (!ready) {
        const error = probe.events.find((event) => event.type === 'error')
        const missing = missingSettings(bench.target)
        const hint = missing.length > 0 ? ` It was not given ${missing.join(', ')}: see --settings.` : ''
        return fail(
          error ? `It said instead: ${error.code}: ${error.message}${hint}` : `It did not.${hint} ${lastWords(probe)}`,
        )
      }
      return ready.version.startsWith('v1') ? pass : fail(`version is "${ready.version}"; send "v1alpha1"`)
    },
  },
  whileRunning('ping', 'it answers a ping with its id', async ({ probe }) => {
    const request_id = ulid()
    const pong = await probe.ask({ type: 'ping', request_id }, PONG_MS)
    return pong?.type === 'pong' ? pass : fail(`No pong came within ${PONG_MS / 1000} s. ${lastWords(probe)}`)
  }),
  whileRunning('burst', `it answers ${PINGS} pings at once, each one time`, async ({ probe }) => {
    const ids = Array.from({ length: PINGS }, () => ulid())
    const from = probe.events.length
    await probe.write(ids.map((request_id) => `${JSON.stringify({ type: 'ping', request_id })}\n`).join(''))
    const answered = (): string[] =>
      probe.events.slice(from).flatMap((event) => event.type === 'pong' ? [event.request_id] : [])
    await probe.until(() => answered().length >= PINGS || undefined, ANSWER_MS)
    const found = answered()
    if (new Set(found).size < PINGS) return fail(`Only ${new Set(found).size} were answered. ${lastWords(probe)}`)
    return found.length === PINGS ? pass : fail('Some were answered twice')
  }),
  whileRunning('pieces', 'it reads a line that comes in pieces, and two that come in one', async ({ probe }) => {
    const [first, second, third] = [ulid(), ulid(), ulid()]
    const line = JSON.stringify({ type: 'ping', request_id: first })
    for (const piece of [line.slice(0, 9), line.slice(9, 20), `${line.slice(20)}\n`]) {
      await probe.write(piece)
      await setTimeout(20)
    }
    await probe.write([second, third].map((id) => `${JSON.stringify({ type: 'ping', request_id: id })}\n`).join(''))
    return await pongs(probe, [first, second, third])
  }),
  whileRunning(
    'layout',
    'it minds neither spaces, CRLF, the order of fields nor fields it does not know',
    async (on) => {
      const ids = [ulid(), ulid(), ulid()]
      await on.probe.write(`  { "request_id" : "${ids[0]}" ,\t"type" : "ping" }\n`)
      await on.probe.write(`{"request_id":"${ids[1]}","type":"ping"}\r\n`)
      await on.probe.write(`{"later":{"type":"shutdown"},"request_id":"${ids[2]}","type":"ping","note":null}\n`)
      return await pongs(on.probe, ids)
    },
  ),
  whileRunning('line-ends', 'it ends lines at LF alone', async ({ probe }) => {
    const ids = [ulid(), ulid()]
    for (const request_id of ids) await probe.send({ type: 'ping', request_id, note: 'a\u2028b\u2029c\u0085d\v\f\x1c' })
    const outcome = await pongs(probe, ids)
    return outcome.status === 'pass' ? pass : fail('Split at \\n only: U+2028 and U+0085 are part of a text')
  }),
  whileRunning('long', 'it reads a line of twice the length that it may write itself', async ({ probe }) => {
    const request_id = ulid()
    await probe.write(`{"type":"ping","request_id":"${request_id}","padding":"${'x'.repeat(2 * MAX_LINE_BYTES)}"}\n`)
    return await pongs(probe, [request_id], ANSWER_MS)
  }),
  whileRunning('nonsense', 'it lives on after lines that make no sense', async ({ probe }) => {
    await probe.write('\nno json\n[1,2]\n"text"\n{}\n{"type":7}\n{"type":"Ping","request_id":"x"}\n')
    return await stillThere(probe)
  }),
  whileRunning('unknown', 'it lives on after a command that it does not know', async ({ probe }) => {
    await probe.send({ type: 'paint_message', request_id: ulid(), chat_id: 'x', colour: 'blue' })
    return await stillThere(probe)
  }),

  command('send', 'it answers send_message', ({ chat }) => ({
    type: 'send_message',
    chat_id: chat,
    content: 'Checking that **all is well**: äöü 日本 👩‍👩‍👧 "quoted" \\ end.',
  }), { mustSucceed: true }),
  command('send-all', 'it answers send_message with a reply, buttons and empty fields', ({ chat }) => ({
    type: 'send_message',
    chat_id: chat,
    content: 'Choose:',
    reply_to: null,
    inline_keyboard: { rows: [[{ text: 'Yes', callback_data: 'a' }, { text: 'No', callback_data: 'b' }]] },
  })),
  command('media-url', 'it answers send_media with an address', ({ chat }) => ({
    type: 'send_media',
    chat_id: chat,
    media: { source: 'url', url: 'https://img.example/cat.png', mime_type: 'image/png' },
    caption: null,
  })),
  command('media-data', 'it answers send_media with the data', ({ chat }) => ({
    type: 'send_media',
    chat_id: chat,
    media: { source: 'base64', data: 'aGVsbG8=', mime_type: 'text/plain', filename: 'hello.txt' },
    caption: 'a file',
  })),
  command('edit', 'it answers edit_message', ({ chat }) => ({
    type: 'edit_message',
    chat_id: chat,
    message_id: 'no-such-message',
    content: 'Changed',
  })),
  command('delete', 'it answers delete_message', ({ chat }) => ({
    type: 'delete_message',
    chat_id: chat,
    message_id: 'no-such-message',
  })),
  command('callback', 'it answers answer_callback_query, with and without a text', () => ({
    type: 'answer_callback_query',
    callback_query_id: 'no-such-callback',
    text: null,
  })),

  ofChannel('typing', 'it does not answer send_typing', async ({ probe, chat }) => {
    const from = probe.events.length
    await probe.send({ type: 'send_typing', chat_id: chat, duration: 1 })
    await probe.send({ type: 'send_typing', chat_id: chat })
    const alive = await stillThere(probe)
    const answers = probe.events.slice(from).filter(({ type }) => type === 'command_ok' || type === 'command_error')
    return alive.status !== 'pass' ? alive : answers.length === 0 ? pass : fail('It did, without an id to answer to')
  }),
  whileRunning('calls', 'it fails a call to what it never registered', async ({ probe, target }) => {
    if (target.manifest?.protocol !== 'gatehouse.v1') return skip('It speaks the Gateway Protocol alone')
    const call_id = ulid()
    await probe.send({ type: 'cancel', call_id: 'never-made', reason: 'a test' })
    const about = { handle: 'never-registered', method: 'run', input: {}, context: {} }
    await probe.send({ type: 'call', call_id, ...about, deadline_ms: 5000, credit: 1 })
    const failed = await probe.event('failed', (event) => event.call_id === call_id, PONG_MS)
    return failed ? pass : fail('It did not answer')
  }),
  whileRunning('registered', 'it registers only what its manifest declares', ({ probe, target }) => {
    const registered = probe.events.flatMap((event) => event.type === 'register' ? [event] : [])
    if (registered.length === 0) return Promise.resolve(skip('It registers nothing'))
    const { manifest } = target
    const strange = registered.filter(({ kind, definition }) => !manifest || !declares(manifest, kind, definition))
    const names = strange.map(({ kind, definition }) => `${kind} ${String(definition.name ?? '')}`.trim())
    return Promise.resolve(strange.length === 0 ? pass : fail(`The manifest does not declare: ${names.join(', ')}`))
  }),
  whileRunning('ids', 'it answers each command once, and nothing that was not asked', ({ probe }) => {
    const answers = probe.events.flatMap((event) =>
      event.type === 'command_ok' || event.type === 'command_error' || event.type === 'pong' ? [event.request_id] : []
    )
    const twice = answers.filter((id, i) => answers.indexOf(id) !== i)
    const strange = answers.filter((id) => !/^[0-9A-HJKMNP-TV-Z]{26}$/.test(id) && id !== 'x')
    if (twice.length > 0) return Promise.resolve(fail(`Answered twice: ${[...new Set(twice)].join(', ')}`))
    return Promise.resolve(strange.length === 0 ? pass : fail(`Never asked: ${strange.join(', ')}`))
  }),
  whileRunning('stdout', 'it writes nothing but records to stdout', async ({ probe }) => {
    const [first] = probe.problems
    if (first) return fail(`${first}${probe.problems.length > 1 ? ` (and ${probe.problems.length - 1} more)` : ''}`)
    const readies = probe.events.filter(({ type }) => type === 'ready').length
    if (readies > 1) return fail(`It said ready ${readies} times`)
    return await Promise.resolve(
      probe.unknown.length > 0 ? warn(`Types that the protocol does not know: ${probe.unknown.join(', ')}`) : pass,
    )
  }),
]

type Running = Bench & { probe: Probe }

/** A check of the shared process; skipped when it never got ready. */
function whileRunning(id: string, title: string, look: (on: Running) => Promise<Outcome>): Check {
  return {
    id,
    title,
    async run(bench) {
      if (!bench.target.start) return skip('It does not start')
      const probe = await bench.shared()
      if (!probe.events.some(({ type }) => type === 'ready')) return skip('It did not get ready')
      if (probe.ended()) return fail(`It is not running any more. ${lastWords(probe)}`)
      return await look({ ...bench, probe })
    },
  }
}

/** What a server would wait for before it starts the plugin at all. */
function missingSettings({ manifest, settings: { config = {}, secrets = {} } }: Target): string[] {
  const required = manifest?.config_schema.required
  return [
    ...(Array.isArray(required) ? required.map(String) : []).filter((name) => config[name] === undefined),
    ...(manifest?.secrets ?? []).filter(({ name, required }) => required && !secrets[name]).map(({ name }) => name),
  ]
}

/** Of no concern to a plugin whose manifest names no channel: the server sends it nothing of the kind. */
function ofChannel(id: string, title: string, look: (on: Running) => Promise<Outcome>): Check {
  return whileRunning(id, title, async (on) => {
    const { manifest } = on.target
    return manifest && manifest.channels.length === 0 ? skip('Its manifest names no channel') : await look(on)
  })
}

/** A command that has to be answered, whether the platform likes it or not. */
function command(id: string, title: string, body: (bench: Bench) => Sent, options: { mustSucceed?: true } = {}): Check {
  return ofChannel(id, title, async (on) => {
    const { probe, chatExists } = on
    const answer = await probe.ask({ ...body(on), request_id: ulid() }, ANSWER_MS)
    if (!answer) return fail(`No command_ok or command_error came within ${ANSWER_MS / 1000} s. ${lastWords(probe)}`)
    if (answer.type === 'pong') return fail('It answered with pong')
    if (answer.type === 'command_error' && options.mustSucceed && chatExists) {
      return fail(`It refused: ${answer.code}: ${answer.message}`)
    }
    return answer.type === 'command_ok' ? pass : { ...pass, message: `refused as ${answer.code}: ${answer.message}` }
  })
}

async function stillThere(probe: Probe): Promise<Outcome> {
  return await pongs(probe, [ulid()], PONG_MS, true)
}

async function pongs(probe: Probe, ids: string[], ms = PONG_MS, send = false): Promise<Outcome> {
  if (send) { for (const request_id of ids) await probe.send({ type: 'ping', request_id }) }
  const missing = (): string[] =>
    ids.filter((id) => !probe.events.some((event) => event.type === 'pong' && event.request_id === id))
  await probe.until(() => missing().length === 0 || undefined, ms)
  return missing().length === 0
    ? pass
    : fail(`${missing().length} of ${ids.length} pings were not answered afterwards. ${lastWords(probe)}`)
}
