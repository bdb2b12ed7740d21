import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as v from 'valibot'
import { GatewayCommand, GatewayEvent } from '../shared/gateway-protocol.ts'
import { CapabilityCommand, CapabilityEvent, parseEvent } from '../shared/plugin-protocol.ts'

/**
 * What becomes of a field that is absent, and of one that is null: a required one fails its line in both cases, an
 * optional one in neither, one with a default only as null. `any` takes every JSON, null too.
 */
type Kind = 'required' | 'optional' | 'default' | 'any'
type Case = { message: Record<string, unknown>; fields: Record<string, Kind> }

const id = 'required'
const SENDER = { id: '42', username: 'ada', display_name: 'Ada L' }
const ROUTING = { channel: 'telegram', chat_type: 'group', chat_id: '7', sender_id: '42', thread_id: '9' }
const KEYBOARD = { rows: [[{ text: 'Yes', callback_data: 'y' }]] }
const MEDIA = { source: 'base64', data: 'AAAA', mime_type: 'image/png', filename: 'a.png' }

const COMMANDS: Case[] = [
  {
    message: {
      type: 'send_message',
      request_id: '1',
      chat_id: '7',
      thread_id: '9',
      content: 'x',
      reply_to: '8',
      inline_keyboard: KEYBOARD,
    },
    fields: {
      request_id: id,
      chat_id: id,
      thread_id: 'optional',
      content: 'required',
      reply_to: 'optional',
      inline_keyboard: 'optional',
    },
  },
  {
    message: { type: 'send_media', request_id: '1', chat_id: '7', thread_id: '9', media: MEDIA, caption: 'x' },
    fields: {
      request_id: id,
      chat_id: id,
      thread_id: 'optional',
      media: 'required',
      'media.data': 'required',
      'media.mime_type': 'required',
      'media.filename': 'optional',
      caption: 'optional',
    },
  },
  {
    message: {
      type: 'send_media',
      request_id: '1',
      chat_id: '7',
      media: { source: 'url', url: 'https://a', mime_type: 'a/b' },
    },
    fields: { 'media.url': 'required', 'media.mime_type': 'optional' },
  },
  {
    message: { type: 'send_typing', chat_id: '7', duration: 5 },
    fields: { chat_id: id, duration: 'default' },
  },
  {
    message: { type: 'edit_message', request_id: '1', chat_id: '7', message_id: '8', content: 'x' },
    fields: { request_id: id, chat_id: id, message_id: id, content: 'required' },
  },
  {
    message: { type: 'delete_message', request_id: '1', chat_id: '7', message_id: '8' },
    fields: { request_id: id, chat_id: id, message_id: id },
  },
  {
    message: { type: 'answer_callback_query', request_id: '1', callback_query_id: 'c', text: 'done' },
    fields: { request_id: id, callback_query_id: id, text: 'optional' },
  },
  {
    message: { type: 'set_reaction', request_id: '1', chat_id: '7', message_id: '8', emoji: '👀', replaces: '⏳' },
    fields: { request_id: id, chat_id: id, message_id: id, emoji: 'optional', replaces: 'optional' },
  },
  { message: { type: 'ping', request_id: '1' }, fields: { request_id: id } },
  { message: { type: 'shutdown' }, fields: {} },
  {
    message: {
      type: 'configure',
      protocol: 'gatehouse.v1',
      plugin: { id: 'a', name: 'A', version: '1' },
      config: {},
      secrets: {},
      data_dir: '/data',
    },
    fields: {
      protocol: 'required',
      plugin: 'required',
      'plugin.id': id,
      config: 'required',
      secrets: 'required',
    },
  },
  { message: { type: 'register_ok', handle: 'h' }, fields: { handle: id } },
  {
    message: { type: 'register_failed', handle: 'h', code: 'conflict', message: 'taken' },
    fields: { handle: id, code: 'required', message: 'required' },
  },
  {
    message: {
      type: 'call',
      call_id: 'c',
      handle: 'h',
      method: 'run',
      input: 1,
      deadline_ms: 9,
      credit: 2,
      context: {},
    },
    fields: {
      call_id: id,
      handle: id,
      method: 'required',
      deadline_ms: 'required',
      credit: 'required',
      context: 'required',
    },
  },
  { message: { type: 'credit', call_id: 'c', chunks: 32 }, fields: { call_id: id, chunks: 'required' } },
  { message: { type: 'cancel', call_id: 'c', reason: 'timeout' }, fields: { call_id: id, reason: 'required' } },
  { message: { type: 'state_ok', request_id: 's1', value: {} }, fields: { request_id: id, value: 'any' } },
  {
    message: { type: 'state_failed', request_id: 's1', code: 'too_large', message: 'no' },
    fields: { request_id: id, code: 'required', message: 'required' },
  },
]

