import { rm } from 'node:fs/promises'
import process from 'node:process'
import { describe, it } from 'node:test'
import { until } from '../support/chat-platform.ts'
import { type ServerProcess, startServer } from '../support/process.ts'
import { type RelayStep, startRelayPlatform } from '../support/relay-platform.ts'
import { type AnswerStep, startAnsweringUpstream } from './answering-upstream.ts'
import { answeredOnce, killQuietly, relayHome } from './channel-relay.ts'
import { random } from './random.ts'

type Crash = { who: 'server' | 'plugin'; step: RelayStep | AnswerStep }

/** `CHANNEL_MESSAGES=10000` for the long run. */
const MESSAGES = Number(process.env.CHANNEL_MESSAGES) || 132
const CHATS = 12
const PATIENCE_MS = 120_000 + MESSAGES * 200

/** From what a person writes to what he reads. */
const CRASHES: Crash[] = [
  { who: 'server', step: 'handing' },
  { who: 'plugin', step: 'handing' },
  { who: 'server', step: 'confirming' },
  { who: 'plugin', step: 'confirming' },
  { who: 'server', step: 'asked' },
  { who: 'server', step: 'midway' },
  { who: 'server', step: 'answered' },
  { who: 'server', step: 'sending' },
  { who: 'plugin', step: 'sending' },
  { who: 'server', step: 'sent' },
  { who: 'plugin', step: 'sent' },
]

describe('messages that come twice and in any order, over a line that breaks', () => {
  it('are answered exactly once each, whichever step a crash comes at', { timeout: 2 * PATIENCE_MS }, async () => {
    const { seed, between } = random()
    let armed: (Crash & { skip: number }) | undefined
    let server: ServerProcess

    /** Kills when what is armed is reached. */
    function reached(step: RelayStep | AnswerStep): boolean {
      if (armed?.step !== step || armed.skip-- > 0) return false
      killQuietly(armed.who === 'server' ? server.pid : platform.pid())
      armed = undefined
      return true
    }
    // One connection in thirty breaks besides.
    const platform = await startRelayPlatform((step) => reached(step) || between(0, 30) < 1)
    const upstream = await startAnsweringUpstream(2, (step) => void reached(step))
    const home = await relayHome(platform.url, { sessions: { max_parallel_turns: CHATS, max_queue: 1000 } })
    const start = () => startServer({ home, env: { OPENAI_API_KEY: 'sk-test', OPENAI_BASE_URL: upstream.url } })
    server = await start()
    try {
      const crashes = Array.from({ length: Math.ceil(MESSAGES / 2000) }, () => CRASHES).flat()
      const deliveries = deliveriesOf(MESSAGES, between)
      for (const [index, crash] of crashes.entries()) {
        // Twenty updates are handed over and confirmed at a time, so only of the later steps there are many.
        armed = { ...crash, skip: /hand|confirm/.test(crash.step) ? 0 : Math.floor(between(0, 4)) }
        const upTo = Math.floor(deliveries.length * (index + 1) / crashes.length)
        while (platform.written() < upTo) {
          const i = deliveries[platform.written()]!
          platform.write(String(i % CHATS), `question-${i}.`, `id-${i}`)
        }
        await until(() => armed, (step) => step === undefined, PATIENCE_MS)
        if (crash.who === 'plugin') continue
        await server.exited
        server = await start()
      }
      await until(() => platform.confirmed(), (number) => number === deliveries.length, PATIENCE_MS)
      const questions = Array.from({ length: MESSAGES }, (_, i) => `question-${i}.`)
      await answeredOnce(questions, { platform, server, chats: CHATS, patienceMs: PATIENCE_MS, seed })
    } finally {
      await server.stop()
      await upstream.close()
      await platform.close()
      await rm(home, { recursive: true, force: true })
    }
  })
})

/** A third comes again, soon or late, and what comes within a window comes in any order. */
function deliveriesOf(count: number, between: (low: number, high: number) => number): number[] {
  return Array.from({ length: count }, (_, i) => i)
    .flatMap((i) => {
      const place = i + between(0, 20)
      return between(0, 3) < 1 ? [{ i, place }, { i, place: place + between(0, 300) }] : [{ i, place }]
    })
    .sort((a, b) => a.place - b.place)
    .map(({ i }) => i)
}
