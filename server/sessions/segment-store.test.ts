import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { migrate } from '../db/migrate.ts'
import { openDatabase } from '../db/open.ts'
import type { StoredEvent } from './event-codec.ts'
import { createSegmentStore } from './segment-store.ts'

const event = (o: number): StoredEvent => ({ o, t: o, e: { type: 'text', delta: `${o} ` } })

describe('the rows of the event log', () => {
  it('are read in order and in full when one turn lasts while hundreds of others come and go', async () => {
    const database = await openDatabase({ url: ':memory:' })
    await migrate(database)
    for (const id of ['long', 'busy']) {
      await database.run(
        "insert into sessions (handle, id, created_at, last_active_at, message_count) values ('owner', ?, 0, 0, 0)",
        [id],
      )
    }
    const store = createSegmentStore(database)
    const turn = (sid: number, turn_id: string) => ({ sid, session_id: 'x', handle: 'owner', turn_id })
    const TURNS = 1500
    await store.transaction(async (tx) => {
      const long: StoredEvent[] = []
      for (let i = 0; i < TURNS; i++) {
        long.push(event(4 * i + 1))
        await store.insert(tx, [{ turn: turn(2, `t${i}`), events: [event(4 * i + 2), event(4 * i + 3)] }])
      }
      await store.insert(tx, [
        { turn: turn(1, 'long'), events: long },
        { turn: turn(2, 'last'), events: [event(4 * TURNS + 1)] },
      ])
    })
    const seen: number[] = []
    for (let after = 0;;) {
      const events = await store.read({ handle: 'owner' }, after)
      if (events.length === 0) break
      seen.push(...events.map((item) => item.event.o))
      after = seen.at(-1)!
    }
    const written = Array.from({ length: 4 * TURNS + 1 }, (_, i) => i + 1).filter((o) => o % 4 !== 0)
    assert.deepEqual(seen, written)
    await database.close()
  })
})