const EVENTS: Case[] = [
  {
    message: {
      type: 'ready',
      gateway: 'a',
      version: 'v1alpha1',
      capabilities: ['edit'],
      text_limit: 9,
      text_unit: 'bytes',
    },
    fields: {
      gateway: 'required',
      version: 'required',
      capabilities: 'default',
      text_limit: 'optional',
      text_unit: 'optional',
    },
  },
  {
    message: {
      type: 'message_received',
      message_id: '8',
      chat_id: '7',
      sender: SENDER,
      content: { type: 'text', text: 'hi' },
      routing: ROUTING,
      reply_to: '6',
      mentions_bot: true,
      reply_to_bot: true,
      timestamp: '2026-03-01T08:15:00Z',
      metadata: { lang: 'en' },
    },
    fields: {
      message_id: id,
      chat_id: id,
      sender: 'required',
      'sender.id': id,
      'sender.username': 'optional',
      'sender.display_name': 'optional',
      content: 'required',
      'content.type': 'required',
      'content.text': 'required',
      routing: 'required',
      'routing.channel': 'required',
      'routing.chat_type': 'required',
      'routing.chat_id': id,
      'routing.sender_id': id,
      reply_to: 'optional',
      mentions_bot: 'default',
      reply_to_bot: 'default',
      timestamp: 'optional',
      metadata: 'any',
    },
  },
  ...([
    [{ type: 'media', media_type: 'voice', url: 'https://a', caption: 'x' }, {
      'content.media_type': 'required',
      'content.url': 'optional',
      'content.caption': 'optional',
    }],
    [{ type: 'location', latitude: 1, longitude: 2.5 }, {
      'content.latitude': 'required',
      'content.longitude': 'required',
    }],
    [{ type: 'contact', name: 'Ada', phone: '1' }, { 'content.name': 'required', 'content.phone': 'required' }],
    [{ type: 'unknown', raw: { dice: 6 } }, { 'content.raw': 'any' }],
  ] as [object, Case['fields']][]).map(([content, fields]) => ({
    message: { type: 'message_received', message_id: '8', chat_id: '7', sender: SENDER, content, routing: ROUTING },
    fields,
  })),
  {
    message: {
      type: 'callback_query',
      callback_query_id: 'c',
      chat_id: '7',
      sender: SENDER,
      message_id: '8',
      data: 'd',
    },
    fields: { callback_query_id: id, chat_id: id, sender: 'required', message_id: id, data: 'required' },
  },
  {
    message: { type: 'command_ok', request_id: '1', message_id: '8' },
    fields: { request_id: id, message_id: 'optional' },
  },
  {
    message: { type: 'command_error', request_id: '1', code: 'a', message: 'b', retry_after_ms: 5 },
    fields: { request_id: id, code: 'required', message: 'required', retry_after_ms: 'optional' },
  },
  {
    message: { type: 'pong', request_id: '1', uptime_seconds: 3, connected: true },
    fields: { request_id: id, uptime_seconds: 'required', connected: 'required' },
  },
  {
    message: { type: 'error', code: 'a', message: 'b', fatal: true },
    fields: { code: 'required', message: 'required', fatal: 'default' },
  },
  { message: { type: 'shutdown', reason: 'asked' }, fields: { reason: 'required' } },
  {
    message: { type: 'auth_required', method: { method: 'qr_code', qr_data: '2@a', qr_ascii: '##', expires_in: 60 } },
    fields: {
      method: 'required',
      'method.method': 'required',
      'method.qr_data': 'required',
      'method.qr_ascii': 'optional',
      'method.expires_in': 'required',
    },
  },
  {
    message: { type: 'auth_required', method: { method: 'pair_code', code: 'AB', expires_in: 60 } },
    fields: { 'method.code': 'required', 'method.expires_in': 'required' },
  },
  { message: { type: 'auth_success' }, fields: {} },
  {
    message: { type: 'register', handle: 'h', kind: 'tool', definition: {} },
    fields: { handle: id, kind: 'required', definition: 'required' },
  },
  { message: { type: 'unregister', handle: 'h' }, fields: { handle: id } },
  { message: { type: 'result', call_id: 'c', output: 1 }, fields: { call_id: id, output: 'any' } },
  { message: { type: 'chunk', call_id: 'c', data: 'x' }, fields: { call_id: id } },
  {
    message: { type: 'failed', call_id: 'c', code: 'a', message: 'b', retry_after_ms: 5 },
    fields: { call_id: id, code: 'required', message: 'required', retry_after_ms: 'optional' },
  },
  { message: { type: 'state_get', request_id: 's', key: 'k' }, fields: { request_id: id, key: 'required' } },
  {
    message: { type: 'state_set', request_id: 's', key: 'k', value: 1 },
    fields: { request_id: id, key: 'required' },
  },
  { message: { type: 'state_delete', request_id: 's', key: 'k' }, fields: { request_id: id, key: 'required' } },
  {
    message: { type: 'state_list', request_id: 's', prefix: 'k' },
    fields: { request_id: id, prefix: 'optional' },
  },
  {
    message: { type: 'log', level: 'info', message: 'm', fields: { a: 1 } },
    fields: { level: 'required', message: 'required', fields: 'optional' },
  },
  {
    message: { type: 'status', connected: true, identity: '@a', detail: 'd' },
    fields: { connected: 'required', identity: 'optional', detail: 'optional' },
  },
]

