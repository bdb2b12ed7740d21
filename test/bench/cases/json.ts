import { type Bench, beside } from '../bench.ts'
import { load, type Loaded } from '../load.ts'
import { call } from '../load/client.ts'
import { startLimit, startServer, TOKEN, withHome } from '../server.ts'

/** One session as JSON: authorised, read from the database, against a route that answers a constant. */
export async function json({ runtime, quick, add }: Bench): Promise<void> {
  const seconds = quick ? 1.5 : 2
  const compare = (what: string, limit: Loaded, ours: Loaded) => {
    add({
      what: `${what}, processor time`,
      unit: 'µs',
      limit: limit.cpuMs * 1000,
      ours: ours.cpuMs * 1000,
      goal: '≤ 3 ×',
    })
    add({ what, unit: 'req/s', limit: limit.perSecond, ours: ours.perSecond, goal: '' })
  }
  await beside(
    startLimit(runtime, 'hono'),
    (bare) =>
      withHome((home) =>
        beside(startServer(runtime, home), async (server) => {
          await call(`${server.url}/api/sessions`, { token: TOKEN, json: { session_id: 'one' } })
          const url = `${server.url}/api/sessions/one`
          for (const concurrency of quick ? [16] : [16, 1000]) {
            const limit = await load(bare, { kind: 'requests', url: `${bare.url}/json/one`, concurrency, seconds })
            const ours = await load(server, { kind: 'requests', url, token: TOKEN, concurrency, seconds })
            compare(`GET one session, c = ${concurrency}`, limit, ours)
          }
        })
      ),
  )
}
