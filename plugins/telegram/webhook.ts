import { Buffer } from 'node:buffer'
import { createHmac, timingSafeEqual } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Update, UserFromGetMe } from 'grammy/types'
import type { ChannelApi } from '../sdk/channel.ts'
import type { PluginAnswer, PluginRequest } from '../sdk/http.ts'
import type { Bot } from './bot.ts'
import type { Way } from './connection.ts'
import { type TakeUpdate, UPDATES } from './updates.ts'

const CHECK_MS = 5 * 60_000
const LOG_EVERY_MS = 60_000
const REMEMBERED = 1000

/**
 * Telegram calls us. It shows a word that only the two of us know, and comes again with whatever was not answered with
 * 200, which it is when the core has stored it.
 */
export function createWebhook({ api, bot, take, token, url, now }: {
  api: ChannelApi
  bot: Bot
  take: TakeUpdate
  token: string
  url: string
  now: () => number
}): Way & { answer(request: PluginRequest): Promise<PluginAnswer> } {
  // Nobody has to make one up, and it changes with the token.
  const secret = createHmac('sha256', token).update(`webhook ${url}`).digest('hex')
  const updates = new Map<number, Promise<void>>()
  const identity = Promise.withResolvers<UserFromGetMe>()
  let told = -Infinity

  /** An update that comes again while it is worked on, or afterwards, is done once. */
  function once(update: Update): Promise<void> {
    const known = updates.get(update.update_id)
    if (known) return known
    const work = (async () => {
      await take(update, await identity.promise)
      await api.settled()
    })()
    updates.set(update.update_id, work)
    work.catch(() => updates.delete(update.update_id))
    if (updates.size > REMEMBERED) updates.delete(updates.keys().next().value!)
    return work
  }

  return {
    async open(me) {
      identity.resolve(me)
      await bot.api.setWebhook(
        url,
        { secret_token: secret, allowed_updates: [...UPDATES], drop_pending_updates: false },
        bot.signal,
      )
    },

    async step() {
      await sleep(CHECK_MS, undefined, { signal: api.signal })
      const info = await bot.api.getWebhookInfo(bot.signal)
      if (info.url !== url) throw new Error('The webhook was taken away; it is set again')
      if (info.last_error_message && (info.last_error_date ?? 0) * 1000 > now() - CHECK_MS) {
        api.log.warn(`Telegram could not deliver: ${info.last_error_message}`, { waiting: info.pending_update_count })
      }
    },

    explain: () => undefined,

    async answer(request) {
      if (!same(request.headers.get('x-telegram-bot-api-secret-token') ?? '', secret)) {
        // Strangers may knock as often as they like; the log stays short.
        if (now() - told > LOG_EVERY_MS) api.log.warn('A request was refused, for it did not come from Telegram')
        if (now() - told > LOG_EVERY_MS) told = now()
        return { status: 403, body: 'refused' }
      }
      const update = updateIn(request.text())
      if (!update) return { status: 400, body: 'no update' }
      await once(update)
      return { status: 200, body: 'stored' }
    },
  }
}

function updateIn(text: string): Update | undefined {
  try {
    const value = JSON.parse(text) as Update | null
    return Number.isSafeInteger(value?.update_id) ? value! : undefined
  } catch {
    return undefined
  }
}

/** Takes as long for what is nearly right as for what is not. */
function same(given: string, wanted: string): boolean {
  const digest = (text: string) => createHmac('sha256', 'compare').update(Buffer.from(text)).digest()
  return timingSafeEqual(digest(given), digest(wanted))
}
