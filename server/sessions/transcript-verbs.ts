import type { RunMessage, SessionContext } from '../../shared/sessions.ts'
import type { TurnEvent } from '../../shared/turn-events.ts'
import type { Caller } from '../auth/principal.ts'
import { type Access, parseMid, type SessionsDeps } from './access.ts'
import { contextOf } from './context.ts'
import { type Entry, type Filter, refOf } from './entries.ts'
import { coalesce, expand, firstOffset } from './event-codec.ts'
import { type ExportFormat, exportSession } from './export.ts'
import { type SessionRow, toRunMessage } from './store.ts'
import type { TurnRow } from './turn-store.ts'

/** Everything that reads a conversation: pages, live events, search, export. */
export function createTranscriptVerbs(deps: SessionsDeps, { own }: Access) {
  const { store, turns, events } = deps

  async function eventsUpTo(session: SessionRow, open: TurnRow[], offset: number): Promise<TurnEvent[]> {
    const all: TurnEvent[] = []
    for (const { id } of open) {
      const stored = await events.turnEvents(refOf(session, id))
      for (const { o, t, e } of coalesce(stored.flatMap(expand).filter((event) => event.o <= offset))) {
        all.push({ v: 1, offset: o, session_id: session.id, turn_id: id, at: t, ...e })
      }
    }
    return all.sort((a, b) => a.offset - b.offset)
  }

  return {
    /**
     * A page of the transcript, oldest first, with the offset to follow from and, on the newest page, the events so
     * far of turns that are still open.
     */
    async messages(caller: Caller, id: string, of: { limit: number; before?: string }) {
      const session = await own(caller, id)
      return await events.atRest(session.sid, async () => {
        const offset = events.head()
        const open = of.before === undefined ? await turns.open(session.sid) : []
        const rows = await store.messages(session.sid, {
          limit: of.limit + 1,
          before: parseMid(of.before),
          from: session.visible_from,
        })
        const page = rows.length > of.limit ? rows.slice(1) : rows
        const nextCursor = rows.length > of.limit ? `run-msg-${page[0]!.mid}` : null
        const soFar = await eventsUpTo(session, open, offset)
        return { messages: page.map(toRunMessage), nextCursor, offset, open: soFar }
      })
    },

    /** The newest turns, whole, as OpenAgent's clients read them: they replace what they show by it. */
    async runs(caller: Caller, id: string, limit: number): Promise<RunMessage[]> {
      const session = await own(caller, id)
      return (await store.newestTurns(session.sid, { limit, from: session.visible_from })).map(toRunMessage)
    },

    /** What fills the window of the model, and what the session cost. */
    context: async (caller: Caller, id: string): Promise<SessionContext> => contextOf(deps, await own(caller, id)),

    /** Full-text search over all messages of the caller. */
    async search(caller: Caller, query: string, limit: number) {
      const rows = await store.search(caller.handle, query, limit)
      return rows.map((row) => ({
        session_id: row.session_id,
        title: row.title,
        message_id: `run-msg-${row.mid}`,
        role: row.role,
        timestamp: row.at / 1000,
        snippet: row.snippet,
      }))
    },

    /** The whole transcript as one document. */
    export: async (caller: Caller, id: string, format: ExportFormat): Promise<string> =>
      exportSession(store, await own(caller, id), format),

    /** The offset just before the oldest open turn, or the head when none is open. */
    async openFrom(caller: Caller, id: string): Promise<number> {
      const session = await own(caller, id)
      const head = events.head()
      const oldest = (await turns.open(session.sid))[0]
      if (!oldest) return head
      const ref = refOf(session, oldest.id)
      const first = (await events.turnEvents(ref))[0]
      return first ? firstOffset(first) - 1 : head
    },

    /** Events of one session after an offset, then as they come, until it is deleted or the signal aborts. */
    async follow(
      caller: Caller,
      id: string,
      after: number | undefined,
      signal: AbortSignal,
    ): Promise<AsyncGenerator<Entry[]>> {
      const gone = new AbortController()
      const leave = deps.bus.subscribe((event) => {
        if (event.type !== 'resource' || event.resource !== 'session' || event.action !== 'deleted') return
        if (event.id === id && event.handle === caller.handle) gone.abort()
      })
      // A generator that is never asked for anything never comes to its `finally`.
      signal.addEventListener('abort', leave, { once: true })
      const { handle, sid } = await own(caller, id)
      const batches = events.follow({ handle, sid }, after ?? 0, AbortSignal.any([signal, gone.signal]))
      return (async function* () {
        try {
          yield* batches
        } finally {
          leave()
        }
      })()
    },

    /** Events of all sessions of the caller, or of some, from now on or after an offset. */
    followAll(
      caller: Caller,
      after: number | undefined,
      signal: AbortSignal,
      ids?: ReadonlySet<string>,
    ): AsyncGenerator<Entry[]> {
      const filter: Filter = { handle: caller.handle, ...(ids ? { session_ids: ids } : {}) }
      return events.follow(filter, after ?? events.head(), signal)
    },

    /** Whether a reader at this offset has to load again. */
    isLost: (after: number): boolean => events.isLost(after),

    /** The offset of the newest event. */
    head: (): number => events.head(),
  }
}
