import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as v from 'valibot'
import { GatewayCommand, GatewayEvent } from '../shared/gateway-protocol.ts'
import { CapabilityCommand, CapabilityEvent, parseEvent } from '../shared/plugin-protocol.ts'
import { createLineSplitter } from '../server/plugins/lines.ts'

const COMMANDS = [
  '{"type":"send_message","request_id":"01KHW3Q7M8ZB4T5R6Y7A8C9D0E","chat_id":"5550101","content":"Build is **green**.","reply_to":"811","inline_keyboard":{"rows":[[{"text":"Allow Once","callback_data":"approve:allow_once"}]]}}',
  '{"type":"send_media","request_id":"01KHW3Q7M8ZB4T5R6Y7A8C9D0F","chat_id":"5550101","media":{"source":"url","url":"https://img.example/cat.png","mime_type":"image/png"},"caption":"today\'s cat"}',
  '{"type":"send_media","request_id":"1","chat_id":"5550101","media":{"source":"base64","data":"AAAA","mime_type":"image/png","filename":"a.png"}}',
  '{"type":"send_media","request_id":"2","chat_id":"5550101","media":{"source":"file","path":"/data/a.mp4","mime_type":"video/mp4","filename":"a.mp4"}}',
  '{"type":"send_typing","chat_id":"5550101","duration":5}',
  '{"type":"send_typing","chat_id":"5550101","thread_id":"9","duration":5}',
  '{"type":"set_reaction","request_id":"3","chat_id":"5550101","thread_id":"9","message_id":"811","emoji":"👍","replaces":"👀"}',
  '{"type":"edit_message","request_id":"01KHW3Q7M8ZB4T5R6Y7A8C9D0G","chat_id":"5550101","message_id":"812","content":"Build is red."}',
  '{"type":"delete_message","request_id":"01KHW3Q7M8ZB4T5R6Y7A8C9D0H","chat_id":"5550101","message_id":"812"}',
  '{"type":"answer_callback_query","request_id":"01KHW3Q7M8ZB4T5R6Y7A8C9D0J","callback_query_id":"cbq-77","text":"done"}',
  '{"type":"ping","request_id":"01KHW3Q7M8ZB4T5R6Y7A8C9D0K"}',
  '{"type":"shutdown"}',
  '{"type":"configure","protocol":"gatehouse.v1","plugin":{"id":"a","name":"A","version":"1"},"config":{"room":1},"secrets":{"token":"x"},"data_dir":null,"max_file_bytes":1000}',
  '{"type":"register_ok","handle":"h"}',
  '{"type":"register_failed","handle":"h","code":"conflict","message":"taken"}',
  '{"type":"call","call_id":"c","handle":"h","method":"run","input":{"a":1},"deadline_ms":1000,"credit":64,"context":{"session_id":"s"}}',
  '{"type":"credit","call_id":"c","chunks":32}',
  '{"type":"cancel","call_id":"c","reason":"timeout"}',
  '{"type":"state_ok","request_id":"s1","value":{"a":[1]}}',
  '{"type":"state_ok","request_id":"s2","keys":["a","b"]}',
  '{"type":"state_failed","request_id":"s3","code":"too_large","message":"no"}',
]

const ROUTING = '{"channel":"telegram","chat_type":"group","chat_id":"-100777","sender_id":"42","thread_id":"9"}'
const message = (more: string, { routing = ROUTING, content = '{"type":"text","text":"hi"}' } = {}) =>
  `{"type":"message_received","message_id":"811","chat_id":"-100777","sender":{"id":"42"},"content":${content},"routing":${routing}${more}}`

