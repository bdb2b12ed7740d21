import { CompiledQuery, type Insertable, type Selectable, sql, type Transaction, type Updateable } from 'kysely'
import type { Db } from '../db/open.ts'
import type { QueuePolicy, RunMessage, Session, ToolInfo } from '../../shared/sessions.ts'
import type { Attachment, Author, TokenUsage } from '../../shared/turn-events.ts'
import type { SessionTables } from './tables.ts'

export type SessionRow = Selectable<SessionTables['sessions']>
type Tx = Transaction<SessionTables>

/** What a message holds beside its text. */
export type MessageData = {
  attachments?: Attachment[]
  author?: Author
  model?: string
  reasoning?: string
  state?: 'completed' | 'failed' | 'interrupted'
  error?: { class: string; message: string }
  usage?: RunMessage['usage']
  tool?: ToolInfo & { duration_ms: number }
  compaction?: { folded_messages: number; tokens_before: number; tokens_after: number }
}

export type Message = Omit<Selectable<SessionTables['messages']>, 'data' | 'hidden'> & { data: MessageData }
export type NewMessage = Pick<Message, 'turn_id' | 'role' | 'step' | 'text' | 'data' | 'at'>

/** Totals of the model calls of one session. */
export type CallTotals = {
  turns: number
  cost_usd: number | null
  input_tokens: number
  output_tokens: number
  cache_read_tokens: number
  reasoning_tokens: number
  /** Input tokens of the newest call, as measured. */
  last_input_tokens: number | null
}

/** Columns of a session that clients see. */
const SEEN = [
  'id',
  'client_id',
  'title',
  'model',
  'created_at',
  'last_active_at',
  'parent_sid',
  'origin',
  'pinned',
  'queue_policy',
  'message_count',
  'branched_from_session',
  'branched_from_message',
] as const satisfies (keyof SessionRow)[]
type SeenRow = Pick<SessionRow, (typeof SEEN)[number]>
const FIND = `select json_object(${SEEN.map((name) => `'${name}', ${name}`).join()}, 'live', exists (
    select 1 from turns t where t.sid = sessions.sid and t.state in ('queued', 'running', 'awaiting_approval')
  )) as row from sessions where handle = ? and id = ?`

