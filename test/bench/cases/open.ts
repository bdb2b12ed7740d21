import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { migrate } from '../../../server/db/migrate.ts'
import { openDatabase } from '../../../server/db/open.ts'
import { type Bench, beside } from '../bench.ts'
import { load } from '../load.ts'
import { startLimit, startServer, TOKEN, withHome } from '../server.ts'

/** The newest page of a transcript, of a short session and of a long one. */
export async function open({ runtime, quick, add }: Bench): Promise<void> {
  const long = 10_000
  await withHome(async (home) => {
    await fill(home, { short: 100, long })
    const env = { DATABASE: join(home, 'gatehouse.db'), SESSION: 'long' }
    const limits = await beside(startLimit(runtime, 'storage', env), (bare) => pages(bare, (id) => `/page/${id}`, ''))
    const ours = await beside(
      startServer(runtime, home),
      (server) => pages(server, (id) => `/api/sessions/${id}/messages?limit=50`, TOKEN),
    )
    for (const id of ['short', 'long'] as const) {
      const what = `opening ${id === 'short' ? 100 : long} messages`
      add({ what, unit: 'ms', limit: limits[id].p50, ours: ours[id].p50, goal: '≤ 2 ×' })
      const [limit, own] = [limits[id].cpuMs, ours[id].cpuMs]
      add({ what: `${what}, processor time`, unit: 'ms', limit, ours: own, goal: '≤ 2 ×' })
    }
    const [short, grown] = [ours.short.p50, ours.long.p50]
    add({ what: `${long} beside 100 messages`, unit: 'ms', limit: short, ours: grown, goal: '≤ 2 × (1k → 1M)' })
  })

  async function pages(program: Parameters<typeof load>[0], path: (id: string) => string, token: string) {
    const page = (id: string) =>
      load(program, {
        kind: 'requests',
        url: program.url + path(id),
        concurrency: 1,
        seconds: quick ? 0.7 : 2,
        ...(token ? { token } : {}),
      })
    return { short: await page('short'), long: await page('long') }
  }
}

/** Puts sessions with so many messages into a new home. */
async function fill(home: string, sessions: Record<string, number>): Promise<void> {
  const db = await openDatabase({ url: pathToFileURL(join(home, 'gatehouse.db')).href })
  await migrate(db)
  const at = Date.now()
  for (const [id, count] of Object.entries(sessions)) {
    const { lastInsertRowid: sid } = await db.run(
      'insert into sessions (handle, id, message_count, created_at, last_active_at) values (?, ?, ?, ?, ?)',
      ['owner', id, count, at, at],
    )
    for (let made = 0; made < count; made += 1000) {
      await db.batch(Array.from({ length: Math.min(1000, count - made) }, (_, i) => ({
        sql: 'insert into messages (sid, turn_id, role, text, at) values (?, ?, ?, ?, ?)',
        parameters: [sid, `turn-${id}-${(made + i) >> 1}`, i % 2 ? 'assistant' : 'user', TEXT, at],
      })))
    }
  }
  await db.close()
}

const TEXT = 'A sentence of the length that people and models write on average. '.repeat(4)
