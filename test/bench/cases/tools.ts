import { join } from 'node:path'
import { type Bench, beside, median, pause } from '../bench.ts'
import { load } from '../load.ts'
import { call } from '../load/client.ts'
import { ROOT } from '../processes.ts'
import { startLimit, startServer, TOKEN, withHome } from '../server.ts'

const SERVERS = 50
const COMMAND = join(ROOT, 'node_modules', '.bin', 'node')
const FILE = join(ROOT, 'test/bench/limits/mcp-server.ts')

/** A tool of an MCP server: what our gate, limits and list add to the bare SDK, and what configured servers cost. */
export async function tools(bench: Bench): Promise<void> {
  await calls(bench)
  await configured(bench)
}

async function calls({ runtime, quick, add }: Bench): Promise<void> {
  const seconds = quick ? 1.5 : 3
  const input = { text: 'x'.repeat(200) }
  await beside(
    startLimit(runtime, 'mcp', { MCP_COMMAND: COMMAND, MCP_FILE: FILE }),
    (bare) =>
      withHome((home) =>
        beside(startServer(runtime, home), async (server) => {
          await addServers(server.url, ['bench'])
          const token = TOKEN
          await call(`${server.url}/api/mcps/bench/tools/echo`, { token, method: 'PUT', json: { effect: 'read' } })
          for (const concurrency of [1, 64]) {
            const of = { kind: 'requests' as const, concurrency, seconds }
            const limit = await load(bare, {
              ...of,
              url: `${bare.url}/call`,
              json: { name: 'echo', arguments: input },
            })
            const url = `${server.url}/api/tools/bench_echo/run`
            const ours = await load(server, { ...of, url, token, json: { arguments: input } })
            const what = `MCP tool call, 200 B, c = ${concurrency}`
            add({ what, unit: 'calls/s', limit: limit.perSecond, ours: ours.perSecond, goal: '' })
            add({ what: `${what}, p50`, unit: 'ms', limit: limit.p50, ours: ours.p50, goal: '≤ 2 ×' })
            const cpu = { limit: limit.cpuMs * 1000, ours: ours.cpuMs * 1000 }
            add({ what: `${what}, processor time`, unit: 'µs', ...cpu, goal: '≤ 2 ×' })
          }
        })
      ),
  )
}

/** Start-up time and idle memory with no server configured, and with many that are switched on. */
async function configured({ runtime, quick, add }: Bench): Promise<void> {
  await withHome((none) =>
    withHome(async (many) => {
      await beside(startServer(runtime, none), () => pause(100))
      await beside(
        startServer(runtime, many),
        (server) => addServers(server.url, Array.from({ length: SERVERS }, (_, i) => `s${i}`)),
      )
      const starts = { none: [] as number[], many: [] as number[] }
      const memory = { none: NaN, many: NaN }
      for (let round = 0; round < (quick ? 2 : 5); round++) {
        for (const [name, home] of [['none', none], ['many', many]] as const) {
          await beside(startServer(runtime, home), async (server) => {
            starts[name].push(server.startMs)
            await pause(1500)
            memory[name] = server.memoryMiB()
          })
        }
      }
      const what = `with ${SERVERS} MCP servers configured`
      add({
        what: `start to ready ${what}`,
        unit: 'ms',
        limit: median(starts.none),
        ours: median(starts.many),
        goal: '≤ 1.1 ×',
      })
      add({ what: `idle memory ${what}`, unit: 'MiB', limit: memory.none, ours: memory.many, goal: '≤ 1.1 ×' })
    })
  )
}

async function addServers(url: string, names: string[]): Promise<void> {
  const token = TOKEN
  for (const name of names) {
    await call(`${url}/api/mcps`, { token, json: { name, command: COMMAND, args: [FILE] } })
  }
  for (let tries = 0; tries < 600; tries++) {
    const { mcps } = JSON.parse(await call(`${url}/api/mcps`, { token })) as { mcps: { server: object | null }[] }
    if (mcps.every(({ server }) => server !== null)) return
    await pause(100)
  }
  throw new Error('The servers did not tell their tools')
}
