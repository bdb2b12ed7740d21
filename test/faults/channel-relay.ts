import assert from 'node:assert/strict'
import { mkdir, mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import type { OutboxEntry } from '../../shared/channels.ts'
import { until } from '../support/chat-platform.ts'
import type { ServerProcess } from '../support/process.ts'
import type { Posted } from '../support/relay-platform.ts'

const PROGRAM = join(import.meta.dirname, '..', 'support', 'plugins', 'relay.ts')

/**
 * Configures a channel whose plugin carries the chats of `relay-platform.ts`, open to everybody. It has a manifest:
 * without one there is no word of the core by which a plugin knows that a message is safe.
 */
export async function relayHome(url: string, more: Record<string, Record<string, unknown>> = {}): Promise<string> {
  const home = await mkdtemp(join(tmpdir(), 'gatehouse-relay-'))
  const run = process.versions.deno ? ['run', '-A', '--no-check', PROGRAM] : [PROGRAM]
  await mkdir(join(home, 'relay'))
  await writeFile(
    join(home, 'relay', 'plugin.json'),
    JSON.stringify({
      id: 'relay',
      name: 'Relay',
      version: '1.0.0',
      command: ['env', process.execPath, ...run],
      restart: 'always',
      channels: ['relay'],
    }),
  )
  const channel = { plugin: 'relay', env: { RELAY_URL: url }, allowed_users: ['*'], burst_ms: 0 }
  await writeFile(
    join(home, 'gatehouse.yaml'),
    JSON.stringify({
      ...more,
      channels: { relay: channel },
      plugins: { paths: ['relay'], restart_delay_ms: 20, max_crashes: 1000 },
    }),
  )
  return home
}

/**
 * Waits until each question was answered, and looks that it was once, whole and in its own chat, and that the outbox
 * has one entry for each. Question `i` was asked in chat `i % chats`.
 */
export async function answeredOnce(
  questions: readonly string[],
  { platform, server, chats, patienceMs, seed }: {
    platform: { posted(): Posted[] }
    server: Pick<ServerProcess, 'request'>
    chats: number
    patienceMs: number
    seed: number
  },
): Promise<void> {
  const about = (): Map<string, Posted[]> => {
    const answers = new Map<string, Posted[]>()
    for (const one of platform.posted()) {
      const question = one.content.slice(0, one.content.indexOf('.') + 1)
      answers.set(question, [...answers.get(question) ?? [], one])
    }
    return answers
  }
  await until(
    () => {
      const answers = about()
      return questions.filter((question) => !answers.has(question))
    },
    (left) => left.length === 0,
    patienceMs,
  )
  await until(async () => (await entriesOf(server, 'open')).length, (count) => count === 0, 30_000)
  const answers = about()
  for (const [i, question] of questions.entries()) {
    const given = answers.get(question)!
    assert.equal(given.length, 1, `${question}: ${JSON.stringify(given)} (SEED=${seed})`)
    assert.equal(given[0]!.chat_id, String(i % chats))
    assert.match(given[0]!.content, /\/15 "/, `a whole answer (SEED=${seed}): ${given[0]!.content}`)
  }
  const all = await entriesOf(server, 'all')
  assert.equal(all.length, questions.length, `one entry each (SEED=${seed})`)
  assert.ok(all.every(({ state }) => state === 'sent'))
}

async function entriesOf({ request }: Pick<ServerProcess, 'request'>, state: string): Promise<OutboxEntry[]> {
  const all: OutboxEntry[] = []
  for (let cursor: string | null = ''; cursor !== null;) {
    const response = await request(`/api/outbox?limit=200&state=${state}${cursor && `&cursor=${cursor}`}`)
    assert.equal(response.status, 200)
    const page = await response.json() as { entries: OutboxEntry[]; nextCursor: string | null }
    all.push(...page.entries)
    cursor = page.nextCursor
  }
  return all
}

/** `kill -9`; it may have gone with its server. */
export function killQuietly(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch (error) {
    assert.equal((error as { code?: string }).code, 'ESRCH')
  }
}
