import { type Bench, beside, pause } from '../bench.ts'
import { startLimit, startServer, withHome } from '../server.ts'

/** Resident memory of a server that nobody uses. */
export async function memory({ runtime, quick, add }: Bench): Promise<void> {
  const wait = quick ? 2000 : 10_000
  const limit = await beside(startLimit(runtime, 'hono'), async (program) => {
    await pause(wait)
    return program.memoryMiB()
  })
  await withHome(async (home) => {
    // The first start makes the database; those that follow are what people meet.
    await beside(startServer(runtime, home), () => pause(100))
    await beside(startServer(runtime, home), async (program) => {
      add({ what: 'memory when ready', unit: 'MiB', limit, ours: program.memoryMiB(), goal: '' })
      const cpu = program.cpuMs()
      await pause(wait)
      const goal = `≤ 1.5 × + 10 = ${(limit * 1.5 + 10).toFixed(0)}`
      add({ what: `idle memory, ${wait / 1000} s`, unit: 'MiB', limit, ours: program.memoryMiB(), goal })
      const share = (program.cpuMs() - cpu) / wait * 100
      add({ what: 'idle processor time', unit: '%', limit: null, ours: share, goal: '≤ 2 % with 5,000 clients' })
    })
  })
}