/** The message with one field, named by its path, taken out or set. */
function changed(message: Record<string, unknown>, path: string, value: unknown): Record<string, unknown> {
  const copy = structuredClone(message)
  const names = path.split('.')
  const last = names.pop()!
  const owner = names.reduce((at, name) => at[name] as Record<string, unknown>, copy)
  if (value === undefined) delete owner[last]
  else owner[last] = value
  return copy
}

function check(cases: Case[], takes: (line: string) => boolean): void {
  for (const { message, fields } of cases) {
    const of = (text: string) => `${String(message.type)}: ${text}`
    assert.ok(takes(JSON.stringify(message)), of('as a whole'))
    for (const [path, kind] of Object.entries(fields)) {
      const expected = { required: [false, false], optional: [true, true], default: [true, false], any: [true, true] }
      const [absent, none] = expected[kind] as [boolean, boolean]
      assert.equal(takes(JSON.stringify(changed(message, path, undefined))), absent, of(`without ${path}`))
      assert.equal(takes(JSON.stringify(changed(message, path, null))), none, of(`${path} is null`))
    }
  }
}

const typesOf = (union: { options: readonly { entries: { type: { literal: string } } }[] }): string[] =>
  union.options.map(({ entries }) => entries.type.literal)

describe('each field of the plugin protocol', () => {
  it('of a command may be absent, or null, or neither', () => {
    const either = v.union([GatewayCommand, CapabilityCommand])
    check(COMMANDS, (line) => v.safeParse(either, JSON.parse(line)).success)
    const covered = new Set(COMMANDS.map(({ message }) => message.type))
    assert.deepEqual([...typesOf(GatewayCommand), ...typesOf(CapabilityCommand)].filter((t) => !covered.has(t)), [])
  })

  it('of an event may be absent, or null, or neither', () => {
    check(EVENTS, (line) => parseEvent(line).kind === 'event')
    const covered = new Set(EVENTS.map(({ message }) => message.type))
    assert.deepEqual([...typesOf(GatewayEvent), ...typesOf(CapabilityEvent)].filter((t) => !covered.has(t)), [])
  })

  it('that is null where it may be is as one that is absent', () => {
    for (const { message, fields } of EVENTS) {
      for (const [path] of Object.entries(fields).filter(([, kind]) => kind === 'optional')) {
        const read = (value: unknown) => parseEvent(JSON.stringify(changed(message, path, value)))
        assert.equal(JSON.stringify(read(null)), JSON.stringify(read(undefined)), `${String(message.type)}: ${path}`)
      }
    }
  })
})
