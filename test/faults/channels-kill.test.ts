import { rm } from 'node:fs/promises'
import process from 'node:process'
import { describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { until } from '../support/chat-platform.ts'
import { startServer } from '../support/process.ts'
import { startRelayPlatform } from '../support/relay-platform.ts'
import { startAnsweringUpstream } from './answering-upstream.ts'
import { answeredOnce, killQuietly, relayHome } from './channel-relay.ts'
import { random } from './random.ts'

/** `CHANNEL_MESSAGES=1000` for the long run. */
const MESSAGES = Number(process.env.CHANNEL_MESSAGES) || 160
const CHATS = 8
const KILLS = 8
const PATIENCE_MS = 100_000 + MESSAGES * 200

describe('server and plugin that are killed again and again while people write', () => {
  it('lose no message and answer none twice', { timeout: 2 * PATIENCE_MS + 60_000 }, async () => {
    const { seed, between } = random()
    const platform = await startRelayPlatform()
    const upstream = await startAnsweringUpstream(5)
    const home = await relayHome(platform.url, { sessions: { max_queue: 1000 } })
    const start = () => startServer({ home, env: { OPENAI_API_KEY: 'sk-test', OPENAI_BASE_URL: upstream.url } })
    let server = await start()
    try {
      const questions = Array.from({ length: MESSAGES }, (_, i) => `question-${i}.`)
      let written = 0
      for (let kill = 0; kill <= KILLS; kill++) {
        const upTo = kill === KILLS ? MESSAGES : Math.floor(MESSAGES * (kill + 1) / (KILLS + 1))
        for (; written < upTo; written++) {
          platform.write(String(written % CHATS), questions[written]!)
          if (written % 4 === 0) await sleep(between(0, 20))
        }
        if (kill === KILLS) break
        await sleep(between(0, 600))
        if (kill % 2 === 0) {
          await server.kill()
          server = await start()
        } else if (platform.pid() > 0) killQuietly(platform.pid())
      }

      await until(() => platform.confirmed(), (number) => number === MESSAGES, PATIENCE_MS)
      await answeredOnce(questions, { platform, server, chats: CHATS, patienceMs: PATIENCE_MS, seed })
    } finally {
      await server.stop()
      await upstream.close()
      await platform.close()
      await rm(home, { recursive: true, force: true })
    }
  })
})
