import assert from 'node:assert/strict'
import { Buffer } from 'node:buffer'
import { rm } from 'node:fs/promises'
import { afterEach, describe, it } from 'node:test'
import { delay, fail, hold, reasoning, scripted, toolCall } from '../server/models/providers/scripted.ts'
import { createOutbox } from '../server/openagent/outbox.ts'
import type { ModelProvider } from '../server/models/provider.ts'
import type { Socket } from '../server/runtime/port.ts'
import { OWNER_TOKEN, type TestApp, testApp } from './support/app.ts'
import { type Frame, openSocket, type TestSocket } from './support/ws.ts'

const JPEG = Buffer.from([0xff, 0xd8, 0xff, 0xe0, 0, 16, 0x4a, 0x46, 0x49, 0x46, 0, 1]).toString('base64')

let app: TestApp
let url = ''
let stopped = false
let sockets: TestSocket[] = []

async function serve(model: ModelProvider = scripted(), more: Parameters<typeof testApp>[0] = {}): Promise<void> {
  app = await testApp({ model, ...more })
  url = (await app.listen()).replace('http', 'ws') + '/ws'
  stopped = false
}

async function dial(token = OWNER_TOKEN): Promise<TestSocket> {
  const socket = await openSocket(url, { authorization: `Bearer ${token}` })
  sockets.push(socket)
  await socket.next(({ type }) => type === 'auth_ok')
  return socket
}

afterEach(async () => {
  for (const socket of sockets) socket.drop()
  sockets = []
  if (stopped) await rm(app.home, { recursive: true, force: true })
  else await app.close()
})

const is = (type: string, session?: string) => (frame: Frame) =>
  frame.type === type && (session === undefined || frame.session_id === session)

/** Types of the frames that belong to a session, without what the machine's pace decides. */
const shape = (frames: Frame[], session: string): string[] =>
  frames.filter((frame) => frame.session_id === session).map((frame) => frame.type)
    .filter((type, i, all) => type !== 'delta' || all[i - 1] !== 'delta')

