import { pause } from './chains.ts'
import type { Bus } from '../bus/bus.ts'
import type { ChannelDeps } from './deps.ts'
import type { GatewayListener } from '../plugins/gateway.ts'
import type { Activity } from './activity.ts'
import type { Asks } from './asks.ts'
import type { ChatCommands } from './chat-commands.ts'
import type { InboxRow, InboxStore, NewInbound } from './inbox-store.ts'
import type { OutboxStore } from './outbox-store.ts'
import type { Outbox } from './outbox.ts'
import { chatKind } from './session-key.ts'
import { splitText, type TextLimit } from './split.ts'

const RETRY_MS = 1000

/** What a message sets in motion once it is stored; the same again for those that a stopped server left. */
export function createTaking(deps: {
  inbox: InboxStore
  asks: Asks
  commands: ChatCommands
  outbox: Outbox
  outboxStore: OutboxStore
  activity: Activity
  limit: (channel: string) => TextLimit
  changed: (channel: string) => void
  bus: Bus
}) {
  const { inbox, asks, commands, outbox } = deps

  function take(row: InboxRow): void {
    if (row.state === 'new') asks.arrived(row)
    if (row.state !== 'command') return
    const work = () => command(row)
    if (commands.atOnce(row.text)) asks.atOnce(work)
    else void asks.afterwards(row.session_id, work)
  }

  async function command(row: InboxRow): Promise<void> {
    const reply = await commands.handle(row)
    if (reply === undefined) {
      await inbox.settle(row.id, 'new')
      asks.arrived({ ...row, state: 'new' })
      return
    }
    await inbox.transaction(async (tx) => {
      await inbox.settle(row.id, 'done', tx)
      for (const [i, text] of splitText(reply, deps.limit(row.channel)).entries()) {
        const body = { text, ...(i === 0 ? { reply_to: row.message_id } : {}) }
        await deps.outboxStore.add(tx, { ...row, kind: 'send', key: `command:${row.id}:${i}`, body })
      }
    })
    outbox.kick(row.channel, row.chat_id)
  }

  return {
    take,

    /** Stores a message and begins with it; false for one that was here before, which changes nothing. */
    async stored(row: NewInbound): Promise<boolean> {
      const saved = await inbox.store({ row, inGroup: chatKind(row.chat_type) !== 'dm' })
      if (!saved) return false
      deps.activity.received(row.channel)
      deps.changed(row.channel)
      deps.bus.publish({ type: 'happened', event: 'message.received', handle: 'owner', ...toldOf(saved) })
      take(saved)
      return true
    },
  }
}

/** What plugins may hear of a message, once for each. */
const toldOf = ({ session_id, channel, chat_type, chat_id, thread_id, message_id, media, ...row }: InboxRow) => {
  const { sender_id, sender_name, text } = row
  const file = media?.kind ?? null
  return {
    session_id,
    data: { channel, chat_type, chat_id, thread_id, message_id, sender_id, sender_name, text, file },
  }
}

type Hears = {
  message: (channel: string, event: Parameters<GatewayListener>[1] & { type: 'message_received' }) => Promise<void>
  press: (
    gateway: Parameters<GatewayListener>[0],
    event: Parameters<GatewayListener>[1] & { type: 'callback_query' },
  ) => Promise<void>
}

/** Hears of everything that plugins say. An event that can't be stored now is held, and the plugin with it. */
export function createListener(
  deps: Pick<ChannelDeps, 'log'> & Hears & {
    outbox: Outbox
    activity: Activity
    changed: (channel: string) => void
    stop: AbortSignal
  },
): GatewayListener {
  const { log, activity, changed, stop } = deps

  const handle: GatewayListener = async (gateway, event) => {
    const { name } = gateway
    switch (event.type) {
      case 'message_received':
        return await deps.message(name, event)
      case 'callback_query':
        return await deps.press(gateway, event)
      case 'auth_required':
        activity.auth(name, event.method)
        return changed(name)
      case 'auth_success':
        activity.auth(name, null)
        return changed(name)
      case 'error':
        activity.failed(name, `${event.code}: ${event.message}`)
        return changed(name)
      case 'command_ok':
        return await deps.outbox.late(event.request_id, event.message_id)
    }
  }

  return async (gateway, event) => {
    for (;;) {
      if (stop.aborted) throw new Error('The server is stopping; this was not taken')
      try {
        return await handle(gateway, event)
      } catch (error) {
        log.error('channel.event_failed', 'A message could not be stored; trying again', {
          channel: gateway.name,
          error: (error as Error).stack ?? String(error),
        })
        await pause(RETRY_MS, stop)
      }
    }
  }
}
