import { type Bench, beside } from '../bench.ts'
import { load } from '../load.ts'
import { startLimit, startServer, TOKEN, withHome } from '../server.ts'

/** One event to many readers of server-sent events. */
export async function fanout({ runtime, quick, add }: Bench): Promise<void> {
  const rounds = quick ? 10 : 20
  await beside(
    startLimit(runtime, 'hono'),
    (bare) =>
      withHome((home) =>
        beside(startServer(runtime, home), async (server) => {
          for (const subscribers of quick ? [200] : [100, 1000]) {
            const job = { kind: 'fanout' as const, subscribers, rounds }
            const limit = await load(bare, { ...job, how: 'bare', url: bare.url })
            for (const how of ['resource', 'turn'] as const) {
              const ours = await load(server, { ...job, how, url: server.url, token: TOKEN })
              const what = `a ${how} event to ${subscribers}`
              add({ what, unit: 'ms', limit: limit.p50, ours: ours.p50, goal: '≤ 1.3 ×' })
              // A turn does more than tell of itself, so only the other is compared.
              if (how === 'turn') continue
              add({
                what: `${what}, processor time`,
                unit: 'ms',
                limit: limit.cpuMs,
                ours: ours.cpuMs,
                goal: '',
              })
            }
          }
        })
      ),
  )
}
