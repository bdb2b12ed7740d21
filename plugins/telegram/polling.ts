import { GrammyError } from 'grammy/web'
import type { ChannelApi } from '../sdk/channel.ts'
import type { Bot } from './bot.ts'
import type { Way } from './connection.ts'
import { type TakeUpdate, UPDATES } from './updates.ts'

const POLL_SECONDS = 30
/** After a week without anything, Telegram counts on from some other number. */
const KEPT_MS = 6 * 24 * 3600_000

/**
 * Long polling. The place in the stream is kept by the core, and Telegram hears of it only when the core has stored
 * what came before.
 */
export function createPolling({ api, bot, take, now }: {
  api: ChannelApi
  bot: Bot
  take: TakeUpdate
  now: () => number
}): Way {
  let place: { offset: number; at: number } | undefined

  return {
    async open() {
      // A webhook keeps all updates from us; what it could not deliver comes here.
      await bot.api.deleteWebhook({ drop_pending_updates: false }, bot.signal)
      const [offset, at] = [await api.state.get<number>('offset'), await api.state.get<number>('offset_at')]
      if (offset !== undefined) place = { offset, at: at ?? now() }
    },

    async step(me) {
      const offset = place && now() - place.at < KEPT_MS ? place.offset : 0
      const updates = await bot.api.getUpdates(
        { offset, timeout: POLL_SECONDS, allowed_updates: [...UPDATES] },
        bot.signal,
      )
      for (const update of updates) {
        await take(update, me)
        place = { offset: update.update_id + 1, at: now() }
      }
      if (updates.length === 0 || !place) return
      await api.state.set('offset', place.offset)
      await api.state.set('offset_at', place.at)
    },

    explain: (error) =>
      error instanceof GrammyError && error.error_code === 409
        ? 'Another program reads the messages of this bot; end it, or give each its own bot'
        : undefined,
  }
}
