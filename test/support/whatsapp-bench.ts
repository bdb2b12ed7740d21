import assert from 'node:assert/strict'
import { after, afterEach, before } from 'node:test'
import { startGraph } from '../../plugins/whatsapp/graph-server.ts'
import type { Probe } from '../../server/plugins/conformance/probe.ts'
import type { HttpAnswer } from '../../shared/plugin-routes.ts'
import { startPlugin } from './channel-plugin.ts'
import { hookRequest } from './hook-request.ts'

/** The id of our number, the number of a person, and a group. */
export const PHONE = '106540352242922'
export const ADA = '4915112345678'
export const GROUP = 'Y2FwaV9ncm91cDoxNzA1NTU1MDEz'

export const VERIFY = 'words-of-our-own-choice'
const TOKEN = 'token-of-the-tests'
const SECRET = 'app-secret-of-the-tests'
const PUBLIC = 'https://gate.example/hooks/plugins/whatsapp'

type Options = Parameters<typeof startPlugin>[1]

/** The plugin for WhatsApp beside a Graph API that is played; within `describe`. */
export function whatsAppBench() {
  let meta: Awaited<ReturnType<typeof startGraph>>
  const running: Probe[] = []
  let numbers = 0

  before(async () => (meta = await startGraph({ token: TOKEN, secret: SECRET, phone: PHONE })))
  afterEach(async () => {
    for (const probe of running.splice(0)) await probe.kill()
    meta.prepared.length = 0
    meta.calls.length = 0
  })
  after(() => meta.close())

  const settings = (config: object = {}, secrets: object = {}) => ({
    config: { phone_number_id: PHONE, api_root: meta.url, ...config },
    secrets: { access_token: TOKEN, app_secret: SECRET, verify_token: VERIFY, ...secrets },
  })

  async function begin(options: Options): Promise<Probe> {
    const probe = await startPlugin('whatsapp', options)
    running.push(probe)
    return probe
  }

  /** Started, known to Meta, and heard. */
  async function start(config: object = {}, more: Options = {}): Promise<Probe> {
    const probe = await begin({ ...settings(config), publicUrl: PUBLIC, ...more })
    assert.ok(await probe.event('status', ({ connected }) => connected, 20_000), probe.stderr())
    return probe
  }

  /** Meta calls. */
  function deliver(
    plugin: Probe,
    value: object,
    more: { signature?: string; number?: string } = {},
  ): Promise<HttpAnswer> {
    const body = JSON.stringify(meta.delivery(value as Record<string, unknown>, more.number))
    const headers = { 'x-hub-signature-256': more.signature ?? meta.sign(body), 'content-type': 'application/json' }
    return hookRequest(plugin, { method: 'POST', headers, body })
  }

  return {
    /** The Graph API; there from the first test on. */
    get meta() {
      return meta
    },
    settings,
    begin,
    start,
    deliver,
    /** Ada has just written, so that everything may be sent to her. */
    greet: (plugin: Probe, id = `greeting${++numbers}`) =>
      deliver(plugin, said(id, { type: 'text', text: { body: 'hi' }, timestamp: now() })),
  }
}

export const now = (): string => String(Math.floor(Date.now() / 1000))

export const contacts = [{ wa_id: ADA, profile: { name: 'Ada L' } }]

/** What Ada wrote, as Meta tells it. */
export const said = (id: string, more: object) => ({
  contacts,
  messages: [{ from: ADA, id: `wamid.${id}`, timestamp: '1772352900', ...more }],
})

/** The message of this id, as the core hears it. */
export const received = (plugin: Probe, id: string) =>
  plugin.event('message_received', ({ message_id }) => message_id === `wamid.${id}`, 20_000)

/** A text to Ada. */
export const send = (request_id: string, content: string, more: object = {}) => ({
  type: 'send_message',
  request_id,
  chat_id: ADA,
  content,
  ...more,
})

type CommandAnswer = Awaited<ReturnType<Probe['ask']>>

export const codeOf = (answer: CommandAnswer) => answer?.type === 'command_error' ? answer.code : answer

export const idOf = (answer: CommandAnswer) =>
  answer?.type === 'command_ok' ? answer.message_id ?? '' : JSON.stringify(answer)
