import { setTimeout as sleep } from 'node:timers/promises'
import type { UserFromGetMe } from 'grammy/types'
import type { ChannelApi } from '../sdk/channel.ts'
import { PluginError } from '../sdk/errors.ts'
import type { Bot, Signal } from './bot.ts'
import { isRefused, plain, retryAfter } from './refusal.ts'

const FIRST_MS = 10_000
const FIRST_PAUSE_MS = 1000
const MAX_PAUSE_MS = 60_000

/** How updates come here. */
export type Way = {
  /** Asks Telegram for them; done again after a failure. */
  open(me: UserFromGetMe): Promise<void>
  /** Works for a while; called over and over. */
  step(me: UserFromGetMe): Promise<void>
  /** What a failure means for the owner, where it is known better than Telegram says it. */
  explain(error: unknown): string | undefined
}

/** Keeps the connection. Throws `PluginError` when the token is refused; goes on trying when Telegram can't be reached. */
export async function connect({ api, bot, way }: { api: ChannelApi; bot: Bot; way: Way }) {
  let connected = false
  const within = AbortSignal.any([api.signal, AbortSignal.timeout(FIRST_MS)]) as Signal
  let me: UserFromGetMe | undefined = await bot.api.getMe(within).catch((error: unknown) => {
    if (isRefused(error)) throw new PluginError('unauthorized', 'Telegram refused the bot token; @BotFather has it')
    return undefined
  })

  async function follow(): Promise<void> {
    let pause = FIRST_PAUSE_MS
    let isOpen = false
    while (!api.signal.aborted) {
      try {
        me ??= await bot.api.getMe(bot.signal)
        if (!isOpen) await way.open(me)
        isOpen = true
        if (!connected) api.status(true, { identity: `@${me.username}` })
        connected = true
        await way.step(me)
        pause = FIRST_PAUSE_MS
      } catch (error) {
        if (api.signal.aborted) return
        if (isRefused(error)) return void await api.fail('unauthorized', 'Telegram refused the bot token')
        const words = way.explain(error) ?? plain(error)
        if (connected || pause === FIRST_PAUSE_MS) {
          api.log.warn(`No messages from Telegram: ${words}`)
          api.status(false, { detail: words })
        }
        connected = false
        isOpen = false
        await sleep(retryAfter(error) ?? pause, undefined, { signal: api.signal }).catch(() => {})
        pause = Math.min(pause * 2, MAX_PAUSE_MS)
      }
    }
  }

  follow().catch((error: unknown) => api.fail('platform_error', plain(error)))
  return { connected: () => connected }
}
