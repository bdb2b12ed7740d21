import type { API } from '@discordjs/core'
import { DiscordAPIError } from '@discordjs/rest'
import type { SessionInfo } from '@discordjs/ws'
import type { State } from '../sdk/state.ts'
import type { Message } from './channels.ts'
import { isLater } from './ids.ts'
import { refusal } from './refusal.ts'

/** Channels whose last message is remembered, those that spoke last. */
const MAX_CHANNELS = 300
const PAGE = 100
/** Pages that are read of one channel after a long absence. */
const MAX_PAGES = 10

type Heard = { last: string; guild?: string | undefined }
type Kept = { sessions: [number, SessionInfo][]; heard: [string, Heard][] }

/** How far everything is read: the sessions of the gateway, and the last message of each channel. */
export async function openHistory({ state, api }: { state: State; api: API }) {
  const kept = await state.get<Kept>('read')
  const sessions = new Map(kept?.sessions)
  const heard = new Map(kept?.heard)
  /** What the library knows; it moves on before we have handled what came. */
  const live = new Map(sessions)

  return {
    session: (shard: number): SessionInfo | null => live.get(shard) ?? null,
    setSession(shard: number, info: SessionInfo | null): void {
      if (info) live.set(shard, info)
      else live.delete(shard)
    },

    /** Everything up to here, as `session` was when it came, was told to the core. */
    handled(shard: number, info: SessionInfo | null): void {
      if (info) sessions.set(shard, info)
      else sessions.delete(shard)
    },

    hear({ id, channel_id, guild_id }: Pick<Message, 'id' | 'channel_id' | 'guild_id'>): void {
      const before = heard.get(channel_id)
      if (before && !isLater(id, before.last)) return
      heard.delete(channel_id)
      heard.set(channel_id, { last: id, guild: guild_id })
      if (heard.size > MAX_CHANNELS) heard.delete(heard.keys().next().value!)
    },

    /** Answered by the core after it has stored all messages that were told before. */
    save: (): Promise<void> => state.set('read', { sessions: [...sessions], heard: [...heard] } satisfies Kept),

    /** What was written while no session could be taken up again, channel by channel, the oldest first. */
    async *missed(): AsyncGenerator<Message> {
      for (const [channel, { last, guild }] of [...heard]) {
        let after = last
        for (let page = 0; page < MAX_PAGES; page++) {
          const messages = await api.channels.getMessages(channel, { after, limit: PAGE }).catch((error: unknown) => {
            if (!(error instanceof DiscordAPIError)) throw refusal(error)
            // It is gone, or closed to us.
            heard.delete(channel)
            return []
          })
          const ordered = messages.sort((one, other) => isLater(one.id, other.id) ? 1 : -1)
          for (const message of ordered) yield { ...message, guild_id: guild }
          if (ordered.length < PAGE) break
          after = ordered.at(-1)!.id
        }
      }
    },
  }
}