/** Sessions, their messages and what their model calls used. */
export function createSessionStore(database: Db) {
  const db = database.withTables<SessionTables>()

  const live = sql<
    number
  >`exists (select 1 from turns t where t.sid = sessions.sid and t.state in ('queued', 'running', 'awaiting_approval'))`

  /** Messages that no retry has superseded. */
  const shown = (sid: number) =>
    db.selectFrom('messages').select(['mid', 'sid', 'turn_id', 'role', 'step', 'text', 'data', 'at'])
      .where('sid', '=', sid).where('hidden', '=', 0)

  const idOf = async (sid: number | null): Promise<string | null> =>
    sid === null
      ? null
      : (await db.selectFrom('sessions').select('id').where('sid', '=', sid).executeTakeFirst())?.id ?? null

  /**
   * The highest number that a session has had here. SQLite would give that of a deleted one to the next session, whose
   * events then reached whoever still follows the deleted one, and the other way round.
   */
  let highest = 0

  return {
    get: (handle: string, id: string): Promise<SessionRow | undefined> =>
      db.selectFrom('sessions').selectAll().where('handle', '=', handle).where('id', '=', id).executeTakeFirst(),

    bySid: (sid: number): Promise<SessionRow | undefined> =>
      db.selectFrom('sessions').selectAll().where('sid', '=', sid).executeTakeFirst(),

    /**
     * As clients read it. No read is asked for more often, hence one query that is written out, with one value for the
     * whole row: handing over each column costs more than parsing them.
     */
    async find(handle: string, id: string): Promise<Session | undefined> {
      const { rows } = await db.executeQuery<{ row: string }>(CompiledQuery.raw(FIND, [handle, id]))
      if (!rows[0]) return undefined
      const row = JSON.parse(rows[0].row) as SeenRow & { live: number }
      return toSession(row, row.live === 1, await idOf(row.parent_sid))
    },

    /** `isLive` when the caller knows whether a turn of it is open. */
    async view(row: SessionRow, isLive?: boolean): Promise<Session> {
      const known = isLive ?? (await db.selectFrom('sessions').select(live.as('live')).where('sid', '=', row.sid)
            .executeTakeFirst())?.live === 1
      return toSession(row, known, await idOf(row.parent_sid))
    },

    /** Newest first, pinned ones before; `before` is the place of the last row seen. */
    async list(of: {
      handle: string
      limit: number
      parent?: number
      /** How the client that began it called itself. */
      client?: string
      before?: { pinned: number; at: number; sid: number }
      /** In the title or in a message. */
      text?: string
    }): Promise<{ session: Session; place: { pinned: number; at: number; sid: number } }[]> {
      let query = db.selectFrom('sessions').selectAll().select(live.as('live')).where('handle', '=', of.handle)
        .orderBy('pinned', 'desc').orderBy('last_active_at', 'desc').orderBy('sid', 'desc').limit(of.limit)
      query = of.parent === undefined ? query.where('origin', '=', 'chat') : query.where('parent_sid', '=', of.parent)
      if (of.client !== undefined) query = query.where('client_id', '=', of.client)
      if (of.before) {
        const { pinned, at, sid } = of.before
        query = query.where(sql<boolean>`(pinned, last_active_at, sid) < (${pinned}, ${at}, ${sid})`)
      }
      if (of.text) {
        query = query.where(sql<boolean>`(title like ${'%' + likePattern(of.text) + '%'} escape '\\' or sid in (
          select m.sid from messages_fts join messages m on m.mid = messages_fts.rowid
          where messages_fts match ${ftsQuery(of.text)} and m.hidden = 0))`)
      }
      const rows = await query.execute()
      const parent = await idOf(of.parent ?? null)
      return rows.map((row) => ({
        session: toSession(row, row.live === 1, parent),
        place: { pinned: row.pinned, at: row.last_active_at, sid: row.sid },
      }))
    },

    async ensure(
      tx: Tx,
      row: Insertable<SessionTables['sessions']>,
    ): Promise<{ session: SessionRow; created: boolean }> {
      const found = await tx.selectFrom('sessions').selectAll().where('handle', '=', row.handle).where(
        'id',
        '=',
        row.id,
      )
        .executeTakeFirst()
      if (found) return { session: found, created: false }
      const sid = sql<number>`max(${highest}, (select coalesce(max(sid), 0) from sessions)) + 1`
      const session = await tx.insertInto('sessions').values({ ...row, sid }).returningAll().executeTakeFirstOrThrow()
      highest = session.sid
      return { session, created: true }
    },

    update: (tx: Tx, sid: number, change: Updateable<SessionTables['sessions']>) =>
      tx.updateTable('sessions').set(change).where('sid', '=', sid).execute(),

    /** Sessions below this one, itself first. */
    async family(sid: number): Promise<{ sid: number; id: string }[]> {
      const { rows } = await sql<{ sid: number; id: string }>`
        with recursive family (sid, id) as (
          select sid, id from sessions where sid = ${sid}
          union all select c.sid, c.id from sessions c join family f on c.parent_sid = f.sid
        ) select sid, id from family`.execute(db)
      return rows
    },

    remove: (tx: Tx, sid: number) => tx.deleteFrom('sessions').where('sid', '=', sid).execute(),

    /** `change` is written to the session beside what the messages change in it. */
    async addMessages(
      tx: Tx,
      sid: number,
      messages: NewMessage[],
      now: number,
      change: Updateable<SessionTables['sessions']> = {},
    ): Promise<void> {
      if (messages.length === 0) return
      await tx.insertInto('messages').values(
        messages.map((message) => ({
          sid,
          turn_id: message.turn_id,
          role: message.role,
          step: message.step,
          text: message.text,
          data: Object.keys(message.data).length > 0 ? JSON.stringify(message.data) : null,
          at: message.at,
        })),
      ).execute()
      const spoken = messages.filter((message) => message.role === 'user' || message.role === 'assistant').length
      await tx.updateTable('sessions').set({
        ...change,
        message_count: sql`message_count + ${spoken}`,
        last_active_at: now,
      }).where('sid', '=', sid).execute()
    },

    /** The messages of the newest turns, oldest first; each turn begins with its user's message. */
    async newestTurns(sid: number, of: { limit: number; from: number }): Promise<Message[]> {
      const first = await db.selectFrom('messages').select('mid').where('sid', '=', sid).where('mid', '>=', of.from)
        .where('role', '=', 'user').where('hidden', '=', 0).orderBy('mid', 'desc').limit(1).offset(of.limit - 1)
        .executeTakeFirst()
      const rows = await shown(sid).where('mid', '>=', first?.mid ?? of.from).orderBy('mid').execute()
      return rows.map(toMessage)
    },

    /** A page of the transcript that ends before `before`, oldest first. */
    async messages(sid: number, of: { limit: number; before?: number; from?: number }): Promise<Message[]> {
      let query = shown(sid).orderBy('mid', 'desc').limit(of.limit)
      if (of.before !== undefined) query = query.where('mid', '<', of.before)
      if (of.from) query = query.where('mid', '>=', of.from)
      return (await query.execute()).map(toMessage).reverse()
    },

    message: async (sid: number, mid: number): Promise<Message | undefined> => {
      const row = await shown(sid).where('mid', '=', mid).executeTakeFirst()
      return row && toMessage(row)
    },

    lastMessage: async (sid: number, role: 'user' | 'assistant'): Promise<Message | undefined> => {
      const row = await shown(sid).where('role', '=', role).orderBy('mid', 'desc').limit(1).executeTakeFirst()
      return row && toMessage(row)
    },

    newestMid: async (tx: Tx | undefined, sid: number): Promise<number> => {
      const row = await (tx ?? db).selectFrom('messages').select('mid').where('sid', '=', sid).orderBy('mid', 'desc')
        .limit(1).executeTakeFirst()
      return row?.mid ?? 0
    },

    hideTurn: (tx: Tx, sid: number, turnId: string) =>
      tx.updateTable('messages').set({ hidden: 1 }).where('sid', '=', sid).where('turn_id', '=', turnId).execute(),

    /** Copies what was said before a message into another session. */
    copyMessages: (tx: Tx, from: number, to: number, before: number, visibleFrom: number) =>
      sql`insert into messages (sid, turn_id, role, step, text, data, at)
          select ${to}, turn_id, role, step, text, data, at from messages
          where sid = ${from} and mid < ${before} and mid >= ${visibleFrom} and hidden = 0 order by mid`.execute(tx),

    recount: (tx: Tx, sid: number) =>
      sql`update sessions set message_count = (select count(*) from messages where sid = ${sid} and role in ('user', 'assistant'))
          where sid = ${sid}`.execute(tx),

    /** Characters of the history that a model would be sent. */
    async historyLength(sid: number, from: number): Promise<number> {
      const row = await db.selectFrom('messages').select(sql<number>`coalesce(sum(length(text)), 0)`.as('length'))
        .where('sid', '=', sid).where('mid', '>=', from).where('hidden', '=', 0).where('role', '!=', 'compaction')
        .executeTakeFirst()
      return row?.length ?? 0
    },

    /** Messages of a handle that match, best first. */
    async search(handle: string, query: string, limit: number) {
      const { rows } = await sql<
        { session_id: string; title: string | null; mid: number; role: string; at: number; snippet: string }
      >`select s.id as session_id, s.title, m.mid, m.role, m.at,
          snippet(messages_fts, 0, char(2), char(3), '…', 24) as snippet
        from messages_fts join messages m on m.mid = messages_fts.rowid join sessions s on s.sid = m.sid
        where messages_fts match ${
        ftsQuery(query)
      } and s.handle = ${handle} and m.hidden = 0 and m.mid >= s.visible_from
        order by rank limit ${limit}`.execute(db)
      return rows
    },

    recordCall: (
      tx: Tx,
      call: {
        sid: number
        turn_id: string
        model: string
        usage: TokenUsage
        cost_usd: number | null
        source: string
        at: number
      },
    ) =>
      tx.insertInto('model_calls').values({
        sid: call.sid,
        turn_id: call.turn_id,
        model: call.model,
        input_tokens: call.usage.input_tokens,
        output_tokens: call.usage.output_tokens,
        cache_read_tokens: call.usage.cache_read_tokens ?? 0,
        reasoning_tokens: call.usage.reasoning_tokens ?? 0,
        estimated: call.usage.estimated ? 1 : 0,
        cost_usd: call.cost_usd,
        source: call.source,
        at: call.at,
      }).execute(),

    /** Totals of a handle's model calls since a moment (epoch ms). `cross` keeps the order: from the newest calls to theirs. */
    async spentSince(handle: string, since: number) {
      const { rows } = await sql<
        { calls: number; input_tokens: number; output_tokens: number; cost_usd: number | null }
      >`
        select count(*) as calls, coalesce(sum(c.input_tokens), 0) as input_tokens,
          coalesce(sum(c.output_tokens), 0) as output_tokens, sum(c.cost_usd) as cost_usd
        from model_calls c cross join sessions s on s.sid = c.sid where s.handle = ${handle} and c.at >= ${since}`
        .execute(db)
      return rows[0]!
    },

    async callTotals(sid: number): Promise<CallTotals> {
      const { rows } = await sql<CallTotals>`
        select count(distinct nullif(turn_id, '')) as turns, sum(cost_usd) as cost_usd,
          coalesce(sum(input_tokens), 0) as input_tokens, coalesce(sum(output_tokens), 0) as output_tokens,
          coalesce(sum(cache_read_tokens), 0) as cache_read_tokens, coalesce(sum(reasoning_tokens), 0) as reasoning_tokens,
          (select input_tokens from model_calls where sid = ${sid} and source = '' order by id desc limit 1)
            as last_input_tokens
        from model_calls where sid = ${sid}`.execute(db)
      return rows[0]!
    },
  }
}

