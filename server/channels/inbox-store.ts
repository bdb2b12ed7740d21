import { type Insertable, type Selectable, sql } from 'kysely'
import type { Attachment } from '../../shared/turn-events.ts'
import type { Db } from '../db/open.ts'
import { createBatch, createTransactions } from './batch.ts'
import { noteSeen } from './seen.ts'
import type { ChannelTables, Chat, Tx } from './tables.ts'

/** What a rule adds to where a message goes; or the plugin that a command is for. */
export type RouteExtra = { model?: string; instructions?: string; plugin?: string }
/** A file on the platform's side. */
export type RemoteMedia = { kind: string; url: string }

export type InboxRow = Omit<Selectable<ChannelTables['channel_inbox']>, 'media' | 'attachment' | 'route'> & {
  media: RemoteMedia | null
  attachment: Attachment | null
  route: RouteExtra | null
}
export type NewInbound = Omit<InboxRow, 'id' | 'ask_id' | 'attachment'>
export type AskRow = Omit<Selectable<ChannelTables['channel_asks']>, 'route'> & { route: RouteExtra | null }
export type InboxStore = ReturnType<typeof createInboxStore>

/** As in their indexes, word for word, or SQLite looks through all that was ever said in a chat. */
const isOpen = sql<boolean>`state in ('new', 'context', 'command')`
const isOpenAsk = sql<boolean>`state in ('open', 'asked')`

