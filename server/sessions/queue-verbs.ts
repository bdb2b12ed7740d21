import { type Caller, demand } from '../auth/principal.ts'
import { AppError, invalid } from '../errors.ts'
import type { Access, SessionsDeps } from './access.ts'
import { plainText } from './plain-text.ts'
import { toTurn } from './turn-store.ts'

/** What waits in a session: look, order, remove, rewrite. */
export function createQueueVerbs({ turns, events }: SessionsDeps, { own, changed }: Access) {
  return {
    async queue(caller: Caller, id: string) {
      const session = await own(caller, id)
      const items = (await turns.open(session.sid)).map((turn, position) => toTurn(turn, session.id, position))
      return { items: items.map((item) => ({ ...item, text: item.input.text })) }
    },

    /** Puts the waiting turns in this order; those that are left out are removed or, with `keepOthers`, come after. */
    async setQueue(caller: Caller, id: string, order: string[], keepOthers = false) {
      demand(caller, 'chat')
      const twice = order.findIndex((turnId, i) => order.indexOf(turnId) !== i)
      if (twice >= 0) throw invalid(`order.${twice}`, 'names a turn for the second time; name each once')
      const session = await own(caller, id)
      const removed = await events.commit(async (tx) => {
        const queued = (await turns.open(session.sid, tx)).filter((open) =>
          open.state === 'queued' && open.started_at === null
        )
        const known = new Map(queued.map((open) => [open.id, open]))
        const stranger = order.find((turnId) => !known.has(turnId))
        if (stranger) throw new AppError('conflict', `Turn ${stranger} does not wait any more; load the queue again`)
        const others = queued.filter((open) => !order.includes(open.id))
        const gone = keepOthers ? [] : others
        const next = keepOthers ? [...order, ...others.map((open) => open.id)] : order
        await turns.removeQueued(tx, session.sid, gone.map((open) => open.id))
        const places = queued.map((open) => open.ord).sort((a, b) => a - b)
        for (const [i, turnId] of next.entries()) await turns.update(tx, turnId, { ord: places[i]! })
        return { result: gone.map((open) => open.id) }
      })
      changed(session, 'updated')
      return { ...(await this.queue(caller, id)), removed }
    },

    /** Takes one turn out of the queue, whatever else came into it meanwhile; `conflict` once it runs. */
    async removeQueued(caller: Caller, id: string, turnId: string) {
      demand(caller, 'chat')
      const session = await own(caller, id)
      await events.commit(async (tx) => {
        const waiting = (await turns.open(session.sid, tx)).find((open) => open.id === turnId)
        if (!waiting || waiting.state !== 'queued' || waiting.started_at !== null) throw waitsNoMore()
        await turns.removeQueued(tx, session.sid, [turnId])
        return { result: undefined }
      })
      changed(session, 'updated')
      return { ...(await this.queue(caller, id)), removed: [turnId] }
    },

    /** Rewrites a text that still waits; `conflict` once it runs. */
    async editQueued(caller: Caller, id: string, turnId: string, text: string) {
      demand(caller, 'chat')
      const session = await own(caller, id)
      if (text.trim() === '') throw invalid('text', 'is empty; remove the message from the queue instead')
      await events.commit(async (tx) => {
        const waiting = (await turns.open(session.sid, tx)).find((open) => open.id === turnId)
        if (!waiting || waiting.state !== 'queued' || waiting.started_at !== null) throw waitsNoMore()
        await turns.update(tx, turnId, { input: { ...waiting.input, text: plainText(text) } })
        return { result: undefined }
      })
      changed(session, 'updated')
      return this.queue(caller, id)
    },
  }
}

const waitsNoMore = (): AppError => new AppError('conflict', 'This message does not wait any more')