const EVENTS = [
  '{"type":"ready","gateway":"matrix","version":"v1alpha1","capabilities":["edit","typing","reply"]}',
  '{"type":"message_received","message_id":"811","chat_id":"-100777","sender":{"id":"42","username":"ada","display_name":"Ada L"},"content":{"type":"text","text":"@helper is it green?"},"routing":{"channel":"telegram","chat_type":"group","chat_id":"-100777","sender_id":"42","thread_id":"9"},"reply_to":"790","mentions_bot":true,"reply_to_bot":false,"timestamp":"2026-03-01T08:15:00.000Z","metadata":{"lang":"en"}}',
  '{"type":"callback_query","callback_query_id":"cbq-77","chat_id":"-100777","sender":{"id":"42"},"message_id":"812","data":"approve:allow_once"}',
  '{"type":"command_ok","request_id":"01KHW3Q7M8ZB4T5R6Y7A8C9D0E","message_id":"812"}',
  '{"type":"command_error","request_id":"01KHW3Q7M8ZB4T5R6Y7A8C9D0E","code":"rate_limited","message":"retry in 7 s"}',
  '{"type":"pong","request_id":"01KHW3Q7M8ZB4T5R6Y7A8C9D0K","uptime_seconds":3600,"connected":true}',
  '{"type":"error","code":"not_connected","message":"socket closed, retrying","fatal":false}',
  '{"type":"shutdown","reason":"asked to stop"}',
  '{"type":"auth_required","method":{"method":"qr_code","qr_data":"2@abc","qr_ascii":"##  ##","expires_in":60}}',
  '{"type":"auth_required","method":{"method":"pair_code","code":"ABCD-1234","expires_in":120}}',
  '{"type":"auth_success"}',
  '{"type":"register","handle":"h","kind":"tool","definition":{"name":"add"}}',
  '{"type":"unregister","handle":"h"}',
  '{"type":"result","call_id":"c","output":{"text":"42"}}',
  '{"type":"chunk","call_id":"c","data":"par"}',
  '{"type":"failed","call_id":"c","code":"rate_limited","message":"later","retry_after_ms":7000}',
  '{"type":"state_get","request_id":"s1","key":"offset"}',
  '{"type":"state_set","request_id":"s2","key":"offset","value":[1,null]}',
  '{"type":"state_delete","request_id":"s3","key":"offset"}',
  '{"type":"state_list","request_id":"s4","prefix":"o"}',
  '{"type":"log","level":"warn","message":"slow","fields":{"ms":12}}',
  '{"type":"status","connected":true,"identity":"@bot"}',
]

const typesOf = (union: { options: readonly { entries: { type: { literal: string } } }[] }): string[] =>
  union.options.map(({ entries }) => entries.type.literal)

const problemOf = (line: string): string => {
  const parsed = parseEvent(line)
  return parsed.kind === 'invalid' ? parsed.problem : `it is ${parsed.kind}`
}
const eventOf = (line: string) => {
  const parsed = parseEvent(line)
  assert.equal(parsed.kind, 'event', JSON.stringify(parsed))
  return (parsed as { event: Record<string, unknown> }).event
}