async function until(holds: () => boolean | Promise<boolean>, what: string): Promise<void> {
  for (let i = 0; i < 600; i++) {
    if (await holds()) return
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  assert.fail(`never: ${what}`)
}

describe('a WebSocket of an OpenAgent client', () => {
  it('is greeted at once, and refused without a credential', async () => {
    await serve()
    const socket = await dial()
    const { connection_id, ...hello } = socket.frames[0]!
    assert.equal(typeof connection_id, 'string')
    assert.deepEqual(hello, {
      type: 'auth_ok',
      agent_name: 'Gatehouse',
      version: '0.0.0-test',
      handle: 'owner',
      network: null,
      network_id: null,
    })
    socket.send({ type: 'auth', token: '' })
    socket.send({ type: 'ping' })
    await socket.next(is('pong'))
    await assert.rejects(openSocket(url), /401/)
    await assert.rejects(openSocket(url + '/nothing', { authorization: `Bearer ${OWNER_TOKEN}` }), /404/)
  })

  it('gets a turn in the order of the protocol, and finds it over REST when it is complete', async () => {
    await serve(scripted([[reasoning('hm '), 'Let me see. ', toolCall('time.now')], 'It is late.']))
    const socket = await dial()
    socket.send({ type: 'session_open', session_id: 's', profile: 'batched', client_kind: 'webapp-chat', speak: false })
    socket.send({ type: 'text_final', session_id: 's', text: 'what time is it?' })
    await socket.next(is('turn_complete', 's'))
    const runs = await app.json<{ messages: { role: string; text: string }[] }>('/api/sessions/s/runs')
    assert.deepEqual(runs.messages.at(-1)?.text, 'It is late.')
    await socket.next(is('context_report', 's'))
    assert.deepEqual(shape(socket.frames, 's'), [
      'reasoning',
      'reasoning',
      'delta',
      'status',
      'status',
      'reasoning',
      'reasoning',
      'delta',
      'reasoning',
      'response',
      'turn_complete',
      'context_report',
    ])
    const [start, end] = socket.frames.filter(is('status')).map((frame) => JSON.parse(frame.text))
    assert.deepEqual(start, {
      tool_name: 'time.now',
      tool_call_id: end.tool_call_id,
      tool_args: {},
      tool_call_error: null,
      result: null,
    })
    assert.equal(end.tool_call_error, false)
    assert.match(end.result, /iso/)
    const response = socket.frames.find(is('response'))!
    assert.deepEqual([response.text, response.attachments], ['It is late.', null])
    assert.equal(socket.frames.find(is('turn_complete'))!.reason, 'completed')
    assert.ok(!socket.frames.some(is('text_final')), 'what was sent here is not echoed here')
    assert.ok(!socket.frames.some(is('queued')))
  })

  it('runs two sessions side by side and keeps their frames apart', async () => {
    await serve()
    const socket = await dial()
    socket.send({ type: 'text_final', session_id: 'a', text: 'slow: 12' })
    socket.send({ type: 'text_final', session_id: 'b', text: 'slow: 12' })
    await socket.turns(2)
    const words = Array.from({ length: 12 }, (_, i) => `word${i + 1} `).join('')
    assert.deepEqual([socket.text('a'), socket.text('b')], [words, words])
    const first = socket.frames.findIndex(is('turn_complete'))
    const begun = new Set(socket.frames.slice(0, first).filter(is('delta')).map((frame) => frame.session_id))
    assert.equal(begun.size, 2, 'both were speaking before either was done')
  })

  it('answers texts of one session first in, first out, and says at once who waits', async () => {
    await serve()
    const socket = await dial()
    for (const text of ['slow: 5', 'second', 'third']) socket.send({ type: 'message', text })
    await socket.turns(3)
    const waits = socket.frames.filter(is('queued')).map(({ position, session_id }) => [position, session_id])
    assert.deepEqual(waits, [[1, 'default'], [2, 'default']])
    const answers = socket.frames.filter(is('response')).map((frame) => frame.text)
    assert.deepEqual(answers.slice(1), ['You said: second', 'You said: third'])
    assert.ok(socket.frames.findIndex(is('queued')) < socket.frames.findIndex(is('response')))
  })

  it('joins texts of one burst when the client asks for a window', async () => {
    await serve()
    const socket = await dial()
    socket.send({ type: 'session_open', session_id: 's', coalesce_window_ms: 3000 })
    socket.send({ type: 'text_final', session_id: 's', text: 'one' })
    socket.send({ type: 'text_final', session_id: 's', text: 'two' })
    await socket.turns(1)
    assert.equal(socket.frames.find(is('response'))!.text, 'You said: one\n\ntwo')
    assert.ok(!socket.frames.some(is('text_final')))
  })

  it('keeps what was said when it is interrupted, and answers what waits', async () => {
    await serve()
    const socket = await dial()
    socket.send({ type: 'text_final', session_id: 's', text: 'slow: 200' })
    await socket.next(is('delta'))
    socket.send({ type: 'text_final', session_id: 's', text: 'next' })
    socket.send({ type: 'interrupt', session_id: 's', reason: 'manual' })
    await socket.turns(2)
    const [stopped, next] = socket.frames.filter(is('response'))
    assert.match(stopped!.text, /^word1 /)
    assert.equal(next!.text, 'You said: next')
    assert.equal(socket.frames.find(is('turn_complete'))!.reason, 'interrupted')
    const delivered = socket.text('s')
    assert.ok(delivered.startsWith(stopped!.text), 'nothing that was shown is taken back')
    socket.send({ type: 'interrupt', session_id: 'never-heard-of' })
    socket.send({ type: 'ping' })
    await socket.next(is('pong'))
    assert.ok(!socket.frames.some(is('error')))
  })

  it('says that there was no text when a turn is stopped before its first word', async () => {
    await serve(scripted([delay(60_000)]))
    const socket = await dial()
    socket.send({ type: 'text_final', session_id: 's', text: 'hello' })
    await socket.next(is('reasoning'))
    socket.send({ type: 'interrupt', session_id: 's' })
    assert.equal((await socket.next(is('response'))).text, 'Stopped before there was any text.')
  })

  it('shows a failed turn as an error that keeps the text so far', async () => {
    await serve(scripted([['Half an answer ', fail('invalid')]]))
    const socket = await dial()
    socket.send({ type: 'text_final', session_id: 's', text: 'hello' })
    const complete = await socket.next(is('turn_complete'))
    assert.equal(complete.reason, 'error')
    assert.match(complete.error, /fails on purpose/)
    assert.match(socket.frames.find(is('response'))!.text, /^Error: .*on purpose.*\n\nHalf an answer /)
  })

  it('shows a client that comes in the middle what is under way, and loses and doubles nothing', async () => {
    await serve()
    const first = await dial()
    first.send({ type: 'session_open', session_id: 's' })
    first.send({ type: 'text_final', session_id: 's', text: 'slow: 40' })
    await first.next((frame) => frame.type === 'delta' && frame.text.includes('word6'))
    first.drop()
    const second = await dial()
    await second.next(is('live_state', 's'))
    await second.next((frame) => frame.type === 'delta' && frame.text.includes('word15'))
    const at = second.frames.length
    second.send({ type: 'session_open', session_id: 's' })
    const live = await second.next(is('live_state', 's'), at)
    await second.turns(1)
    assert.equal(live.active, true)
    assert.deepEqual(
      live.frames.map((frame: Frame) => frame.type),
      ['text_final', 'reasoning', 'reasoning', 'delta'],
    )
    const later = second.frames.slice(second.frames.indexOf(live)).filter(is('delta')).map((frame) => frame.text)
    const text = live.frames.filter(is('delta')).map((frame: Frame) => frame.text).join('') + later.join('')
    const response = second.frames.find(is('response'))!
    assert.equal(text, Array.from({ length: 40 }, (_, i) => `word${i + 1} `).join(''))
    assert.equal(response.text, text)
  })

  it('resumes after the offset of the last frame that a client saw', async () => {
    await serve()
    const first = await dial()
    first.send({ type: 'session_open', session_id: 's' })
    first.send({ type: 'text_final', session_id: 's', text: 'slow: 30' })
    await first.next((frame) => frame.type === 'delta' && frame.text.includes('word9'))
    first.drop()
    const after = Math.max(...first.frames.map((frame) => frame.offset ?? 0))
    // What was shown up to there, as a client would remember it.
    const seen = first.text('s')
    const second = await dial()
    const from = second.frames.length
    second.send({ type: 'session_open', session_id: 's', after })
    await second.turns(1)
    const resumed = second.frames.slice(from).findIndex((frame) => frame.offset > after)
    const rest = second.frames.slice(from + resumed).filter((frame) => frame.type === 'delta' && frame.offset > after)
    const unique = [...new Map(rest.map((frame) => [frame.offset, frame.text])).values()].join('')
    assert.equal(seen + unique, second.frames.find(is('response'))!.text)
  })

  it('hears what another device of the same person asks in a session that it has open', async () => {
    await serve()
    const [desk, phone] = [await dial(), await dial()]
    desk.send({ type: 'session_open', session_id: 's' })
    phone.send({ type: 'session_open', session_id: 's' })
    phone.send({ type: 'ping' })
    await phone.next(is('pong'))
    phone.send({ type: 'text_final', session_id: 's', text: 'from the phone' })
    await desk.turns(1)
    await phone.turns(1)
    assert.equal(desk.frames.find(is('text_final'))!.text, 'from the phone')
    assert.ok(!phone.frames.some(is('text_final')))
    assert.equal(desk.frames.find(is('response'))!.text, 'You said: from the phone')
  })

  it('hears nothing of another person', async () => {
    await serve()
    const { secret } = await app.json<{ secret: string }>('/api/keys', {
      json: { name: 'guest', scopes: ['chat', 'read'], handle: 'guest' },
    })
    const [owner, guest] = [await dial(), await dial(secret)]
    guest.send({ type: 'session_open', session_id: 's' })
    owner.send({ type: 'session_open', session_id: 's' })
    owner.send({ type: 'text_final', session_id: 's', text: 'a secret' })
    await owner.turns(1)
    guest.send({ type: 'text_final', session_id: 's', text: 'mine' })
    await guest.turns(1)
    assert.ok(!JSON.stringify(guest.frames).includes('secret'))
    assert.ok(!JSON.stringify(owner.frames).includes('mine'))
  })

  it('shows runs that no client began, also to clients that did not open them', async () => {
    await serve()
    const socket = await dial()
    await app.ask('scheduler:task:run', 'tidy up')
    await socket.turns(1)
    const shown = socket.frames.filter((frame) => frame.session_id === 'scheduler:task:run')
    assert.deepEqual(shown[0]!.type, 'seed')
    assert.deepEqual([shown[0]!.text, shown[0]!.author], ['tidy up', { kind: 'agent' }])
    await app.ask('chat-of-a-script', 'hello')
    await app.ask('scheduler:task:run2', 'again')
    await socket.turns(2)
    assert.ok(!socket.frames.some((frame) => frame.session_id === 'chat-of-a-script'))
  })

  it('tells which resources changed, and how the machine does', async () => {
    await serve()
    const socket = await dial()
    await app.json('/api/sessions', { json: { session_id: 'made-over-rest' } })
    const event = await socket.next(is('resource_event'))
    assert.deepEqual(event, {
      type: 'resource_event',
      resource: 'session',
      action: 'created',
      id: 'made-over-rest',
    })
  })

  it('goes on after every malformed frame and says what is wrong with it', async () => {
    await serve()
    const socket = await dial()
    const wrong: [string, RegExp][] = [
      ['{"type":', /^Invalid JSON$/],
      ['['.repeat(5000) + ']'.repeat(5000), /^Invalid JSON$/],
      ['[1]', /JSON object/],
      ['null', /JSON object/],
      ['{}', /^type: is missing/],
      ['{"type":"constructor"}', /^Unknown frame type: constructor$/],
      ['{"type":"text_final"}', /^text: is missing$/],
      ['{"type":"text_final","text":7}', /^text: must be text$/],
      ['{"type":"text_final","text":"  "}', /^text: is empty/],
      ['{"type":"text_final","text":"x","session_id":"a/b"}', /^session_id: must not contain/],
      ['{"type":"text_final","text":"x","session_id":{"a":1}}', /^session_id: /],
      ['{"type":"text_final","text":"x","source":"root"}', /^source: must be user_typed, stt or system$/],
      ['{"type":"text_final","text":"x","attachments":[{"type":"file"}]}', /^attachments\.0\.path: /],
      ['{"type":"text_final","text":"x","attachments":[{"type":"file","path":"/etc/passwd"}]}', /not an uploaded file/],
      ['{"type":"attachment","kind":"file","path":"/etc/passwd"}', /not an uploaded file/],
      ['{"type":"session_open","llm_pin":"no:such"}', /no:such is not connected/],
      ['{"type":"session_open","coalesce_window_ms":-1}', /^coalesce_window_ms: must not be negative$/],
      ['{"type":"video_frame","stream":"webcam","data":"AAAA"}', /^data: must be a JPEG/],
      ['{"type":"audio_chunk_in","data":"AAAA"}', /No speech service/],
      ['{"type":"approval","approval_id":"x","decision":"deny"}', /approval x was not found/],
    ]
    for (const [text, message] of wrong) {
      const from = socket.frames.length
      socket.sendRaw(text)
      const frame = await socket.next(is('error'), from)
      assert.match(frame.text, message, text.slice(0, 80))
    }
    socket.send({ type: 'terminal_open', terminal_id: 't1', cols: 80, rows: 24 })
    const refused = await socket.next(is('terminal_error'))
    assert.deepEqual([refused.terminal_id, refused.error], ['t1', 'This server offers no terminals.'])
    socket.send({ type: 'ui_subscribe', viewId: 'v' })
    assert.equal((await socket.next(is('ui_error'))).viewId, 'v')
    socket.send({ type: 'text_final', session_id: 's', text: 'still there', attachments: null, author: null })
    await socket.turns(1)
  })

  it('sends the newest picture of each stream and waiting files with the next text, once', async () => {
    const model = scripted()
    await serve(model)
    const form = new FormData()
    form.set('file', new File(['some notes'], 'notes.txt', { type: 'text/plain' }))
    const upload = await app.request('/api/upload', { method: 'POST', body: form })
    const { path } = await upload.json() as { path: string }
    const socket = await dial()
    for (let i = 0; i < 10; i++) socket.send({ type: 'video_frame', session_id: 's', stream: 'webcam', data: JPEG })
    socket.send({ type: 'video_frame', session_id: 's', stream: 'screen', data: JPEG })
    socket.send({ type: 'attachment', session_id: 's', kind: 'file', path, filename: 'notes.txt' })
    socket.send({ type: 'text_final', session_id: 's', text: 'look' })
    await socket.turns(1)
    socket.send({ type: 'text_final', session_id: 's', text: 'and now?' })
    await socket.turns(2)
    const { messages } = await app.json<{ messages: { role: string; attachments?: { filename: string }[] }[] }>(
      '/api/sessions/s/runs',
    )
    const files = messages.filter(({ role }) => role === 'user').map(({ attachments }) =>
      attachments?.map(({ filename }) => filename).sort() ?? []
    )
    assert.deepEqual(files, [['notes.txt', 'screen-snapshot.jpg', 'webcam-snapshot.jpg'], []])
    assert.equal(model.requests[0]!.messages.at(-1)!.content.length, 4)
  })

  it('takes the system prompt that a client sends as its first text, and answers only what is asked', async () => {
    const model = scripted()
    await serve(model)
    const socket = await dial()
    socket.send({ type: 'session_open', session_id: 's' })
    socket.send({ type: 'text_final', session_id: 's', source: 'system', text: '[system] Speak like a pirate.' })
    socket.send({ type: 'text_final', session_id: 's', text: 'hello' })
    await socket.turns(1)
    const systems = model.requests.map((request) => request.messages[0]!.content)
    assert.equal(systems.length, 1)
    assert.match(String(systems[0]), /Speak like a pirate\.$/)
    assert.equal(socket.frames.filter(is('response')).length, 1)
  })

  it('is closed with 1012 when the server stops and with 1008 when its key is revoked', async () => {
    await serve()
    const { key, secret } = await app.json<{ key: { id: string }; secret: string }>('/api/keys', {
      json: { name: 'phone', scopes: ['chat', 'read'] },
    })
    const [phone, desk] = [await dial(secret), await dial()]
    await app.request(`/api/keys/${key.id}`, { method: 'DELETE' })
    assert.equal((await phone.closed).code, 1008)
    await app.stop()
    stopped = true
    assert.equal((await desk.closed).code, 1012)
  })

  it('waits for a reader that stops reading, and gives it every byte afterwards', async () => {
    const piece = 'x'.repeat(250_000)
    await serve(scripted([Array.from({ length: 80 }, (_, i) => `${i}${piece} `)]))
    const [slow, quick] = [await dial(), await dial()]
    slow.send({ type: 'session_open', session_id: 's' })
    slow.send({ type: 'ping' })
    await slow.next(is('pong'))
    slow.pause()
    quick.send({ type: 'text_final', session_id: 's', text: 'a lot please' })
    await quick.turns(1)
    slow.resume()
    await slow.turns(1)
    const whole = Array.from({ length: 80 }, (_, i) => `${i}${piece} `).join('')
    assert.ok(slow.text('s') === whole)
    assert.ok(quick.text('s') === whole)
  })

  it('leaves nothing behind when a thousand come and go', async () => {
    await serve()
    const clients = async () =>
      (await app.json<{ gatehouse: { connected_clients: number } }>('/api/system')).gatehouse.connected_clients
    for (let round = 0; round < 20; round++) {
      const batch = await Promise.all(Array.from({ length: 50 }, () => dial()))
      for (const [i, socket] of batch.entries()) {
        socket.send({ type: 'session_open', session_id: `s${i}` })
        if (i % 2) socket.drop()
        else socket.close()
      }
      sockets = []
    }
    await until(async () => await clients() === 0, 'every socket is forgotten')
    const socket = await dial()
    socket.send({ type: 'text_final', session_id: 's1', text: 'still well?' })
    await socket.turns(1)
    assert.equal(await clients(), 1)
  })
})

describe('commands', () => {
  it('are listed for menus, and each gets one answer on the socket', async () => {
    await serve()
    const { commands } = await app.json<{ commands: Record<string, unknown>[] }>('/api/commands')
    assert.deepEqual(Object.keys(commands[0]!).sort(), [
      'arg_source',
      'description',
      'help_text',
      'help_visible',
      'menu_visible',
      'name',
    ])
    const socket = await dial()
    for (const { name } of commands.filter(({ name }) => name !== 'restart')) {
      const from = socket.frames.length
      socket.send({ type: 'command', name, session_id: 'untouched' })
      const result = await socket.next(is('command_result'), from)
      assert.ok(result.text.length > 3, String(name))
    }
    socket.send({ type: 'command', name: 'dance' })
    assert.equal((await socket.next((frame) => /Unknown/.test(frame.text))).text, 'Unknown command: dance')
    assert.equal(socket.frames.filter(is('command_result')).length, commands.length)
    const { sessions } = await app.json<{ sessions: unknown[] }>('/api/sessions')
    assert.deepEqual(sessions, [], 'asking about a conversation does not begin it')
  })

  it('stop what runs, tell what waits, and forget what was said', async () => {
    await serve()
    const socket = await dial()
    const run = async (name: string, arg?: string) => {
      const from = socket.frames.length
      socket.send({ type: 'command', name, session_id: 's', arg })
      return await socket.next(is('command_result'), from)
    }
    socket.send({ type: 'text_final', session_id: 's', text: 'slow: 300' })
    socket.send({ type: 'text_final', session_id: 's', text: 'waits' })
    await socket.next(is('delta'))
    assert.equal((await run('status')).text, 'Busy. 1 waiting. 1 conversation.')
    assert.equal((await run('queue')).text, '1. waits')
    assert.equal((await run('stop')).text, 'Stopped.')
    await socket.turns(2)
    const context = await run('context')
    assert.equal(context.context.session_id, 's')
    assert.match((await run('usage')).text, /^This month: /)
    assert.equal((await run('clear')).text, 'The conversation starts anew.')
    assert.deepEqual((await app.json<{ messages: unknown[] }>('/api/sessions/s/runs')).messages, [])
    const picker = (await run('model')).picker
    assert.deepEqual([picker.command, picker.options[0].value, picker.options[0].active], ['model', 'default', true])
    assert.match((await run('model', 'no:such')).text, /no:such is not connected. Choose one of/)
    assert.equal((await run('model', 'builtin:rules')).text, 'This conversation now uses builtin:rules.')
    assert.equal((await app.json<{ runtime_id: string }>('/api/sessions/s/model')).runtime_id, 'builtin:rules')
    await run('model', 'default')
    assert.equal((await app.json<{ runtime_id: null }>('/api/sessions/s/model')).runtime_id, null)
  })

  it('choose a model before the first message, which it then answers', async () => {
    await serve()
    const socket = await dial()
    const run = async (name: string, arg?: string) => {
      const from = socket.frames.length
      socket.send({ type: 'command', name, session_id: 'fresh', arg })
      return (await socket.next(is('command_result'), from)).text
    }
    assert.equal(await run('compact'), 'This conversation is empty.')
    assert.equal(await run('model', 'default'), 'This conversation uses the default model.')
    assert.match(await run('model', 'no:such'), /not connected/)
    assert.equal((await app.request('/api/sessions/fresh')).status, 404)
    assert.equal(await run('model', 'builtin:rules'), 'This conversation now uses builtin:rules.')
    socket.send({ type: 'text_final', session_id: 'fresh', text: 'hello' })
    assert.equal((await socket.next(is('response'))).model, 'builtin:rules')
  })

  it('are answered at the moment when a turn begins, and hold up none', async () => {
    await serve()
    const socket = await dial()
    for (let i = 0; i < 10; i++) {
      socket.send({ type: 'text_final', session_id: 's', text: `number ${i}` })
      for (let j = 0; j < 10; j++) socket.send({ type: 'command', name: 'status', session_id: 's' })
    }
    await socket.turns(10)
    await socket.next(() => socket.frames.filter(is('command_result')).length === 100)
  })

  it('fold a conversation, with the frames of it before the result', async () => {
    await serve()
    for (let i = 0; i < 5; i++) await app.ask('s', `message ${i}`)
    const socket = await dial()
    socket.send({ type: 'session_open', session_id: 's' })
    socket.send({ type: 'command', name: 'compact', session_id: 's' })
    const result = await socket.next(is('command_result'))
    assert.match(result.text, /folded/)
    const types = shape(socket.frames, 's')
    assert.deepEqual(types.filter((type) => type !== 'context_report'), [
      'session_compacted',
      'session_compacted',
      'command_result',
    ])
    assert.ok(types.includes('context_report'))
    const phases = socket.frames.filter(is('session_compacted')).map((frame) => frame.phase)
    assert.deepEqual(phases, ['running', 'done'])
  })

  it('approve or decline a call from the socket', async () => {
    const write = (path: string) => toolCall('notes.create', { path, content: 'x' })
    await serve(scripted([write('a.md'), 'Done.', write('b.md'), 'Not done.']))
    const socket = await dial()
    socket.send({ type: 'text_final', session_id: 's', text: 'write it' })
    const question = await socket.next(is('approval'))
    assert.equal(question.arguments.path, 'a.md')
    socket.send({ type: 'text_final', session_id: 's', text: '/approve' })
    assert.equal((await socket.next(is('queued'))).position, 1)
    socket.send({ type: 'command', name: 'approve', session_id: 's' })
    await socket.turns(1)
    assert.deepEqual(socket.frames.filter(is('command_result')).map((frame) => frame.text), [
      'Approved once: notes.create',
    ])
    assert.equal(socket.frames.find(is('response'))!.text, 'Done.')
    const second = await socket.next((frame) => frame.type === 'approval' && frame !== question)
    socket.send({ type: 'approval', approval_id: second.approval_id, decision: 'deny' })
    await socket.turns(2)
    assert.equal(socket.frames.filter(is('response'))[1]!.text, 'Not done.')
  })

  it('run over REST, each under its own scope', async () => {
    await serve()
    const { secret } = await app.json<{ secret: string }>('/api/keys', { json: { name: 'r', scopes: ['read'] } })
    const post = (name: string, json: unknown, token?: string) =>
      app.request(`/api/commands/${name}`, { method: 'POST', json, ...(token ? { token } : {}) })
    assert.match((await (await post('help', {})).json() as { text: string }).text, /\/compact: /)
    assert.equal((await post('dance', {})).status, 404)
    assert.equal((await post('stop', {})).status, 400)
    assert.equal((await post('context', {})).status, 400)
    assert.equal((await post('restart', {}, secret)).status, 403)
    assert.equal((await post('status', { session_id: 's' }, secret)).status, 200)
    assert.equal(app.restarts.length, 0)
    assert.equal((await post('restart', {})).status, 200)
    await until(() => app.restarts.length === 1, 'the restart begins')
    const update = await app.request('/api/update', { method: 'POST' })
    assert.deepEqual(await update.json(), { updated: false, version: '0.0.0-test' })
    assert.deepEqual(await app.json('/api/terminals'), { terminals: [] })
  })

  it('are there for a key that may only talk, as far as each command lets it', async () => {
    await serve()
    const { secret } = await app.json<{ secret: string }>('/api/keys', { json: { name: 'talker', scopes: ['chat'] } })
    const talker = { token: secret }
    await app.json('/api/commands', talker)
    await app.json('/api/chat', { ...talker, json: { message: 'hello', session_id: 'talk' } })
    await app.json('/api/commands/clear', { ...talker, json: { session_id: 'talk' } })
    await app.json('/api/commands/restart', { ...talker, json: { session_id: 'talk' }, status: 403 })
  })
})

describe('POST /api/chat', () => {
  it('answers in one request and says whether the session is new', async () => {
    await serve()
    const chat = (json: unknown, status?: number) =>
      app.json<Record<string, unknown>>('/api/chat', { json, ...(status ? { status } : {}) })
    const { session_id, ...first } = await chat({ message: 'hello' })
    assert.deepEqual(first, {
      response: 'You said: hello',
      model: 'builtin:rules',
      errored: false,
      created: true,
      state: 'completed',
    })
    assert.equal((await chat({ message: 'again', session_id })).created, false)
    const failed = await chat({ message: 'fail: invalid', session_id })
    assert.equal(failed.errored, true)
    assert.match(String(failed.response), /^Error: /)
    await chat({ message: ' ' }, 400)
    await chat({}, 400)
    await chat({ message: 'x', session_id: 'a/b' }, 400)
  })

  it('notes which client began a session, by which the list can be narrowed', async () => {
    await serve()
    for (const client_id of ['bridge', 'desk']) {
      await app.json('/api/chat', { json: { message: 'hello', session_id: `of-${client_id}`, client_id } })
    }
    const listed = async (query: string) =>
      (await app.json<{ sessions: { session_id: string }[] }>(`/api/sessions${query}`)).sessions
        .map(({ session_id }) => session_id).sort()
    assert.deepEqual(await listed(''), ['of-bridge', 'of-desk'])
    assert.deepEqual(await listed('?client_id=bridge'), ['of-bridge'])
    assert.deepEqual(await listed('?client_id=nobody'), [])
  })

  it('refuses a session that is still answering', async () => {
    await serve()
    await app.json('/api/sessions/s/messages', { json: { text: 'slow: 300' } })
    const refused = await app.request('/api/chat', { method: 'POST', json: { message: 'hi', session_id: 's' } })
    assert.equal(refused.status, 409)
  })

  it('lets one of several at once speak, and refuses the others without a trace', async () => {
    const refused = Promise.withResolvers<void>()
    await serve(scripted([[hold(refused.promise), 'only one']]))
    const chat = (message: string) =>
      app.request('/api/chat', { method: 'POST', json: { message, session_id: 'once' } })
    let conflicts = 0
    const answers = await Promise.all(['a', 'b', 'c', 'd', 'e'].map(async (message) => {
      const answer = await chat(message)
      if (answer.status === 409 && ++conflicts === 4) refused.resolve()
      return answer
    }))
    assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 409, 409, 409, 409])
    const { messages } = await app.json<{ messages: { role: string }[] }>('/api/sessions/once/messages')
    assert.deepEqual(messages.map(({ role }) => role), ['user', 'assistant'])
  })
})

describe('the outbox of a socket', () => {
  it('cuts a client that leaves no room for too long and tells it where to resume', async () => {
    await serve()
    const calls: unknown[] = []
    const socket: Socket = {
      send: () => calls.push('send'),
      close: (code, reason) => calls.push([code, reason]),
      terminate: () => calls.push('terminate'),
      bufferedAmount: 2 * 1024 * 1024,
    }
    const out = createOutbox(socket, 100)
    assert.equal(await out.room(42), false)
    assert.deepEqual(calls, [[4008, 'Too slow. Resume: session_open with "after": 42']])
    out.send({ type: 'pong' })
    assert.equal(out.offer('{}'), false)
    assert.equal(calls.length, 1)
  })
})
