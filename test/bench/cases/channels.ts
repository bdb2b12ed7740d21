import { once } from 'node:events'
import { mkdir, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { type Bench, beside, median, pause } from '../bench.ts'
import { ROOT } from '../processes.ts'
import { startServer, withHome } from '../server.ts'

const NODE = join(ROOT, 'node_modules', '.bin', 'node')
const PEER = join(ROOT, 'test/bench/limits/channel-peer.mjs')
const CHANNELS = 20

type Load = { perSecond: number; seconds: number; mentionEvery: number }
/** What one channel saw; times in milliseconds. */
type Seen = { total: number; kept: number; open: number; storedMs: number; stored: number[]; answered: number[] }

/**
 * Groups in which people talk, through real plugins: each message is stored, one in so many is a question and is
 * answered by a turn of its own. Times are from the platform to its own store's answer, and to the reply.
 */
export async function channels(bench: Bench): Promise<void> {
  const { quick } = bench
  await talk(bench, 'one in 50 answered', { perSecond: 50, seconds: quick ? 5 : 60, mentionEvery: 50 })
  await talk(bench, 'each answered', { perSecond: 4, seconds: quick ? 5 : 20, mentionEvery: 1 })
}

async function talk({ runtime, upstream, add }: Bench, kind: string, load: Load): Promise<void> {
  await withHome(async (home) => {
    const desk = await openDesk(load)
    try {
      await writeHome(home, desk.url)
      await beside(startServer(runtime, home, upstream.url), async (server) => {
        await desk.present
        await pause(1000)
        const before = { cpu: server.cpuMs(), memory: server.memoryMiB() }
        const began = performance.now()
        desk.begin()
        const seen = await desk.done
        const cpu = server.cpuMs() - before.cpu
        const took = performance.now() - began
        const total = seen.reduce((sum, one) => sum + one.total, 0)
        const open = seen.reduce((sum, one) => sum + one.open, 0)
        const what = `${CHANNELS} × ${load.perSecond} messages/s, ${load.seconds} s, ${kind}`
        const row = (part: string, unit: string, ours: number, goal = '', limit: number | null = null) =>
          add({ what: `${what}: ${part}`, unit, limit, ours, goal })
        const times = (part: 'stored' | 'answered') => seen.flatMap((one) => one[part]).sort((a, b) => a - b)
        const p99 = (values: number[]) => values[Math.floor(values.length * 0.99)]!
        const rate = seen.reduce((sum, { kept, storedMs }) => sum + kept / storedMs * 1000, 0)
        row('stored', '/s', rate, '1 ×', CHANNELS * load.perSecond)
        row('until stored, p50', 'ms', median(times('stored')))
        row('until stored, p99', 'ms', p99(times('stored')))
        row('until answered, p50', 'ms', median(times('answered')))
        row('until answered, p99', 'ms', p99(times('answered')))
        row('still open a minute later', '', open, '0')
        row('processor time of a message', 'ms', cpu / total)
        row('share of a core', '%', cpu / took * 100)
        row('memory', 'MiB', server.memoryMiB(), '', before.memory)
      })
    } finally {
      await desk.close()
    }
  })
}

async function writeHome(home: string, url: string): Promise<void> {
  await mkdir(join(home, 'peer'))
  const manifest = { id: 'bench', name: 'Bench', version: '1.0.0', channels: ['bench'] }
  const names = Array.from({ length: CHANNELS }, (_, i) => `c${i}`)
  await Promise.all(names.map(async (name) => {
    const folder = join(home, 'peer', name)
    await mkdir(folder)
    const command = ['env', NODE, PEER, name]
    await writeFile(join(folder, 'plugin.json'), JSON.stringify({ ...manifest, id: name, command }))
  }))
  const channel = { env: { BENCH_URL: url }, allowed_groups: ['*'], burst_ms: 0 }
  const channels = Object.fromEntries(names.map((name) => [name, { ...channel, plugin: name }]))
  await writeFile(
    join(home, 'gatehouse.yaml'),
    JSON.stringify({ channels, plugins: { paths: ['peer'] }, sessions: { max_queue: 1000 } }),
  )
}

/** Where the plugins wait until all are there, and tell what they saw. */
async function openDesk(load: Load) {
  const waiting: (() => void)[] = []
  const seen: Seen[] = []
  const present = Promise.withResolvers<void>()
  const done = Promise.withResolvers<Seen[]>()
  const server = createServer((request, response) => {
    if (request.url === '/begin') {
      waiting.push(() => response.end(JSON.stringify(load)))
      if (waiting.length === CHANNELS) present.resolve()
      return
    }
    text(request).then((body) => {
      response.end()
      seen.push(JSON.parse(body) as Seen)
      if (seen.length === CHANNELS) done.resolve(seen)
    }, done.reject)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    present: present.promise,
    done: done.promise,
    begin: () => waiting.forEach((answer) => answer()),
    close: async () => {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}
