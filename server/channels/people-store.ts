import type { Selectable } from 'kysely'
import type { ChannelRoute, UpdateGroupInput, UpdatePersonInput } from '../../shared/channels.ts'
import type { Db } from '../db/open.ts'
import type { ChannelTables } from './tables.ts'

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

    people: (channel?: string): Promise<PersonRow[]> => {
      const query = db.selectFrom('channel_people').selectAll().orderBy('channel').orderBy('last_seen_at', 'desc')
        .limit(1000)
      return (channel === undefined ? query : query.where('channel', '=', channel)).execute()
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

    groups: (channel?: string): Promise<GroupRow[]> => {
      const query = db.selectFrom('channel_groups').selectAll().orderBy('channel').orderBy('last_seen_at', 'desc')
        .limit(1000)
      return (channel === undefined ? query : query.where('channel', '=', channel)).execute()
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

    /** Newest first. */
    pairings: (of: { pending: boolean; now: number }): Promise<PairingRow[]> => {
      const query = db.selectFrom('channel_pairings').selectAll().orderBy('id', 'desc').limit(200)
      return (of.pending ? query.where('state', '=', 'pending').where('expires_at', '>', of.now) : query).execute()
    },
    pairing: (id: string): Promise<PairingRow | undefined> =>
      db.selectFrom('channel_pairings').selectAll().where('id', '=', id).executeTakeFirst(),
    pairingsOf: (channel: string, personId: string, since: number): Promise<PairingRow[]> =>
      db.selectFrom('channel_pairings').selectAll().where('channel', '=', channel).where('person_id', '=', personId)
        .where('created_at', '>=', since).orderBy('created_at').execute(),
    addPairing: async (row: PairingRow): Promise<void> =>
      void await db.insertInto('channel_pairings').values(row).execute(),

    /** Decides a pairing and, with a yes, lets the person in; false when it was decided before or is over. */
    decidePairing: (
      pairing: PairingRow,
      state: 'approved' | 'rejected',
      { by, trusted, now }: { by: string; trusted: boolean; now: number },
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
