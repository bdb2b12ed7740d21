import type { Turn } from '../../shared/sessions.ts'
import { type Caller, demand } from '../auth/principal.ts'
import { AppError, invalid } from '../errors.ts'
import { demandMatch, etagOf } from '../http/etag.ts'
import type { Access, SessionsDeps } from './access.ts'
import type { Tx } from './event-log.ts'
import { plainText } from './plain-text.ts'
import type { SessionRow } from './store.ts'
import { toTurn, type TurnRow } from './turn-store.ts'

/** What runs and what waits behind it; `etag` changes with any of it. */
export type Queue = { items: Turn[]; etag: string }

/** What waits in a session: look, order, remove, rewrite. `ifMatch` is the tag of the queue that the caller saw. */
export function createQueueVerbs({ turns, events }: SessionsDeps, { own, changed }: Access) {
  const show = (session: SessionRow, open: TurnRow[]): Queue => {
    const items = open.map((turn, position) => ({ ...toTurn(turn, session.id, position), text: turn.input.text }))
    return { items, etag: etagOf(JSON.stringify(items)) }
  }

  /** Changes the queue in one step with the look at it, and answers it as it is then. */
  async function change<T extends object>(
    caller: Caller,
    id: string,
    ifMatch: string | undefined,
    work: (tx: Tx, session: SessionRow, waiting: TurnRow[]) => Promise<T>,
  ): Promise<Queue & T> {
    const session = await own(caller, id)
    const answer = await events.commit(async (tx) => {
      const open = await turns.open(session.sid, tx)
      demandMatch(ifMatch, show(session, open).etag, 'The queue')
      const waiting = open.filter((turn) => turn.state === 'queued' && turn.started_at === null)
      const result = await work(tx, session, waiting)
      return { result: { ...show(session, await turns.open(session.sid, tx)), ...result } }
    })
    changed(session, 'updated')
    return answer
  }

  return {
    async queue(caller: Caller, id: string): Promise<Queue> {
      const session = await own(caller, id)
      return show(session, await turns.open(session.sid))
    },

    /** Puts the waiting turns in this order; those that are left out are removed or, with `keepOthers`, come after. */
    async setQueue(caller: Caller, id: string, order: string[], keepOthers = false, ifMatch?: string) {
      demand(caller, 'chat')
      const twice = order.findIndex((turnId, i) => order.indexOf(turnId) !== i)
      if (twice >= 0) throw invalid(`order.${twice}`, 'names a turn for the second time; name each once')
      return await change(caller, id, ifMatch, async (tx, { sid }, waiting) => {
        const stranger = order.find((turnId) => !waiting.some((turn) => turn.id === turnId))
        if (stranger) throw new AppError('conflict', `Turn ${stranger} does not wait any more; load the queue again`)
        const others = waiting.map((turn) => turn.id).filter((turnId) => !order.includes(turnId))
        const removed = keepOthers ? [] : others
        await turns.removeQueued(tx, sid, removed)
        const places = waiting.map((turn) => turn.ord).sort((a, b) => a - b)
        const next = keepOthers ? [...order, ...others] : order
        for (const [i, turnId] of next.entries()) await turns.update(tx, turnId, { ord: places[i]! })
        return { removed }
      })
    },

    /** Takes one turn out of the queue, whatever else came into it meanwhile; `conflict` once it runs. */
    async removeQueued(caller: Caller, id: string, turnId: string, ifMatch?: string) {
      demand(caller, 'chat')
      return await change(caller, id, ifMatch, async (tx, { sid }, waiting) => {
        await turns.removeQueued(tx, sid, [oneOf(waiting, turnId).id])
        return { removed: [turnId] }
      })
    },

    /** Rewrites a text that still waits; `conflict` once it runs. */
    async editQueued(caller: Caller, id: string, turnId: string, text: string, ifMatch?: string) {
      demand(caller, 'chat')
      if (text.trim() === '') throw invalid('text', 'is empty; remove the message from the queue instead')
      return await change(caller, id, ifMatch, async (tx, _session, waiting) => {
        const { input } = oneOf(waiting, turnId)
        await turns.update(tx, turnId, { input: { ...input, text: plainText(text) } })
        return {}
      })
    },
  }
}

function oneOf(waiting: TurnRow[], turnId: string): TurnRow {
  const found = waiting.find((turn) => turn.id === turnId)
  if (!found) throw new AppError('conflict', 'This message does not wait any more')
  return found
}
