import { type API, type APIMessage, ChannelType } from '@discordjs/core'
import { DiscordAPIError } from '@discordjs/rest'
import { refusal } from './refusal.ts'

/** As much of a channel as tells whether it is a thread, and of which channel. */
type Channel = { id: string; type: ChannelType; parent_id?: string | null | undefined }

const THREADS = new Set([ChannelType.AnnouncementThread, ChannelType.PublicThread, ChannelType.PrivateThread])

export type Place = { chat_id: string; thread_id: string | undefined }

/** Which channels are threads, since a message does not tell it. */
export function createChannels(api: API) {
  /** The parent of each thread; nothing for what is none. */
  const parents = new Map<string, string | undefined>()

  const note = ({ id, type, parent_id }: Channel): void =>
    void parents.set(id, THREADS.has(type) ? parent_id ?? undefined : undefined)

  return {
    note,

    noteAll: (listed: Channel[]): void => listed.forEach(note),

    /** A thread belongs to the chat of its channel. Throws when Discord does not say what it is. */
    async placeOf({ channel_id, guild_id }: { channel_id: string; guild_id?: string | undefined }): Promise<Place> {
      if (guild_id !== undefined && !parents.has(channel_id)) {
        const channel = await api.channels.get(channel_id).catch((error: unknown) => {
          if (!(error instanceof DiscordAPIError)) throw refusal(error)
          // One that may be read as it comes, but not be asked about.
          return undefined
        })
        if (channel) note(channel as Channel)
      }
      const parent = parents.get(channel_id)
      return parent ? { chat_id: parent, thread_id: channel_id } : { chat_id: channel_id, thread_id: undefined }
    },
  }
}

export type Channels = ReturnType<typeof createChannels>

/** A message as the gateway gives it; one that is asked for later lacks the server. */
export type Message = APIMessage & { guild_id?: string | undefined; member?: { nick?: string | null } | undefined }