describe('the plugin protocol', () => {
  it('reads back every command as it was written', () => {
    const either = v.union([GatewayCommand, CapabilityCommand])
    for (const line of COMMANDS) assert.equal(JSON.stringify(v.parse(either, JSON.parse(line))), line)
    const types = new Set(COMMANDS.map((line) => (JSON.parse(line) as { type: string }).type))
    assert.deepEqual([...typesOf(GatewayCommand), ...typesOf(CapabilityCommand)].filter((type) => !types.has(type)), [])
  })

  it('reads back every event as it was written', () => {
    for (const line of EVENTS) assert.equal(JSON.stringify(eventOf(line)), line)
    const types = new Set(EVENTS.map((line) => (JSON.parse(line) as { type: string }).type))
    assert.deepEqual([...typesOf(GatewayEvent), ...typesOf(CapabilityEvent)].filter((type) => !types.has(type)), [])
  })

  it('takes an optional field that is null as one that is absent', () => {
    const event = eventOf(message(',"reply_to":null,"timestamp":null,"metadata":null'))
    assert.deepEqual([event.reply_to, event.timestamp, event.metadata], [undefined, undefined, undefined])
  })

  it('refuses null where a field has a default, and fills the default where it is absent', () => {
    assert.equal(problemOf(message(',"mentions_bot":null')), 'message_received: mentions_bot must be true or false')
    assert.match(problemOf('{"type":"ready","gateway":"a","version":"v1alpha1","capabilities":null}'), /capabilities/)
    assert.match(problemOf('{"type":"error","code":"a","message":"b","fatal":null}'), /fatal/)
    assert.deepEqual([eventOf(message('')).mentions_bot, eventOf(message('')).reply_to_bot], [false, false])
    assert.deepEqual(eventOf('{"type":"ready","gateway":"a","version":"v1alpha1"}').capabilities, [])
  })

  it('takes ids as text only', () => {
    assert.equal(problemOf('{"type":"command_ok","request_id":7}'), 'command_ok: request_id must be text')
    assert.match(problemOf(message('').replace('"chat_id":"-100777"', '"chat_id":-100777')), /chat_id must be text/)
  })

  it('takes further fields anywhere but in routing, where each must be text', () => {
    assert.equal(eventOf(message(',"more":{"a":1}')).type, 'message_received')
    for (const extra of ['9', 'null', 'true']) {
      const routing = ROUTING.replace('"9"', extra)
      assert.equal(problemOf(message('', { routing })), 'message_received: routing.thread_id must be text')
    }
  })

  it('takes the type wherever it stands, and only as it is written', () => {
    assert.equal(eventOf('{"request_id":"a","type":"command_ok"}').type, 'command_ok')
    assert.deepEqual(parseEvent('{"type":"Ready","gateway":"a","version":"b"}'), { kind: 'unknown', type: 'Ready' })
    assert.deepEqual(parseEvent('{"type":"from_the_future","x":1}'), { kind: 'unknown', type: 'from_the_future' })
    assert.equal(problemOf('{"request_id":"a"}'), 'type: must be text')
    assert.equal(problemOf('{"type":5}'), 'type: must be text')
  })

  it('refuses a kind of content that is not known, and takes the kinds that are', () => {
    assert.match(problemOf(message('', { content: '{"type":"sticker"}' })), /content\.type must be text, media/)
    for (
      const content of [
        '{"type":"media","media_type":"voice"}',
        '{"type":"location","latitude":1,"longitude":2.5}',
        '{"type":"contact","name":"Ada","phone":"1"}',
        '{"type":"unknown"}',
        '{"type":"unknown","raw":null}',
      ]
    ) eventOf(message('', { content }))
  })

  it('takes whole numbers that are not negative as such', () => {
    const pong = (uptime: string) => `{"type":"pong","request_id":"a","uptime_seconds":${uptime},"connected":true}`
    for (const uptime of ['1.5', '-1', '"1"', 'null']) assert.match(problemOf(pong(uptime)), /uptime_seconds/)
    assert.equal(eventOf(pong('18446744073709551615')).type, 'pong')
    const code = '{"type":"auth_required","method":{"method":"pair_code","code":"A","expires_in":4294967296}}'
    assert.match(problemOf(code), /method\.expires_in/)
  })

  it('takes a time with its zone, as UTC', () => {
    const at = (time: string) => message(`,"timestamp":${time}`)
    assert.equal(eventOf(at('"2026-03-01T10:15:00+02:00"')).timestamp, '2026-03-01T08:15:00.000Z')
    for (const time of ['"2026-03-01T08:15:00"', '1772352900', '"yesterday"', '"2026-13-01T08:15:00Z"']) {
      assert.match(problemOf(at(time)), /timestamp/)
    }
  })

  it('refuses what is no JSON object on one line, one field twice, and what is nested without end', () => {
    for (const line of ['', 'null', '[]', '"ready"', '{"type":"auth_success"} more', '{"type":']) {
      assert.match(problemOf(line), /is no JSON/)
    }
    assert.equal(eventOf('  {"type":"auth_success"}').type, 'auth_success')
    assert.match(
      problemOf('{"type":"pong","request_id":"a","request_id":"b","uptime_seconds":1,"connected":true}'),
      /twice/,
    )
    assert.equal(eventOf(message(',"metadata":{"a\\":":"\\\\","b":"{\\"a\\":1}"}')).type, 'message_received')
    const deep = `${'['.repeat(100_000)}${']'.repeat(100_000)}`
    assert.match(problemOf(message(`,"metadata":${deep}`)), /nested deeper|is no JSON/)
    assert.equal(problemOf('{"type":"shutdown"}'), 'shutdown: reason is missing')
  })
})

describe('lines of a plugin', () => {
  const encoder = new TextEncoder()
  /** All lines of these pieces, the unterminated one included. */
  const read = (pieces: (string | Uint8Array)[], max = 100): (string | undefined)[] => {
    const splitter = createLineSplitter(max)
    const lines = pieces.flatMap((piece) =>
      splitter.push(typeof piece === 'string' ? encoder.encode(piece) : piece).lines
    )
    const last = splitter.end()
    return last === undefined ? lines : [...lines, last]
  }

  it('end at LF and nowhere else', () => {
    assert.deepEqual(read(['a\nb\r\n', 'c\u2028d\n\n']), ['a', 'b', 'c\u2028d', ''])
    assert.deepEqual(read([]), [])
    assert.deepEqual(read(['a\nlast']), ['a', 'last'])
    assert.deepEqual(read(['x\r\r\n']), ['x\r'])
  })

  it('are the same however they are cut into pieces', () => {
    const bytes = encoder.encode('grün\nzwölf\r\n')
    const pieces = [...bytes].map((byte) => Uint8Array.of(byte))
    assert.deepEqual(read(pieces), ['grün', 'zwölf'])
  })

  it('with bad UTF-8 are read with replacement characters', () => {
    assert.deepEqual(read([Uint8Array.of(0x61, 0xff, 0x62, 0x0a)]), ['a\ufffdb'])
  })

  it('that are too long are dropped, and only those', () => {
    const long = 'x'.repeat(101)
    assert.deepEqual(read([`${long}\nnext\n`]), [undefined, 'next'])
    assert.deepEqual(read([long, long, '\nnext\n']), [undefined, 'next'])
    assert.deepEqual(read([`${'x'.repeat(100)}\n`]), ['x'.repeat(100)])
  })
})
