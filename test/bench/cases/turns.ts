import { type Bench, beside, pause } from '../bench.ts'
import { load } from '../load.ts'
import { startLimit, startServer, TOKEN, withHome } from '../server.ts'

/** Whole turns: asked, stored, answered, stored, read. Ten turns to a session. */
export async function turns({ runtime, quick, upstream, add, growth }: Bench): Promise<void> {
  const count = quick ? 300 : 1000
  await withHome(async (limitHome) => {
    const env = { UPSTREAM: upstream.url, DATABASE: `${limitHome}/limit.db` }
    await beside(
      startLimit(runtime, 'storage', env),
      (bare) =>
        withHome((home) =>
          beside(startServer(runtime, home, upstream.url), async (server) => {
            const before = server.memoryMiB()
            for (const concurrency of [1, 16]) {
              const job = {
                kind: 'turns' as const,
                concurrency,
                count: concurrency === 1 ? count / 4 : count,
                perSession: 10,
              }
              const limit = await load(bare, { ...job, url: `${bare.url}/turn` })
              const ours = await load(server, { ...job, url: server.url, token: TOKEN })
              const what = `turns, c = ${concurrency}`
              const rate = concurrency === 1 ? '' : '≥ 200/s'
              add({ what, unit: 'turns/s', limit: limit.perSecond, ours: ours.perSecond, goal: rate })
              add({ what: `${what}, processor time`, unit: 'ms', limit: limit.cpuMs, ours: ours.cpuMs, goal: '≤ 4 ms' })
              add({ what: `${what}, p50`, unit: 'ms', limit: limit.p50, ours: ours.p50, goal: '' })
            }
            add({
              what: `memory after ${count * 1.375} turns`,
              unit: 'MiB',
              limit: before,
              ours: server.memoryMiB(),
              goal: '+20 MiB after a collection',
            })
            // Growth shows only after the heap found its size.
            let last = NaN
            for (let thousands = 0; thousands < growth / 1000; thousands++) {
              const job = { kind: 'turns' as const, concurrency: 16, count: 900, perSession: 10 }
              last = (await load(server, { ...job, url: server.url, token: TOKEN })).memoryMiB
            }
            if (growth === 0) return
            await pause(2000)
            const what = `memory after ${growth} more`
            add({ what, unit: 'MiB', limit: before, ours: Math.min(last, server.memoryMiB()), goal: 'no slope' })
          })
        ),
    )
  })
}
