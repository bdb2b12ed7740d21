import { randomUUID } from 'node:crypto'
import { statSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { GatewayHost } from '../../server/channels/deps.ts'
import { type Gateway, GatewayError, type GatewayListener, type GatewayNews } from '../../server/plugins/gateway.ts'
import type { CommandBody, MediaPayload, MessageReceived } from '../../shared/gateway-protocol.ts'

/** A message of ours as people see it on the platform. */
export type Shown = {
  id: string
  chat_id: string
  thread_id?: string | undefined
  text: string
  reply_to?: string | undefined
  buttons?: { text: string; callback_data: string }[] | undefined
  file?: { mime_type: string; size: number; filename?: string | undefined } | undefined
  edits: number
}

export type Said = {
  text?: string
  from?: string
  name?: string
  chat?: string
  type?: string
  thread?: string
  id?: string
  mention?: boolean
  content?: MessageReceived['content']
  reply_to?: string
  metadata?: object
}

export const ALL = ['edit', 'delete', 'typing', 'reply', 'inline_keyboard', 'media']

/**
 * A chat platform in memory with the plugin that carries it: remembers request ids, as good plugins do, and fails,
 * stalls or goes down as a test wants. Several are one host.
 */
export function chatPlatform(
  name = 'telegram',
  capabilities: string[] = ALL,
  { data_dir }: { data_dir?: string } = {},
) {
  const listeners: GatewayListener[] = []
  const stateListeners: ((gateway: Gateway) => void)[] = []
  const shown: Shown[] = []
  /** What we set below messages of people, and took away. */
  const reactions: { chat_id: string; message_id: string; emoji: string | undefined; replaces: string | undefined }[] =
    []
  const toasts: { id: string; text: string | undefined }[] = []
  const done = new Map<string, string>()
  const commands: { request_id: string; body: CommandBody }[] = []
  let typing = 0
  const typedIn = new Set<string | undefined>()
  let state: Gateway['state'] = 'ready'
  let queue: Promise<unknown> = Promise.resolve()
  let count = 0
  /** Called before a command is carried out; throws to refuse it. */
  let before: (body: CommandBody, request_id: string) => void | Promise<void> = () => {}
  /** Called after it was; throws to lose the answer. */
  let after: (body: CommandBody, request_id: string) => void | Promise<void> = () => {}

  function perform(body: CommandBody): string {
    if (body.type === 'send_message' || body.type === 'send_media') {
      const id = `m${++count}`
      shown.push({
        id,
        chat_id: body.chat_id,
        thread_id: body.thread_id,
        text: body.type === 'send_message' ? body.content : body.caption ?? '',
        reply_to: body.type === 'send_message' ? body.reply_to : undefined,
        buttons: body.type === 'send_message' ? body.inline_keyboard?.rows.flat() : undefined,
        file: body.type === 'send_media' ? fileOf(body.media) : undefined,
        edits: 0,
      })
      return id
    }
    if (body.type === 'edit_message') {
      const message = shown.find(({ id }) => id === body.message_id)
      if (!message) throw new GatewayError('message_not_found', 'no such message')
      Object.assign(message, { text: body.content, buttons: undefined, edits: message.edits + 1 })
      return body.message_id
    }
    if (body.type === 'delete_message') {
      const at = shown.findIndex(({ id }) => id === body.message_id)
      if (at < 0) throw new GatewayError('message_not_found', 'no such message')
      shown.splice(at, 1)
    }
    if (body.type === 'set_reaction') {
      const { chat_id, message_id, emoji, replaces } = body
      reactions.push({ chat_id, message_id, emoji, replaces })
    }
    if (body.type === 'answer_callback_query') toasts.push({ id: body.callback_query_id, text: body.text })
    return ''
  }

  const gateway: Gateway = {
    name,
    plugin: name,
    problem: undefined,
    data_dir,
    status: undefined,
    get state() {
      return state
    },
    get ready() {
      return state === 'ready'
        ? { gateway: name, version: 'v1alpha1', capabilities, text_limit: undefined, text_unit: undefined }
        : undefined
    },
    async command(body, { request_id }) {
      if (state !== 'ready') throw new GatewayError('gone', 'it does not run', { sent: false })
      commands.push({ request_id, body })
      await before(body, request_id)
      if (!done.has(request_id)) done.set(request_id, perform(body))
      await after(body, request_id)
      return { message_id: done.get(request_id)! }
    },
    typing(_, __, threadId) {
      typing++
      typedIn.add(threadId)
    },
  }

  /** Hands an event over; events wait for each other. */
  const tell = (event: GatewayNews): Promise<void> => {
    const next = queue.then(async () => {
      for (const listener of listeners) await listener(gateway, event)
    })
    queue = next.catch(() => {})
    return next
  }

  return {
    gateway,
    shown,
    toasts,
    reactions,
    typedIn,
    commands,
    tell,
    typed: () => typing,
    listeners,
    stateListeners,
    /** Texts shown in a chat, oldest first. */
    texts: (chat = '42') => shown.filter(({ chat_id }) => chat_id === chat).map(({ text }) => text),
    before: (hook: typeof before) => (before = hook),
    after: (hook: typeof after) => (after = hook),
    turn(next: Gateway['state']): void {
      state = next
      for (const listener of stateListeners) listener(gateway)
    },
    /** Forgets who listened, for another server. */
    leave(): void {
      listeners.length = 0
      stateListeners.length = 0
    },
    /** Somebody writes; resolves when that is acknowledged. */
    say(said: Said | string): Promise<void> {
      const { text = '', from = '42', chat = from, type = 'dm', thread, name: who, ...more } = typeof said === 'string'
        ? { text: said } as Said
        : said
      return tell({
        type: 'message_received',
        message_id: more.id ?? randomUUID(),
        chat_id: chat,
        sender: { id: from, display_name: who ?? `Person ${from}` },
        content: more.content ?? { type: 'text', text },
        routing: {
          channel: name,
          chat_type: type,
          chat_id: chat,
          sender_id: from,
          ...(thread === undefined ? {} : { thread_id: thread }),
        },
        mentions_bot: more.mention ?? false,
        reply_to_bot: false,
        ...(more.reply_to === undefined ? {} : { reply_to: more.reply_to }),
        ...(more.metadata === undefined ? {} : { metadata: more.metadata }),
      })
    },
    /** Somebody presses the button with this label, below the newest message that has it. */
    press(label: string, from = '42', id = randomUUID() as string): Promise<void> {
      const message = shown.findLast(({ buttons }) => buttons?.some(({ text }) => text === label))
      if (!message) throw new Error(`no button ${label} in ${JSON.stringify(shown)}`)
      const data = message.buttons!.find(({ text }) => text === label)!.callback_data
      return this.pressData(message.id, data, from, id)
    },
    pressData(messageId: string, data: string, from = '42', id = randomUUID() as string): Promise<void> {
      const { chat_id } = shown.find((message) => message.id === messageId) ?? { chat_id: from }
      return tell({
        type: 'callback_query',
        callback_query_id: id,
        chat_id,
        sender: { id: from, display_name: `Person ${from}` },
        message_id: messageId,
        data,
      })
    },
  }
}

export type ChatPlatform = ReturnType<typeof chatPlatform>

function fileOf(media: MediaPayload): Shown['file'] {
  if (media.source === 'url') return undefined
  const size = media.source === 'file' ? statSync(media.path).size : atob(media.data).length
  return { mime_type: media.mime_type, size, filename: media.filename }
}

/** The host of several platforms. */
export const hostOf = (...platforms: ChatPlatform[]): GatewayHost => ({
  gateways: () => platforms.map(({ gateway }) => gateway),
  onGatewayEvent: (listener) => platforms.forEach(({ listeners }) => listeners.push(listener)),
  onGatewayState: (listener) => platforms.forEach(({ stateListeners }) => stateListeners.push(listener)),
})

/** Waits until something holds; fails with what is there instead. */
export async function until<T>(look: () => T | Promise<T>, holds: (value: T) => boolean, ms = 30_000): Promise<T> {
  for (const deadline = Date.now() + ms;; await sleep(10)) {
    const value = await look()
    if (holds(value)) return value
    if (Date.now() > deadline) throw new Error(`It did not come to pass: ${JSON.stringify(value)}`)
  }
}
