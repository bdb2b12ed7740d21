import { type Bench, beside } from '../bench.ts'
import { load, type Loaded } from '../load.ts'
import { startLimit, startServer, TOKEN, withHome } from '../server.ts'

/** Rounds, tokens and pace by how many streams there are; a thousand make 10,000 tokens a second. */
const SIZES = [
  { concurrency: 1, rounds: 20, tokens: 20, gapMs: 10, goal: '+5 / +0.2 ms' },
  { concurrency: 16, rounds: 6, tokens: 40, gapMs: 20, goal: '+20 / +0.2 ms' },
  { concurrency: 128, rounds: 2, tokens: 60, gapMs: 20, goal: '+60 / +0.2 ms' },
  { concurrency: 1000, rounds: 1, tokens: 40, gapMs: 100, goal: 'all tokens come' },
]

/**
 * Turns whose answer is streamed, against the model's own stream (added time) and a bare Hono in between (limit).
 * A turn is more than a relay: its question, its events and its answer are stored, and read as a session's events.
 */
export async function stream({ runtime, quick, upstream, add }: Bench): Promise<void> {
  await beside(
    startLimit(runtime, 'hono', { UPSTREAM: upstream.url }),
    (bare) =>
      withHome((home) =>
        beside(startServer(runtime, home, upstream.url), async (server) => {
          for (const size of quick ? SIZES.slice(0, 3) : SIZES) {
            const { goal, ...job } = quick ? { ...size, rounds: 1 } : size
            const direct = await load(upstream, { kind: 'streams', how: 'chat', url: upstream.url, ...job })
            const limit = await load(bare, { kind: 'streams', how: 'chat', url: bare.url, ...job })
            const ours = await load(server, { kind: 'streams', how: 'turn', url: server.url, token: TOKEN, ...job })
            const row = (what: string, unit: string, of: (loaded: Loaded) => number, goal: string) =>
              add({ what: `${job.concurrency} streams: ${what}`, unit, limit: of(limit), ours: of(ours), goal })
            row('added to first token', 'ms', (loaded) => loaded.p50 - direct.p50, goal.split(' / ')[0]! + ' ms')
            row('a token later by, p50', 'ms', (loaded) => (loaded.tokenP50 ?? 0) - (direct.tokenP50 ?? 0), '≤ 0.2 ms')
            row('a token later by, p99', 'ms', (loaded) => (loaded.tokenP99 ?? 0) - (direct.tokenP99 ?? 0), '≤ 6 ms')
            row('processor time a token', 'µs', (loaded) => loaded.cpuMs * 1000, '')
          }
        })
      ),
  )
}
