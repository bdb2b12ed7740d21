import { ulid } from 'ulid'
import type { ChannelSettings } from '../../shared/channels.ts'
import { type Gateway, GatewayError } from '../plugins/gateway.ts'
import type { Log } from '../system/log.ts'
import type { AskRow } from './inbox-store.ts'

/** How it stands with what somebody wrote; `over` is an end that needs no sign. */
export type Progress = 'working' | 'done' | 'failed' | 'over'

const SIGNS: Record<Progress, string | undefined> = { working: '👀', done: '👍', failed: '😢', over: undefined }
const COMMAND_MS = 10_000
/** Messages whose sign waits for a channel that is down; a sign is no reason to remember more. */
const MOST = 1000
const DOWN = new Set(['gone', 'back_pressure', 'not_connected'])
const LATER_MS = 5000
const LONGEST_MS = 60_000

type Wanted = { ask: AskRow; sign: string | undefined }

export type Reactions = ReturnType<typeof createReactions>

/**
 * Acknowledges messages by a reaction below them: one at a time, and only the last one that was wanted. They are not
 * kept over a stop: a question that is taken up again shows its sign again.
 */
export function createReactions(deps: {
  gateway: (name: string) => Gateway | undefined
  settings: (name: string) => ChannelSettings
  log: Log
}) {
  const { gateway, settings, log } = deps
  const wanted = new Map<string, Wanted>()
  /** What stands below messages now. */
  const shown = new Map<string, string>()
  const busy = new Set<string>()
  const timers = new Set<ReturnType<typeof setTimeout>>()
  let stopped = false
  const keyOf = ({ channel, chat_id, reply_to }: AskRow): string => JSON.stringify([channel, chat_id, reply_to])

  async function pump(key: string): Promise<void> {
    if (busy.has(key)) return
    busy.add(key)
    try {
      for (let next = wanted.get(key); next && !stopped; next = wanted.get(key)) {
        const carrier = gateway(next.ask.channel)
        if (carrier?.state !== 'ready') return
        if (carrier.ready?.capabilities.includes('reactions')) await put(carrier, key, next)
        if (wanted.get(key) === next) wanted.delete(key)
      }
    } catch (error) {
      if (!(error instanceof GatewayError)) throw error
      if (!DOWN.has(error.code) && error.code !== 'rate_limited') {
        wanted.delete(key)
        log.debug('channel.no_reaction', 'A reaction could not be shown', { error: error.message })
        return
      }
      const timer = setTimeout(() => {
        timers.delete(timer)
        begin(key)
      }, Math.min(error.retry_after_ms ?? LATER_MS, LONGEST_MS))
      timers.add(timer)
    } finally {
      busy.delete(key)
    }
  }

  async function put(carrier: Gateway, key: string, { ask, sign }: Wanted): Promise<void> {
    const before = shown.get(key)
    if (before === sign) return
    await carrier.command({
      type: 'set_reaction',
      chat_id: ask.chat_id,
      ...(ask.thread_id === '' ? {} : { thread_id: ask.thread_id }),
      message_id: ask.reply_to,
      ...(sign === undefined ? {} : { emoji: sign }),
      ...(before === undefined ? {} : { replaces: before }),
    }, { request_id: ulid(), timeout_ms: COMMAND_MS })
    if (sign === undefined) shown.delete(key)
    else remember(shown, key, sign)
  }

  const begin = (key: string): void =>
    void pump(key).catch((error) => log.error('channel.reaction_failed', 'Reactions failed', { error: String(error) }))

  return {
    show(ask: AskRow, progress: Progress): void {
      const how = settings(ask.channel).ack_reaction
      const key = keyOf(ask)
      if (stopped || (how === 'off' && !shown.has(key))) return
      remember(wanted, key, {
        ask,
        sign: how === 'off' || (how === 'working' && progress === 'done') ? undefined : SIGNS[progress],
      })
      begin(key)
    },

    /** A channel came up. */
    resume(channel: string): void {
      for (const [key, { ask }] of wanted) if (ask.channel === channel) begin(key)
    },

    stop(): void {
      stopped = true
      for (const timer of timers) clearTimeout(timer)
    },
  }
}

function remember<T>(map: Map<string, T>, key: string, value: T): void {
  map.delete(key)
  map.set(key, value)
  if (map.size > MOST) map.delete(map.keys().next().value!)
}
