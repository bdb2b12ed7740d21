import { Buffer } from 'node:buffer'
import { createHmac, timingSafeEqual } from 'node:crypto'
import * as v from 'valibot'
import type { PluginAnswer, PluginRequest } from '../sdk/http.ts'
import type { Log } from '../sdk/log.ts'
import { Delivery } from './payload.ts'

type Change = Delivery['entry'][number]['changes'][number]['value']

const LOG_EVERY_MS = 60_000

/** The address that Meta calls. What is not signed with the app's secret is refused before it is read. */
export function createWebhook({ verifyToken, appSecret, take, log, now }: {
  verifyToken: string
  appSecret: string
  /** Resolves when the core has stored it all. */
  take: (changes: Change[]) => Promise<void>
  log: Log
  now: () => number
}) {
  let refusals = 0
  let told = -Infinity

  /** Strangers may knock as often as they like; the log stays short. */
  function refused(why: string): PluginAnswer {
    refusals++
    if (now() - told > LOG_EVERY_MS) {
      log.warn(`A request was refused: ${why}`, { refused: refusals })
      told = now()
      refusals = 0
    }
    return { status: 403, body: 'refused' }
  }

  /** Meta asks once, when the address is entered, whether it is ours. */
  function verify(query: URLSearchParams): PluginAnswer {
    const challenge = query.get('hub.challenge') ?? ''
    if (query.get('hub.mode') !== 'subscribe' || !same(query.get('hub.verify_token') ?? '', verifyToken)) {
      return refused('the verify token is another one')
    }
    if (!/^[\w.-]{1,200}$/.test(challenge)) return { status: 400, body: 'hub.challenge is missing' }
    log.info('Meta has verified the address')
    return { status: 200, headers: { 'content-type': 'text/plain' }, body: challenge }
  }

  async function deliver(request: PluginRequest): Promise<PluginAnswer> {
    const bytes = request.bytes()
    const signature = `sha256=${createHmac('sha256', appSecret).update(bytes).digest('hex')}`
    if (!same(request.headers.get('x-hub-signature-256') ?? '', signature)) {
      return refused('its signature is not that of the app secret')
    }
    const delivery = v.safeParse(Delivery, parsed(bytes))
    if (!delivery.success || delivery.output.object !== 'whatsapp_business_account') {
      log.warn('A signed delivery could not be read', delivery.success ? {} : { problem: delivery.issues[0].message })
      return { status: 400, body: 'not understood' }
    }
    const changes = delivery.output.entry.flatMap(({ changes }) => changes)
    await take(changes.filter(({ field }) => field === 'messages').map(({ value }) => value))
    return { status: 200, body: 'stored' }
  }

  return async (request: PluginRequest): Promise<PluginAnswer> =>
    request.method === 'GET' ? verify(request.searchParams) : await deliver(request)
}

/** Takes as long for what is nearly right as for what is not. */
function same(given: string, wanted: string): boolean {
  const digest = (text: string) => createHmac('sha256', 'compare').update(Buffer.from(text)).digest()
  return timingSafeEqual(digest(given), digest(wanted))
}

function parsed(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes))
  } catch {
    return undefined
  }
}
