import { type Selectable, sql } from 'kysely'
import { ulid } from 'ulid'
import type { OutboxQuery } from '../../shared/channels.ts'
import type { InlineKeyboard } from '../../shared/gateway-protocol.ts'
import type { Attachment } from '../../shared/turn-events.ts'
import type { Db } from '../db/open.ts'
import { holds } from './paging.ts'
import type { ChannelTables, Chat, Tx } from './tables.ts'

/** What is to be said; `target` is the entry whose message an edit changes, or takes away where the text is empty. */
export type OutBody = {
  text: string
  reply_to?: string
  buttons?: InlineKeyboard
  attachment?: Attachment
  target?: string
}

export type OutRow = Omit<Selectable<ChannelTables['channel_outbox']>, 'body'> & { body: OutBody }

export type NewOut = Chat & {
  kind: OutRow['kind']
  body: OutBody
  /** Written once: a second entry with the same key is left out. */
  key?: string
  requester_id?: string | null
  session_id?: string | null
  turn_id?: string | null
}

export type OutboxStore = ReturnType<typeof createOutboxStore>

/** What is to be sent, what was, and what could not be. */
export function createOutboxStore(database: Db, now: () => number) {
  const db = database.withTables<ChannelTables>()
  const rows = () => db.selectFrom('channel_outbox').selectAll()

  async function add(tx: Tx | undefined, out: NewOut): Promise<string | undefined> {
    const at = now()
    const id = ulid()
    const result = await (tx ?? db).insertInto('channel_outbox').values({
      id,
      key: out.key ?? null,
      channel: out.channel,
      chat_type: out.chat_type,
      chat_id: out.chat_id,
      thread_id: out.thread_id,
      kind: out.kind,
      body: JSON.stringify(out.body),
      state: 'waiting',
      attempts: 0,
      error: null,
      message_id: null,
      buttons_open: out.body.buttons ? 1 : 0,
      requester_id: out.requester_id ?? null,
      session_id: out.session_id ?? null,
      turn_id: out.turn_id ?? null,
      created_at: at,
      next_at: at,
      sent_at: null,
    }).onConflict((conflict) => conflict.column('key').doNothing()).executeTakeFirstOrThrow()
    return result.numInsertedOrUpdatedRows === 1n ? id : undefined
  }

  async function one(query: ReturnType<typeof rows>): Promise<OutRow | undefined> {
    const row = await query.limit(1).executeTakeFirst()
    return row && toOut(row)
  }

  return {
    /** The new entry's id; undefined when its key was there. */
    add,
    get: (id: string) => one(rows().where('id', '=', id)),
    byKey: (key: string) => one(rows().where('key', '=', key)),
    byMessage: (channel: string, chatId: string, messageId: string) =>
      one(
        rows().where('channel', '=', channel).where('chat_id', '=', chatId).where('message_id', '=', messageId)
          .orderBy('ord', 'desc'),
      ),
    /** The oldest that waits in a chat. The state stands as in its index, or all that waits in the channel is read. */
    next: (channel: string, chatId: string) =>
      one(
        rows().where(
          'ord',
          '=',
          sql<number>`(select min(ord) from channel_outbox
          where channel = ${channel} and chat_id = ${chatId} and state = 'waiting')`,
        ),
      ),
    chatsWaiting: async (channel?: string): Promise<{ channel: string; chat_id: string }[]> => {
      let query = db.selectFrom('channel_outbox').select(['channel', 'chat_id']).distinct().where(isWaiting)
      if (channel !== undefined) query = query.where('channel', '=', channel)
      return await query.execute()
    },

    /** False when it waits no more. */
    update: async (
      id: string,
      change: Partial<Pick<OutRow, 'state' | 'attempts' | 'error' | 'message_id' | 'next_at' | 'sent_at' | 'kind'>> & {
        body?: OutBody
      },
      tx?: Tx,
    ): Promise<boolean> => {
      const { body, ...rest } = change
      const result = await (tx ?? db).updateTable('channel_outbox')
        .set({ ...rest, ...(body ? { body: JSON.stringify(body) } : {}) }).where('id', '=', id)
        .where('state', '=', 'waiting').executeTakeFirst()
      return result.numUpdatedRows > 0n
    },

    /** Puts a dead letter, or a discarded one, back at its place, with as much time as a new one has. */
    revive: async (id: string): Promise<boolean> => {
      const at = now()
      const again = { state: 'waiting' as const, attempts: 0, created_at: at, next_at: at }
      const result = await db.updateTable('channel_outbox').set(again).where('id', '=', id)
        .where('state', 'in', ['dead', 'discarded']).executeTakeFirst()
      return result.numUpdatedRows > 0n
    },

    discard: async (id: string): Promise<boolean> => {
      const result = await db.updateTable('channel_outbox').set({ state: 'discarded' }).where('id', '=', id)
        .where('state', 'in', ['waiting', 'dead']).executeTakeFirst()
      return result.numUpdatedRows > 0n
    },

    /** The first press wins; false for later ones. */
    press: async (id: string): Promise<boolean> => {
      const result = await db.updateTable('channel_outbox').set({ buttons_open: 0 }).where('id', '=', id)
        .where('buttons_open', '=', 1).executeTakeFirst()
      return result.numUpdatedRows > 0n
    },

    /** Messages with buttons that can be pressed, by the beginning of their key. */
    openButtons: async (prefix: string): Promise<OutRow[]> =>
      (await rows().where(hasOpenButtons).where('key', 'like', `${prefix}%`).execute()).map(toOut),

    /** Newest first; one more than the page holds, where there are more. */
    list: async ({ state, channel, q, limit, cursor }: OutboxQuery): Promise<OutRow[]> => {
      let query = rows().orderBy('id', 'desc').limit(limit + 1)
      if (state !== 'all') query = query.where('state', '=', state === 'open' ? 'waiting' : state)
      if (channel !== undefined) query = query.where('channel', '=', channel)
      if (q) query = query.where(holds(q, 'chat_id', TEXT, FILENAME))
      if (cursor !== undefined) query = query.where('id', '<', cursor)
      return (await query.execute()).map(toOut)
    },

    counts: async (): Promise<{ channel: string; state: OutRow['state']; n: number }[]> =>
      (await sql<{ channel: string; state: OutRow['state']; n: number }>`
        select channel, state, count(*) as n from channel_outbox group by channel, state`.execute(db)).rows,

    forget: async (before: number): Promise<void> =>
      void await db.deleteFrom('channel_outbox').where('created_at', '<', before)
        .where('state', 'in', ['sent', 'discarded']).execute(),
  }
}

/** Written out, for with parameters SQLite can't tell that the indexes of the few that wait or can be pressed cover it. */
const isWaiting = sql<boolean>`state = 'waiting'`
const hasOpenButtons = sql<boolean>`buttons_open = 1`

const TEXT = sql`json_extract(body, '$.text')`
const FILENAME = sql`json_extract(body, '$.attachment.filename')`

const toOut = (row: Selectable<ChannelTables['channel_outbox']>): OutRow => ({
  ...row,
  body: JSON.parse(row.body) as OutBody,
})
