import { type Selectable, sql } from 'kysely'
import type {
  ChannelListQuery,
  ChannelRoute,
  PairingQuery,
  UpdateGroupInput,
  UpdatePersonInput,
} from '../../shared/channels.ts'
import type { Db } from '../db/open.ts'
import { holds, parseCursor } from './paging.ts'
import type { ChannelTables, Tx } from './tables.ts'

export type PersonRow = Selectable<ChannelTables['channel_people']>
export type GroupRow = Selectable<ChannelTables['channel_groups']>
export type PairingRow = Selectable<ChannelTables['channel_pairings']>
export type PeopleStore = ReturnType<typeof createPeopleStore>

/** People, groups, pairings and rules of channels. */
export function createPeopleStore(database: Db) {
  const db = database.withTables<ChannelTables>()

  return {
    person: (channel: string, id: string): Promise<PersonRow | undefined> =>
      db.selectFrom('channel_people').selectAll().where('channel', '=', channel).where('person_id', '=', id)
        .executeTakeFirst(),

    /** Who was seen last first; one more than the page holds, where there are more. */
    people: ({ channel, q, limit, cursor }: ChannelListQuery): Promise<PersonRow[]> => {
      let query = db.selectFrom('channel_people').selectAll().orderBy(SEEN, 'desc').orderBy('channel')
        .orderBy('person_id').limit(limit + 1)
      if (channel !== undefined) query = query.where('channel', '=', channel)
      if (q) query = query.where(holds(q, 'name', 'person_id'))
      if (cursor !== undefined) query = query.where(after(cursor, 'person_id'))
      return query.execute()
    },

    /** How many people are paired, and which groups were let in or refused by the owner, by channel. */
    letIn: async (): Promise<Map<string, { people: Set<string>; groups: Set<string> }>> => {
      const [people, groups] = await Promise.all([
        db.selectFrom('channel_people').select(['channel', 'person_id']).where('paired', '=', 1).execute(),
        db.selectFrom('channel_groups').select(['channel', 'chat_id']).where('allowed', '=', 1).execute(),
      ])
      const by = new Map<string, { people: Set<string>; groups: Set<string> }>()
      const of = (channel: string) => {
        const known = by.get(channel) ?? { people: new Set(), groups: new Set() }
        by.set(channel, known)
        return known
      }
      for (const { channel, person_id } of people) of(channel).people.add(person_id)
      for (const { channel, chat_id } of groups) of(channel).groups.add(chat_id)
      return by
    },

    /** Adds the person when nobody wrote under this id yet. */
    async changePerson(
      channel: string,
      id: string,
      { disposition, paired, trusted }: UpdatePersonInput,
      name?: string,
    ): Promise<PersonRow> {
      const change = {
        ...(disposition === undefined ? {} : { disposition }),
        ...(paired === undefined ? {} : { paired: Number(paired) }),
        ...(trusted === undefined ? {} : { trusted: Number(trusted) }),
        ...(name === undefined ? {} : { name }),
      }
      return await db.insertInto('channel_people').values({
        channel,
        person_id: id,
        name: name ?? id,
        disposition: disposition ?? null,
        paired: Number(paired ?? false),
        trusted: Number(trusted ?? false),
        messages: 0,
        last_seen_at: null,
      }).onConflict((conflict) => conflict.columns(['channel', 'person_id']).doUpdateSet({ ...change, channel }))
        .returningAll().executeTakeFirstOrThrow()
    },

    group: (channel: string, chatId: string): Promise<GroupRow | undefined> =>
      db.selectFrom('channel_groups').selectAll().where('channel', '=', channel).where('chat_id', '=', chatId)
        .executeTakeFirst(),

    groups: ({ channel, q, limit, cursor }: ChannelListQuery): Promise<GroupRow[]> => {
      let query = db.selectFrom('channel_groups').selectAll().orderBy(SEEN, 'desc').orderBy('channel')
        .orderBy('chat_id').limit(limit + 1)
      if (channel !== undefined) query = query.where('channel', '=', channel)
      if (q) query = query.where(holds(q, 'chat_id'))
      if (cursor !== undefined) query = query.where(after(cursor, 'chat_id'))
      return query.execute()
    },

    async changeGroup(channel: string, chatId: string, input: UpdateGroupInput): Promise<GroupRow> {
      const { allowed, activation, disposition } = input
      const change = {
        ...(allowed === undefined ? {} : { allowed: allowed === null ? null : Number(allowed) }),
        ...(activation === undefined ? {} : { activation }),
        ...(disposition === undefined ? {} : { disposition }),
      }
      return await db.insertInto('channel_groups').values({
        channel,
        chat_id: chatId,
        allowed: null,
        activation: null,
        disposition: null,
        messages: 0,
        last_seen_at: null,
        ...change,
      }).onConflict((conflict) => conflict.columns(['channel', 'chat_id']).doUpdateSet({ ...change, channel }))
        .returningAll().executeTakeFirstOrThrow()
    },

    /** Newest first; one more than the page holds, where there are more. Of those that wait, only on `channels`. */
    pairings: (
      { state, q, limit, cursor }: PairingQuery,
      now: number,
      channels: readonly string[],
    ): Promise<PairingRow[]> => {
      let query = db.selectFrom('channel_pairings').selectAll().orderBy('id', 'desc').limit(limit + 1)
      if (state === 'pending') {
        query = query.where('state', '=', 'pending').where('expires_at', '>', now).where('channel', 'in', channels)
      }
      if (q) query = query.where(holds(q, 'person_name', 'person_id', 'code'))
      if (cursor !== undefined) query = query.where('id', '<', cursor)
      return query.execute()
    },
    /** All codes that wait. */
    pending: (now: number): Promise<PairingRow[]> =>
      db.selectFrom('channel_pairings').selectAll().where('state', '=', 'pending').where('expires_at', '>', now)
        .execute(),
    pairing: (id: string): Promise<PairingRow | undefined> =>
      db.selectFrom('channel_pairings').selectAll().where('id', '=', id).executeTakeFirst(),
    pairingsOf: (channel: string, personId: string, since: number): Promise<PairingRow[]> =>
      db.selectFrom('channel_pairings').selectAll().where('channel', '=', channel).where('person_id', '=', personId)
        .where('created_at', '>=', since).orderBy('created_at').execute(),
    /** `also` is written with it, or neither is. */
    addPairing: (row: PairingRow, also: (tx: Tx) => Promise<unknown>): Promise<void> =>
      db.transaction().execute(async (tx) => {
        await tx.insertInto('channel_pairings').values(row).execute()
        await also(tx)
      }),

    /**
     * Decides a pairing and, with a yes, lets the person in, along with what `welcome` writes; false when it was decided
     * before or is over.
     */
    decidePairing: (
      pairing: PairingRow,
      state: 'approved' | 'rejected',
      { by, trusted, now, welcome }: {
        by: string
        trusted: boolean
        now: number
        welcome: (tx: Tx) => Promise<unknown>
      },
    ): Promise<boolean> =>
      db.transaction().execute(async (tx) => {
        const result = await tx.updateTable('channel_pairings').set({ state, decided_by: by })
          .where('id', '=', pairing.id).where('state', '=', 'pending').where('expires_at', '>', now).executeTakeFirst()
        if (result.numUpdatedRows === 0n) return false
        if (state === 'rejected') return true
        const given = { paired: 1, trusted: Number(trusted) }
        await tx.insertInto('channel_people').values({
          channel: pairing.channel,
          person_id: pairing.person_id,
          name: pairing.person_name,
          disposition: null,
          messages: 0,
          last_seen_at: null,
          ...given,
        }).onConflict((conflict) => conflict.columns(['channel', 'person_id']).doUpdateSet(given)).execute()
        await welcome(tx)
        return true
      }),

    forgetPairings: async (before: number): Promise<void> =>
      void await db.deleteFrom('channel_pairings').where('created_at', '<', before).execute(),

    routes: async (): Promise<ChannelRoute[]> =>
      (await db.selectFrom('channel_routes').selectAll().orderBy('position').execute()).map((row) =>
        JSON.parse(row.rule) as ChannelRoute
      ),
    putRoutes: (routes: readonly ChannelRoute[]): Promise<void> =>
      db.transaction().execute(async (tx) => {
        await tx.deleteFrom('channel_routes').execute()
        for (const [position, rule] of routes.entries()) {
          await tx.insertInto('channel_routes').values({ position, rule: JSON.stringify(rule) }).execute()
        }
      }),
  }
}

/** Those who never wrote come last. */
const SEEN = sql<number>`coalesce(last_seen_at, 0)`

/** What comes after an entry in the order of these lists. */
function after(cursor: string, key: 'person_id' | 'chat_id') {
  const { seen, channel, id } = parseCursor(cursor)
  return sql<boolean>`(${SEEN} < ${seen} or (${SEEN} = ${seen} and (channel, ${sql.ref(key)}) > (${channel}, ${id})))`
}
