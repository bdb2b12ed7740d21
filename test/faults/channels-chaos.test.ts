import assert from 'node:assert/strict'
import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { describe, it } from 'node:test'
import { GatewayError } from '../../server/plugins/gateway.ts'
import { type Answer, scripted } from '../../server/models/providers/scripted.ts'
import type { OutboxEntry } from '../../shared/channels.ts'
import { type TestApp, testApp } from '../support/app.ts'
import { type ChatPlatform, chatPlatform, hostOf, until } from '../support/chat-platform.ts'
import { random } from './random.ts'

/** `CHANNEL_MESSAGES=10000` for the long run. */
const MESSAGES = Number(process.env.CHANNEL_MESSAGES) || 500
const CHATS = 40
const PATIENCE_MS = 120_000 + MESSAGES * 100

type Sent = { id: string; from: string; text: string }

/** Answers with the last line of what it was asked. */
const echo: Answer = (request) => {
  const content = request.messages.at(-1)!.content
  return `answer to ${
    typeof content === 'string' ? content : content.map((part) => part.type === 'text' ? part.text : '').join('')
  }`
}

describe('a channel that delivers twice, in any order, and loses answers', () => {
  it(
    `answers ${MESSAGES} messages exactly once each, over restarts of the server`,
    { timeout: 2 * PATIENCE_MS },
    async () => {
      const { between } = random()
      const next = () => between(0, 1)
      const home = await mkdtemp(join(tmpdir(), 'gatehouse-chaos-'))
      const settings = { allowed_users: ['*'], burst_ms: 0, streaming: false }
      await writeFile(
        join(home, 'gatehouse.yaml'),
        JSON.stringify({ channels: { telegram: settings }, sessions: { max_parallel_turns: 16, max_queue: 1000 } }),
      )
      const chat = chatPlatform('telegram', ['edit'])
      breakSometimes(chat, next)
      let app: TestApp | undefined
      const start = async () => {
        chat.leave()
        app = await testApp({
          home,
          model: scripted(Array.from({ length: MESSAGES * 3 }, () => echo)),
          gateways: hostOf(chat),
        })
      }
      await start()

      const messages: Sent[] = Array.from({ length: MESSAGES }, (_, i) => ({
        id: `id${i}`,
        from: String(i % CHATS),
        text: `question ${i}.`,
      }))
      // A third comes again, soon or late, and everything within a window comes in any order.
      const deliveries = messages.flatMap((message, i) => {
        const place = i + next() * 50
        return next() < 0.33 ? [{ message, place }, { message, place: place + next() * 3000 }] : [{ message, place }]
      }).sort((a, b) => a.place - b.place)
      const restarts = new Set([0.2, 0.5, 0.8].map((part) => Math.floor(deliveries.length * part)))

      for (let at = 0; at < deliveries.length; at++) {
        if (restarts.has(at)) {
          await app!.stop()
          await start()
        }
        await chat.say(deliveries[at]!.message)
      }

      const answers = await until(() => chat.shown.length, (count) => count >= MESSAGES, PATIENCE_MS)
      assert.equal(answers, MESSAGES)
      const seen = new Map<string, number>()
      for (const { text, chat_id } of chat.shown) {
        const number = Number(/answer to question (\d+)\./.exec(text)?.[1])
        assert.equal(chat_id, String(number % CHATS), text)
        seen.set(text, (seen.get(text) ?? 0) + 1)
      }
      assert.equal(seen.size, MESSAGES)
      await until(
        async () => (await app!.json<{ entries: OutboxEntry[] }>('/api/outbox')).entries,
        (entries) => entries.length === 0,
        60_000,
      )
      assert.deepEqual((await app!.json<{ entries: OutboxEntry[] }>('/api/outbox?state=dead')).entries, [])
      await app!.close()
    },
  )
})

/** One command in twenty is refused for now, one answer in twenty is lost. */
function breakSometimes(chat: ChatPlatform, next: () => number): void {
  chat.before(() => {
    if (next() < 0.05) throw new GatewayError('platform_error', 'not now', { retry_after_ms: 5 })
  })
  chat.after(() => {
    if (next() < 0.05) throw new GatewayError('timeout', 'nobody knows', { retry_after_ms: 5 })
  })
}