export type SessionStore = ReturnType<typeof createSessionStore>

function toSession(row: SeenRow, isLive: boolean, parent: string | null): Session {
  return {
    session_id: row.id,
    client_id: row.client_id,
    title: row.title,
    model: row.model,
    framework: row.model ? 'api-based' : null,
    created_at: row.created_at / 1000,
    created_at_iso: new Date(row.created_at).toISOString(),
    last_active_at: row.last_active_at / 1000,
    last_active_at_iso: new Date(row.last_active_at).toISOString(),
    parent_session_id: parent,
    origin: row.origin as Session['origin'],
    pinned: row.pinned === 1,
    queue_policy: (row.queue_policy ?? 'fifo') as QueuePolicy,
    message_count: row.message_count,
    branched_from: row.branched_from_session === null
      ? null
      : { session_id: row.branched_from_session, message_id: row.branched_from_message ?? '' },
    _live: isLive,
  }
}

function toMessage(row: Omit<Selectable<SessionTables['messages']>, 'hidden'>): Message {
  return { ...row, data: row.data ? JSON.parse(row.data) as MessageData : {} }
}

/** A message as clients read it. */
export function toRunMessage(message: Message): RunMessage {
  const { data } = message
  return {
    id: `run-msg-${message.mid}`,
    role: message.role,
    text: message.text,
    timestamp: message.at / 1000,
    turn_id: message.turn_id,
    ...(data.tool ? { toolInfo: data.tool } : {}),
    ...(data.reasoning ? { reasoning: data.reasoning } : {}),
    ...(data.compaction ? { compaction: { phase: 'done' as const, ...data.compaction } } : {}),
    ...(data.attachments?.length ? { attachments: data.attachments } : {}),
    ...(data.model ? { model: data.model } : {}),
    ...(data.author ? { author: data.author } : {}),
    ...(data.state ? { state: data.state } : {}),
    ...(data.error ? { error: data.error } : {}),
    ...(data.usage ? { usage: data.usage } : {}),
  }
}

const likePattern = (text: string): string => text.replace(/[\\%_]/g, (char) => '\\' + char)

/** Every word as a quoted prefix, so that nothing a person types is FTS5 syntax. */
function ftsQuery(text: string): string {
  const words = text.match(/[\p{L}\p{N}]+/gu) ?? []
  return words.length > 0 ? words.slice(0, 16).map((word) => `"${word}"*`).join(' ') : '""'
}
