import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { OutboxEntry } from '../../shared/channels.ts'
import { until } from '../support/chat-platform.ts'
import { startServer } from '../support/process.ts'
import { startRelayPlatform } from '../support/relay-platform.ts'
import { startAnsweringUpstream } from './answering-upstream.ts'
import { random } from './random.ts'

/** `CHANNEL_MESSAGES=1000` for the long run. */
const MESSAGES = Number(process.env.CHANNEL_MESSAGES) || 160
const CHATS = 8
const KILLS = 8
const PATIENCE_MS = 200_000

const RELAY = join(import.meta.dirname, '..', 'support', 'plugins', 'relay.ts')
const runRelay = process.versions.deno ? ['run', '-A', '--no-check', RELAY] : [RELAY]

describe('server and plugin that are killed again and again while people write', () => {
  it('lose no message and answer none twice', { timeout: 280_000 }, async () => {
    const { seed, between } = random()
    const platform = await startRelayPlatform()
    const upstream = await startAnsweringUpstream(5)
    const home = await mkdtemp(join(tmpdir(), 'gatehouse-channel-kill-'))
    const relay = {
      command: process.execPath,
      args: runRelay,
      env: { RELAY_URL: platform.url },
      restart: 'always',
      allowed_users: ['*'],
      burst_ms: 0,
    }
    await writeFile(
      join(home, 'gatehouse.yaml'),
      JSON.stringify({
        channels: { relay },
        plugins: { restart_delay_ms: 20, quarantine_after: 100 },
        sessions: { max_queue: 1000 },
      }),
    )
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
      const about = (question: string) => platform.posted().filter(({ content }) => content.startsWith(question))
      await until(
        () => questions.filter((question) => about(question).length === 0),
        (left) => left.length === 0,
        PATIENCE_MS,
      )
      await until(
        async () => (await entriesOf(server, 'open')).length,
        (count) => count === 0,
        30_000,
      )
      for (const [i, question] of questions.entries()) {
        const answers = about(question)
        assert.equal(answers.length, 1, `${question}: ${JSON.stringify(answers)} (SEED=${seed})`)
        assert.equal(answers[0]!.chat_id, String(i % CHATS))
        assert.match(answers[0]!.content, /\/15 "/, `a whole answer (SEED=${seed}): ${answers[0]!.content}`)
      }
      const all = await entriesOf(server, 'all')
      assert.equal(all.length, MESSAGES, `one entry each (SEED=${seed})`)
      assert.ok(all.every(({ state }) => state === 'sent'))
    } finally {
      await server.stop()
      await upstream.close()
      await platform.close()
      await rm(home, { recursive: true, force: true })
    }
  })
})

async function entriesOf(server: { request(path: string): Promise<Response> }, state: string): Promise<OutboxEntry[]> {
  const all: OutboxEntry[] = []
  for (let cursor: string | null = ''; cursor !== null;) {
    const response = await server.request(`/api/outbox?limit=200&state=${state}${cursor && `&cursor=${cursor}`}`)
    assert.equal(response.status, 200)
    const page = await response.json() as { entries: OutboxEntry[]; nextCursor: string | null }
    all.push(...page.entries)
    cursor = page.nextCursor
  }
  return all
}

/** It may have gone with its server. */
function killQuietly(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch (error) {
    assert.equal((error as { code?: string }).code, 'ESRCH')
  }
}
