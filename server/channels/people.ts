import type {
  ChannelGroup,
  ChannelListQuery,
  ChannelPerson,
  ChannelSettings,
  UpdateGroupInput,
  UpdatePersonInput,
} from '../../shared/channels.ts'
import { type Caller, demand } from '../auth/principal.ts'
import { invalid, notFound } from '../errors.ts'
import type { ChannelDeps } from './deps.ts'
import { idProblem } from './ids.ts'
import { cursorOf, pageOf } from './paging.ts'
import type { GroupRow, PeopleStore, PersonRow } from './people-store.ts'
import { toGroup, toPerson } from './views.ts'

/** People and groups that were seen, and what the owner decided about them. */
export function createPeople(
  deps: Pick<ChannelDeps, 'audit'> & {
    store: PeopleStore
    settings: (name: string) => ChannelSettings
    /** Whether there is a channel of this name, switched on or not. */
    isChannel: (name: string) => boolean
    changed: (channel: string) => void
  },
) {
  const { store, audit, settings, isChannel, changed } = deps

  /** Also somebody on a channel that was taken out can be decided about, as long as they are in the list. */
  async function check(channel: string, id: string, find: PeopleStore['person'] | PeopleStore['group']): Promise<void> {
    const problem = idProblem(id)
    if (problem) throw invalid('id', problem)
    if (!isChannel(channel) && !await find(channel, id)) throw notFound('channel', channel.slice(0, 100))
  }

  return {
    /** Who was seen last first. */
    async list(
      caller: Caller,
      query: ChannelListQuery,
    ): Promise<{ people: ChannelPerson[]; nextCursor: string | null }> {
      demand(caller, 'admin')
      const cursor = (row: PersonRow) =>
        cursorOf({ seen: row.last_seen_at ?? 0, channel: row.channel, id: row.person_id })
      const { entries: people, nextCursor } = pageOf(await store.people(query), query.limit, {
        entry: (row) => toPerson(row, settings(row.channel)),
        cursor,
      })
      return { people, nextCursor }
    },

    async groups(
      caller: Caller,
      query: ChannelListQuery,
    ): Promise<{ groups: ChannelGroup[]; nextCursor: string | null }> {
      demand(caller, 'admin')
      const cursor = (row: GroupRow) => cursorOf({ seen: row.last_seen_at ?? 0, channel: row.channel, id: row.chat_id })
      const { entries: groups, nextCursor } = pageOf(await store.groups(query), query.limit, { entry: toGroup, cursor })
      return { groups, nextCursor }
    },

    async update(caller: Caller, channel: string, id: string, input: UpdatePersonInput): Promise<ChannelPerson> {
      demand(caller, 'admin')
      await check(channel, id, store.person)
      const row = await store.changePerson(channel, id, input)
      await audit({ caller, action: 'channel_person.updated', target: `${channel}:${id}`, detail: input })
      changed(channel)
      return toPerson(row, settings(channel))
    },

    async updateGroup(caller: Caller, channel: string, id: string, input: UpdateGroupInput): Promise<ChannelGroup> {
      demand(caller, 'admin')
      await check(channel, id, store.group)
      const row = await store.changeGroup(channel, id, input)
      await audit({ caller, action: 'channel_group.updated', target: `${channel}:${id}`, detail: input })
      changed(channel)
      return toGroup(row)
    },
  }
}
