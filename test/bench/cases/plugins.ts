import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Bench, beside, median, pause } from '../bench.ts'
import { ROOT } from '../processes.ts'
import { startLimit, startServer, TOKEN, withHome } from '../server.ts'

const NODE = join(ROOT, 'node_modules', '.bin', 'node')
const PEER = join(ROOT, 'test/bench/limits/plugin-peer.mjs')
const FLOOD = join(ROOT, 'test/bench/limits/plugin-flood.mjs')
const PLUGINS = 50

type Measured = { perSecond: number; p50: number; p99: number; cpu: number }

/** Round trips through the plugin host beside bare pipes, and what idle plugins cost the server. */
export async function plugins(bench: Bench): Promise<void> {
  await roundTrips(bench)
  await idle(bench)
}

async function roundTrips({ runtime, quick, add }: Bench): Promise<void> {
  await beside(startLimit(runtime, 'plugins', { NODE, PEER, FLOOD }), async ({ url }) => {
    const ms = quick ? 500 : 1500
    const run = async (peer: string, query: string): Promise<Measured[]> => {
      const rounds: Measured[] = []
      for (let round = 0; round < (quick ? 2 : 5); round++) {
        rounds.push(await (await fetch(`${url}/${peer}?${query}&ms=${ms}`)).json() as Measured)
      }
      return rounds
    }
    for (const [concurrency, bytes, goal] of [[1, 200, '≤ 1.5 ×'], [64, 200, ''], [64, 10_000, '']] as const) {
      const query = `concurrency=${concurrency}&bytes=${bytes}`
      const [limit, ours] = [await run('bare', query), await run('hosted', query)]
      const of = (field: keyof Measured) => ({
        limit: median(limit.map((one) => one[field])),
        ours: median(ours.map((one) => one[field])),
      })
      const what = `command and answer, ${bytes} B, ${concurrency} under way`
      add({ what, unit: '/s', ...of('perSecond'), goal: concurrency === 1 ? '' : '≥ 0.5 ×' })
      add({ what: `${what}, p50`, unit: 'µs', ...of('p50'), goal })
      add({ what: `${what}, p99`, unit: 'µs', ...of('p99'), goal: '' })
      add({ what: `${what}, processor time`, unit: 'µs', ...of('cpu'), goal: '' })
    }
    const query = 'concurrency=1&bytes=200'
    const [alone, beside] = [await run('hosted', query), await run('hosted', `${query}&flood`)]
    for (const field of ['p50', 'p99'] as const) {
      const of = { limit: median(alone.map((one) => one[field])), ours: median(beside.map((one) => one[field])) }
      add({ what: `alone, and beside one that floods, ${field}`, unit: 'µs', ...of, goal: '≤ 2 ×' })
    }
  })
}

/** What the server itself takes, not the plugins. */
async function idle({ runtime, quick, add }: Bench): Promise<void> {
  const measured = { none: { memory: NaN, cpu: NaN }, many: { memory: NaN, cpu: NaN } }
  const wait = quick ? 4000 : 15_000
  for (const name of ['none', 'many'] as const) {
    await withHome(async (home) => {
      const channels = Object.fromEntries(
        Array.from({ length: name === 'many' ? PLUGINS : 0 }, (_, i) => [`p${i}`, { command: NODE, args: [PEER] }]),
      )
      await writeFile(join(home, 'gatehouse.yaml'), JSON.stringify({ channels }))
      await beside(startServer(runtime, home), async (server) => {
        await allReady(server.url)
        await pause(1000)
        const cpu = server.cpuMs()
        await pause(wait)
        measured[name] = { memory: server.memoryMiB(), cpu: (server.cpuMs() - cpu) / wait * 100 }
      })
    })
  }
  const { none, many } = measured
  const what = `with ${PLUGINS} idle plugins`
  add({ what: `memory ${what}`, unit: 'MiB', limit: none.memory, ours: many.memory, goal: '' })
  add({ what: `processor time ${what}`, unit: '%', limit: none.cpu, ours: many.cpu, goal: '' })
}

async function allReady(url: string): Promise<void> {
  for (let tries = 0; tries < 300; tries++) {
    const response = await fetch(`${url}/api/plugins`, { headers: { authorization: `Bearer ${TOKEN}` } })
    const { plugins } = await response.json() as { plugins: { origin: string; state: string }[] }
    if (plugins.every(({ origin, state }) => origin !== 'config' || state === 'ready')) return
    await pause(100)
  }
  throw new Error('The plugins were not ready within 30 s')
}
