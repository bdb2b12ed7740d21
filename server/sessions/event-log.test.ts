import assert from 'node:assert/strict'
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import { migrate } from '../db/migrate.ts'
import { type Database, openDatabase } from '../db/open.ts'
import { createLog } from '../system/logs.ts'
import { expand, type StoredEvent } from './event-codec.ts'
import { createEventLog, type EventLog } from './event-log.ts'

const TURNS = 40

describe('the event log', () => {
  let home: string
  let database: Database
  const open = (): Promise<EventLog> =>
    createEventLog({ database, log: createLog({ home, level: 'error' }), now: Date.now })
  const ref = (turn: number) => ({ sid: 1, session_id: 's', handle: 'owner', turn_id: `t${turn}` })
  const offsets = (events: StoredEvent[]): number[] => events.flatMap(expand).map((event) => event.o)
  const text = (events: StoredEvent[]): string =>
    events.map(({ e }) => (e.type === 'text' ? e.delta : e.type === 'turn_started' ? '<' : '>')).join('')

  before(async () => {
    home = await mkdtemp(join(tmpdir(), 'gatehouse-log-'))
    database = await openDatabase({ url: pathToFileURL(join(home, 'log.db')).href })
    await migrate(database)
    await database.run(
      "insert into sessions (handle, id, created_at, last_active_at, message_count) values ('owner', 's', 0, 0, 0)",
      [],
    )
  })

  after(async () => {
    await database.close()
    await rm(home, { recursive: true, force: true })
  })

  it('shows and keeps every event of a turn once, at whatever moment of a commit it is read first', async () => {
    const log = await open()
    const words = Array.from({ length: 30 }, (_, i) => `${i} `)
    for (let turn = 0; turn < TURNS; turn++) {
      await log.commit(() =>
        Promise.resolve({
          result: undefined,
          turn: ref(turn),
          events: [{ type: 'turn_started' as const, input: { text: 'hi' }, model: null }],
        })
      )
      const reads: Promise<void>[] = []
      for (const [i, delta] of words.entries()) {
        log.append(ref(turn), [{ type: 'text', delta }])
        // A commit of another turn is always on its way.
        if (i % 3 === 0) void log.flush()
        for (let wait = (turn + i) % 4; wait > 0; wait--) await nextTurn()
        if (i < turn % 30) continue
        const soFar = '<' + words.slice(0, i + 1).join('')
        reads.push(
          log.turnEvents(ref(turn)).then((events) => {
            assert.ok(text(events).startsWith(soFar), `turn ${turn}: ${text(events)} misses what came before ${soFar}`)
            assert.deepEqual(
              offsets(events),
              [...new Set(offsets(events))].sort((a, b) => a - b),
              'each once, in order',
            )
          }),
        )
      }
      await log.commit(() =>
        Promise.resolve({
          result: undefined,
          turn: ref(turn),
          events: [{ type: 'turn_finished' as const, state: 'completed' as const, text: words.join(''), model: null }],
        })
      )
      await Promise.all(reads)
    }
    await log.close()
    const again = await open()
    for (let turn = 0; turn < TURNS; turn++) {
      assert.equal(text(await again.turnEvents(ref(turn))), `<${words.join('')}>`, `turn ${turn}`)
    }
    await again.close()
  })

  it('lets what is read together tell of one moment, however many commits come between', async () => {
    const log = await open()
    let written = 0
    let over = false
    const writer = (async () => {
      while (!over) {
        await log.commit(async (tx) => {
          await tx.updateTable('sessions').set({ message_count: ++written }).where('sid', '=', 1).execute()
          return { result: undefined, turn: ref(1000), events: [{ type: 'notice' as const, text: `${written}` }] }
        })
        await sleep(2)
      }
    })()
    const first = log.head()
    while (written < 200) {
      const [rows, head] = await log.atRest(1, async () => {
        const head = log.head()
        await nextTurn()
        const [row] = await database.all<{ message_count: number }>('select message_count from sessions where sid = 1')
        return [row!.message_count, head]
      })
      assert.equal(head - first, rows, 'as many events as rows')
      await nextTurn()
    }
    over = true
    await writer
    await log.close()
  })

  it('waits for the disk with what is promised, also when it was told before, and with no word of an answer', async () => {
    const log = await open()
    const waits = async () => (await database.all('pragma synchronous'))[0]!.synchronous === 2
    const written = async () => (await stat(join(home, 'log.db-wal'))).size
    await log.commit(() =>
      Promise.resolve({ result: undefined, turn: ref(3000), events: [{ type: 'notice' as const, text: 'begun' }] })
    )
    assert.equal(await waits(), true)
    await database.checkpoint()
    await log.tell(ref(3000), [{ type: 'text', delta: 'first' }])
    assert.equal(await waits(), false)
    const before = await written()
    await log.flush()
    assert.equal(await waits(), true)
    assert.ok(await written() > before, 'only a commit that writes something waits')
    await log.close()
  })

  it('gives a reader each word of its session once, however many of others come, and before they are durable', async () => {
    const log = await open()
    await database.run(
      "insert into sessions (handle, id, created_at, last_active_at, message_count) values ('owner', 'busy', 0, 0, 0)",
      [],
    )
    const [row] = await database.all<{ sid: number }>("select sid from sessions where id = 'busy'")
    const busy = { ...ref(0), sid: row!.sid, session_id: 'busy', turn_id: 'loud' }
    const over = new AbortController()
    // What comes from the database may be joined, so the words are compared and not their offsets.
    const read = async (
      into: { quiet: string; loud: string; at: number },
      filter: { handle: string; sid?: number },
    ) => {
      for await (const batch of log.follow(filter, log.head(), over.signal)) {
        for (const { offset, event } of batch) {
          assert.ok(offset > into.at, 'in order')
          into.at = offset
          if (event.type === 'text') into[event.turn_id === 'loud' ? 'loud' : 'quiet'] += event.delta
        }
      }
    }
    const own = { quiet: '', loud: '', at: 0 }
    const all = { quiet: '', loud: '', at: 0 }
    const readers = [read(own, { handle: 'owner', sid: 1 }), read(all, { handle: 'owner' })]
    await nextTurn()
    let loud = ''
    let quiet = ''
    for (let round = 0; round < 40; round++) {
      log.append(ref(2000), [{ type: 'text', delta: `${round} ` }])
      quiet += `${round} `
      // More than stays in memory, in one turn of the event loop now and then.
      for (let i = 0; i < (round % 10 === 9 ? 9000 : 300); i++) {
        log.append(busy, [{ type: 'text', delta: `${i} ` }])
        loud += `${i} `
      }
      if (round % 4 === 0) await log.flush()
      else await nextTurn()
    }
    for (let tries = 0; tries < 4000 && all.at !== log.head(); tries++) await sleep(5)
    assert.equal(own.quiet, quiet)
    assert.equal(own.loud, '')
    assert.equal(all.quiet, quiet)
    assert.ok(all.loud === loud, 'each word of the other, too')
    over.abort()
    await Promise.all(readers)
    await log.close()
  })
})