/** What came in, and the questions that were made of it. */
export function createInboxStore(database: Db) {
  const db = database.withTables<ChannelTables>()
  const inbox = () => db.selectFrom('channel_inbox').selectAll()
  const asks = () => db.selectFrom('channel_asks').selectAll()
  const transaction = createTransactions(db)

  return {
    /** Stores a message with the note that its writer was seen; undefined when it was here before. */
    store: createBatch((rows: { row: NewInbound; inGroup: boolean }[]): Promise<(InboxRow | undefined)[]> =>
      db.transaction().execute(async (tx) => {
        const inserted = await tx.insertInto('channel_inbox').values(rows.map(({ row }) => columns(row)))
          .onConflict((conflict) => conflict.columns(['channel', 'event_id']).doNothing())
          .returning(['id', 'channel', 'event_id']).execute()
        const fresh = new Map(inserted.map((row) => [eventOf(row), row.id]))
        // Of one that is twice among them, the first was stored.
        const stored = rows.map(({ row }) => {
          const event = eventOf(row)
          const id = fresh.get(event)
          fresh.delete(event)
          return id === undefined ? undefined : { ...row, id, ask_id: null, attachment: null }
        })
        await noteSeen(tx, rows.filter((_, i) => stored[i]))
        return stored
      })
    ),

    /** Where a file that came with an event is still to be fetched from. */
    mediaOf: async (channel: string, eventId: string): Promise<string | undefined> => {
      const row = await inbox().where('channel', '=', channel).where('event_id', '=', eventId).executeTakeFirst()
      return row && toInbox(row).media?.url
    },

    /** Addresses of a channel's files that are still to be fetched; `since` is how old talk may be to be told. */
    mediaAwaited: async (channel: string, since: number): Promise<Set<string>> => {
      const rows = await inbox().where('channel', '=', channel).where('media', 'is not', null)
        .where(
          sql<
            boolean
          >`(state in ('new', 'command') or (state = 'context' and at >= ${since}) or exists (select 1 from channel_asks a
          where a.id = channel_inbox.ask_id and a.state = 'open'))`,
        ).execute()
      return new Set(rows.map((row) => toInbox(row).media!.url))
    },

    /** Text of a message in a chat, for quoting. */
    textOf: async (channel: string, chatId: string, messageId: string): Promise<string | undefined> =>
      (await db.selectFrom('channel_inbox').select('text').where('channel', '=', channel).where('chat_id', '=', chatId)
        .where('message_id', '=', messageId).limit(1).executeTakeFirst())?.text,

    /** Text of what an event said, as it was stored the first time. */
    textOfEvent: async (channel: string, eventId: string): Promise<string | undefined> =>
      (await inbox().where('channel', '=', channel).where('event_id', '=', eventId).executeTakeFirst())?.text,

    /** Messages that nobody took up yet. */
    waiting: async (): Promise<InboxRow[]> =>
      (await inbox().where(isOpen).where('state', 'in', ['new', 'command']).orderBy('id').execute()).map(toInbox),

    /**
     * Makes one question of what a person wrote, `joined` or message by message, and of the talk before it; undefined
     * when nothing waits. The talk is limited: at most so many messages, none older.
     */
    take: (
      who: Chat & { sender_id: string; session_id: string },
      ask: { id: string; at: number },
      of: { joined: boolean; messages: number; since: number },
    ): Promise<AskRow | undefined> =>
      transaction(async (tx) => {
        const here = (state: 'new' | 'context') =>
          tx.selectFrom('channel_inbox').selectAll().where(isOpen).where('state', '=', state)
            .where('channel', '=', who.channel).where('chat_id', '=', who.chat_id)
            .where('thread_id', '=', who.thread_id).where('session_id', '=', who.session_id)
        const own = here('new').where('sender_id', '=', who.sender_id).orderBy('id')
        const mine = await (of.joined ? own : own.limit(1)).execute()
        const last = mine.at(-1)
        if (!last) return undefined
        const talk = await here('context').where('id', '<', last.id).orderBy('id', 'desc')
          .limit(Math.max(of.messages, 1)).execute()
        const told = talk.slice(0, of.messages).filter(({ at }) => at >= of.since)
        const row: Selectable<ChannelTables['channel_asks']> = {
          id: ask.id,
          channel: who.channel,
          chat_type: last.chat_type,
          chat_id: who.chat_id,
          thread_id: who.thread_id,
          sender_id: who.sender_id,
          sender_name: last.sender_name,
          session_id: who.session_id,
          route: last.route,
          reply_to: last.message_id,
          state: 'open',
          attempt: 1,
          turn_id: null,
          created_at: ask.at,
        }
        await tx.insertInto('channel_asks').values(row).execute()
        await mark(tx, mine.map(({ id }) => id), { state: 'turn', ask_id: ask.id })
        if (talk.length === 0) return toAsk(row)
        await mark(tx, told.map(({ id }) => id), { state: 'done', ask_id: ask.id })
        // What was too old, or too much, is not told later either.
        await tx.updateTable('channel_inbox').set({ state: 'done' }).where(isOpen).where('state', '=', 'context')
          .where('channel', '=', who.channel).where('chat_id', '=', who.chat_id)
          .where('thread_id', '=', who.thread_id).where('session_id', '=', who.session_id).where('id', '<', last.id)
          .execute()
        return toAsk(row)
      }),

    /** What a question is made of, in order of arrival: its own messages are in state `turn`, talk before them is not. */
    messagesOf: async (askId: string): Promise<InboxRow[]> =>
      (await inbox().where('ask_id', '=', askId).orderBy('id').execute()).map(toInbox),

    /** Keeps a file that was fetched, or the words that stand for one that could not be. */
    keepMedia: async (id: number, got: { attachment: Attachment | null; text: string }): Promise<void> =>
      void await db.updateTable('channel_inbox').set({
        media: null,
        attachment: got.attachment && JSON.stringify(got.attachment),
        text: got.text,
      }).where('id', '=', id).execute(),

    /** What was taken for a command is done, or a message after all. */
    settle: async (id: number, state: 'done' | 'new', tx?: Tx): Promise<void> =>
      void await (tx ?? db).updateTable('channel_inbox').set({ state }).where('id', '=', id)
        .where('state', '=', 'command').execute(),

    ask: async (id: string): Promise<AskRow | undefined> => {
      const row = await asks().where('id', '=', id).executeTakeFirst()
      return row && toAsk(row)
    },

    asks: async (state: 'open' | 'asked'): Promise<AskRow[]> =>
      (await asks().where(isOpenAsk).where('state', '=', state).orderBy('id').execute()).map(toAsk),

    asksOf: async (turnId: string, tx?: Tx): Promise<AskRow[]> =>
      (await (tx ?? db).selectFrom('channel_asks').selectAll().where('turn_id', '=', turnId).orderBy('id').execute())
        .map(toAsk),

    asked: async (id: string, turnId: string): Promise<void> =>
      void await db.updateTable('channel_asks').set({ state: 'asked', turn_id: turnId }).where('id', '=', id)
        .where('state', '=', 'open').execute(),

    /** Asks again what a stop of the server cut. */
    again: async (tx: Tx, turnId: string): Promise<void> =>
      void await tx.updateTable('channel_asks').set((e) => ({
        state: 'open' as const,
        turn_id: null,
        attempt: e('attempt', '+', 1),
      })).where('turn_id', '=', turnId).where('state', '=', 'asked').execute(),

    /** Ends questions that a turn answers; false when that was done before. */
    answered: async (tx: Tx, turnId: string, state: 'answered' | 'dropped'): Promise<boolean> => {
      const result = await tx.updateTable('channel_asks').set({ state }).where('turn_id', '=', turnId)
        .where('state', '=', 'asked').executeTakeFirst()
      return result.numUpdatedRows > 0n
    },

    drop: async (id: string): Promise<void> =>
      void await db.updateTable('channel_asks').set({ state: 'dropped' }).where('id', '=', id).execute(),

    transaction,

    counts: async (): Promise<Map<string, { messages: number; last: number }>> => {
      const { rows } = await sql<{ channel: string; messages: number; last: number }>`
        select channel, count(*) as messages, max(at) as last from channel_inbox group by channel`.execute(db)
      return new Map(rows.map(({ channel, ...row }) => [channel, row]))
    },

    /** Forgets what is over and older; its text stays in the transcript of its session. */
    forget: (before: number): Promise<void> =>
      db.transaction().execute(async (tx) => {
        await tx.deleteFrom('channel_inbox').where('at', '<', before).where('state', 'in', [
          'turn',
          'done',
          'record',
          'context',
        ])
          .where(sql<boolean>`not exists (select 1 from channel_asks a
            where a.id = channel_inbox.ask_id and a.state in ('open', 'asked'))`).execute()
        await tx.deleteFrom('channel_asks').where('created_at', '<', before)
          .where('state', 'in', ['answered', 'dropped']).execute()
      }),
  }
}

async function mark(
  tx: Tx,
  ids: number[],
  change: { state: 'turn' | 'done'; ask_id: string },
): Promise<void> {
  for (let at = 0; at < ids.length; at += 500) {
    await tx.updateTable('channel_inbox').set(change).where('id', 'in', ids.slice(at, at + 500)).execute()
  }
}

const eventOf = ({ channel, event_id }: { channel: string; event_id: string }): string =>
  JSON.stringify([channel, event_id])

const columns = ({ media, route, ...row }: NewInbound): Insertable<ChannelTables['channel_inbox']> => ({
  ...row,
  media: media && JSON.stringify(media),
  route: route && JSON.stringify(route),
  attachment: null,
  ask_id: null,
})

const toInbox = (row: Selectable<ChannelTables['channel_inbox']>): InboxRow => ({
  ...row,
  media: row.media === null ? null : JSON.parse(row.media) as RemoteMedia,
  attachment: row.attachment === null ? null : JSON.parse(row.attachment) as Attachment,
  route: row.route === null ? null : JSON.parse(row.route) as RouteExtra,
})

const toAsk = (row: Selectable<ChannelTables['channel_asks']>): AskRow => ({
  ...row,
  route: row.route === null ? null : JSON.parse(row.route) as RouteExtra,
})
