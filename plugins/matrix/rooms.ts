import { PluginError } from '../sdk/errors.ts'
import { type MatrixApi, path } from './api.ts'
import type { RoomEvent } from './events.ts'
import type { Self } from './self.ts'

/** What has to be known of rooms, asked for when it is needed first. */
export type Rooms = ReturnType<typeof createRooms>

/** Messages of ours that an answer may be to. */
const REMEMBERED = 2000

export function createRooms(api: MatrixApi, self: Self) {
  const encrypted = new Map<string, Promise<boolean>>()
  const members = new Map<string, Promise<Map<string, string>>>()
  const own = new Set<string>()

  async function isEncrypted(room: string): Promise<boolean> {
    try {
      await api.call('GET', path`client/v3/rooms/${room}/state/m.room.encryption/`)
      return true
    } catch (error) {
      if (error instanceof PluginError && error.code === 'chat_not_found') return false
      throw error
    }
  }

  async function membersOf(room: string): Promise<Map<string, string>> {
    const { joined } = await api.call<{ joined: Record<string, { display_name?: unknown }> }>(
      'GET',
      path`client/v3/rooms/${room}/joined_members`,
    )
    return new Map(
      Object.entries(joined).map((
        [id, { display_name }],
      ) => [id, typeof display_name === 'string' ? display_name : '']),
    )
  }

  /** What failed is asked for again. */
  function kept<T>(known: Map<string, Promise<T>>, room: string, ask: (room: string) => Promise<T>): Promise<T> {
    const before = known.get(room)
    if (before) return before
    const answer = ask(room)
    known.set(room, answer)
    answer.catch(() => known.delete(room))
    return answer
  }

  return {
    isEncrypted: (room: string) => kept(encrypted, room, isEncrypted),
    nameOf: async (room: string, user: string) => (await kept(members, room, membersOf)).get(user) || undefined,
    /** Two people are a direct chat; a third one makes it a group. */
    isDirect: async (room: string) => (await kept(members, room, membersOf)).size <= 2,

    /** Learns from what happens. */
    note(room: string, event: RoomEvent): void {
      if (event.type === 'm.room.member') members.delete(room)
      if (event.type === 'm.room.encryption') encrypted.set(room, Promise.resolve(true))
    },

    remember(event: string): void {
      own.add(event)
      if (own.size > REMEMBERED) own.delete(own.keys().next().value!)
    },
    /** Whether we wrote a message; asked for when it is not remembered. */
    async isOurs(room: string, event: string): Promise<boolean> {
      if (own.has(event)) return true
      const found = await api.call<{ sender?: string }>('GET', path`client/v3/rooms/${room}/event/${event}`)
        .catch(() => undefined)
      return found?.sender === self.id
    },
  }
}
