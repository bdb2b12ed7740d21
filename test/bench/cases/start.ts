import { type Bench, beside, median } from '../bench.ts'
import { startLimit, startServer, withHome } from '../server.ts'

/** From the start of the process to the first answer that says ready, bare Hono and ours in turn. */
export async function start({ runtime, quick, add }: Bench): Promise<void> {
  await withHome(async (home) => {
    const limits: number[] = []
    const ours: number[] = []
    let first = NaN
    for (let round = 0; round < (quick ? 4 : 8); round++) {
      limits.push(await beside(startLimit(runtime, 'hono'), async ({ startMs }) => startMs))
      const ms = await beside(startServer(runtime, home), async ({ startMs }) => startMs)
      if (round === 0) first = ms
      else ours.push(ms)
    }
    const limit = median(limits)
    add({ what: 'start to ready', unit: 'ms', limit, ours: median(ours), goal: '≤ 2 ×, < 500 ms' })
    add({ what: 'first start, new home', unit: 'ms', limit, ours: first, goal: '' })
  })
}
