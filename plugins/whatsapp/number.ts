import * as v from 'valibot'
import type { Channel, ChannelApi, Incoming } from '../sdk/channel.ts'
import { PluginError } from '../sdk/errors.ts'
import { createChats } from './chats.ts'
import { createDelivered } from './delivered.ts'
import type { Graph } from './graph.ts'
import { digits, type FileRef, takeMessage } from './incoming.ts'
import { createOutgoing } from './outgoing.ts'
import { type Contact, type Delivery, Message, Status } from './payload.ts'
import { refusal } from './refusal.ts'

/** For all files of a delivery; Meta and the core wait some seconds longer for the answer. */
const FILES_MS = 9000
const CHECK_MS = 15 * 60_000
const PATIENCE_MS = 3000
const FIRST_DELAY_MS = 1000
const MAX_DELAY_MS = 60_000

type Change = Delivery['entry'][number]['changes'][number]['value']

/** One number of WhatsApp: what its webhook tells, and what is sent from it. */
export function createNumber({ api, graph, phone, typing }: {
  api: ChannelApi
  graph: Graph
  phone: string
  typing: boolean
}) {
  const { log, signal } = api
  const chats = createChats(Date.now)
  const delivered = createDelivered({
    onFailed(recipient, { code, message }) {
      api.problem(code, `A message to ${recipient} was not delivered: ${message}`).catch(() => {})
    },
  })
  /** Aborted to ask Meta now whether the token is still good. */
  let hurry = new AbortController()
  const { pressed, ...outgoing } = createOutgoing({
    graph,
    chats,
    delivered,
    typing,
    isCalled: () => address !== null,
    onRefused: () => hurry.abort(),
  })
  let me = ''
  let connected = false
  /** Where Meta calls; null where nobody can. */
  let address: string | null = null
  /** Whether Meta has called there. */
  let isHeard = false

  async function takeOne(raw: unknown, contacts: readonly Contact[], within: AbortSignal): Promise<void> {
    const result = v.safeParse(Message, raw)
    const taken = result.success ? takeMessage(result.output, contacts, digits(me)) : undefined
    if (!taken) {
      const problem = result.success ? 'nobody is named who wrote it' : `${v.getDotPath(result.issues[0])} is wrong`
      return log.warn(`A message could not be read: ${problem}`, { id: (raw as { id?: unknown } | null)?.id })
    }
    const at = result.success && result.output.timestamp ? Number(result.output.timestamp) * 1000 : Date.now()
    if (taken.type === 'press') {
      chats.heard(taken.press.chat_id, taken.press.callback_query_id, at)
      pressed(taken.press.callback_query_id, taken.press.chat_id)
      return await api.pressed(taken.press)
    }
    const { message } = taken
    chats.heard(message.chat_id, message.message_id, at)
    await api.received(await withFile(message, taken.file, within))
  }

  async function withFile(message: Incoming, file: FileRef | undefined, within: AbortSignal): Promise<Incoming> {
    if (!file || message.content.type !== 'media') return message
    const { caption } = message.content
    const left = (why: string): Incoming => ({
      ...message,
      content: { type: 'text', text: [caption, `[the file ${file.name} ${why}]`].filter(Boolean).join('\n') },
    })
    try {
      const data = await graph.download(file.id, api.maxFileBytes, within)
      if (!data) return left(`is larger than ${inWords(api.maxFileBytes)} and was left out`)
      const url = await api.file({ name: file.name, type: file.mime, data })
      return { ...message, content: { ...message.content, url } }
    } catch (error) {
      if (signal.aborted) throw error
      const { code, message: words } = error as Error & { code?: string }
      if (code === 'too_large') return left(`is larger than ${inWords(api.maxFileBytes)} and was left out`)
      log.warn(`A file could not be fetched: ${words}`)
      return left('could not be fetched')
    }
  }

  function noteStatus(raw: unknown): void {
    const result = v.safeParse(Status, raw)
    if (result.success) delivered.note(result.output)
    else log.warn(`What became of a message could not be read: ${v.getDotPath(result.issues[0])} is wrong`)
  }

  /** Ends when the token is refused; what only can't be reached now is tried again. */
  async function check(): Promise<number> {
    try {
      const { display_phone_number = '' } = await graph.number()
      me = display_phone_number
      connected = true
      tell()
      return CHECK_MS
    } catch (error) {
      if (signal.aborted) return 0
      if (!(error instanceof PluginError) || error.code === 'unauthorized' || error.code === 'invalid_request') {
        throw error
      }
      if (connected) log.warn(`Meta can't be asked: ${error.message}`)
      connected = false
      api.status(false, { detail: error.message })
      return error.retryAfterMs ?? 0
    }
  }

  /** Who we are, and what the owner still has to do for messages to come in. */
  function tell(): void {
    if (!address?.startsWith('https://')) {
      const detail = 'Meta can not call here: set server.public_url to the https address of this server'
      return api.status(false, { identity: me, detail })
    }
    const detail = `Meta has not called yet: enter ${address} as the address of the webhook, subscribed to messages`
    api.status(true, { identity: me, ...(isHeard ? {} : { detail }) })
  }

  async function heard(): Promise<void> {
    isHeard = true
    await api.state.set('heard', address)
    if (connected) tell()
  }

  async function watch(first: Promise<number>): Promise<void> {
    let delay = FIRST_DELAY_MS
    for (let wait = await first; !signal.aborted; wait = await check()) {
      delay = connected ? FIRST_DELAY_MS : Math.min(delay * 2, MAX_DELAY_MS)
      await pause(connected ? wait : Math.max(wait, delay), AbortSignal.any([signal, hurry.signal]))
      hurry = new AbortController()
    }
  }

  return {
    /** Resolves when the core has stored everything in these changes. */
    async take(changes: Change[]): Promise<void> {
      const within = AbortSignal.timeout(FILES_MS)
      for (const { metadata, contacts, messages, statuses, errors } of changes) {
        // One app may have several numbers, each with its own plugin.
        if (metadata?.phone_number_id !== undefined && metadata.phone_number_id !== phone) continue
        for (const raw of statuses) noteStatus(raw)
        for (const error of errors) await api.problem('platform_error', `Meta reports: ${refusal(error).message}`)
        for (const raw of messages) await takeOne(raw, contacts, within)
      }
      if (isHeard) await api.settled()
      else await heard()
    },

    /** `url` is where Meta calls; null where the owner has set no public address. */
    async connect(url: string | null): Promise<Channel> {
      address = url
      isHeard = url !== null && await api.state.get('heard') === url
      const first = check()
      watch(first).catch((error: unknown) => {
        const { code = 'platform_error', message } = error as Error & { code?: string }
        return api.fail(code, message)
      })
      // Commands can be taken before Meta has answered.
      await Promise.race([first.catch(() => {}), pause(PATIENCE_MS, signal)])
      return { ...outgoing, connected: () => connected && address !== null }
    },
  }
}

const inWords = (bytes: number): string =>
  bytes < 1024 ** 2 ? `${Math.floor(bytes / 1024)} KB` : `${Math.floor(bytes / 1024 ** 2)} MB`

/** Ends early when the plugin stops. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve()
    const end = (): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', end)
      resolve()
    }
    const timer = setTimeout(end, ms)
    signal.addEventListener('abort', end)
  })
}
