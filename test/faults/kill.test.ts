import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { RunMessage, Turn } from '../../shared/sessions.ts'
import { isFinal, type TurnEvent } from '../../shared/turn-events.ts'
import { framesOf } from '../support/app.ts'
import { runServer, type ServerProcess, startServer } from '../support/process.ts'
import { type AnsweringUpstream, startAnsweringUpstream } from './answering-upstream.ts'
import { followSession } from './live-reader.ts'
import { random } from './random.ts'

const TURNS = 200
const SESSIONS = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']
/** Milliseconds between two pieces of an answer; sixteen pieces make one. */
const GAP_MS = 10
/** Longest time from the first to the last question; the machine may be busy with other things. */
const PATIENCE_MS = 90_000

/** A message that the server said it has. */
type Acknowledged = { session: string; question: string; turnId: string }

describe('a server that is killed again and again while it streams', () => {
  let home: string
  let upstream: AnsweringUpstream
  let server: ServerProcess | undefined
  let kills = 0
  const acknowledged: Acknowledged[] = []
  const readers = new Map<string, ReturnType<typeof followSession>>()

  const env = () => ({ OPENAI_API_KEY: 'sk-test', OPENAI_BASE_URL: upstream.url })
  const start = (): Promise<ServerProcess> => startServer({ home, env: env() })

  /** Throws while there is no server, as a dropped connection does. */
  const get = async (path: string, init: RequestInit = {}): Promise<Response> => {
    if (!server) throw new TypeError('fetch failed')
    return await server.request(path, { ...init, signal: init.signal ?? AbortSignal.timeout(10_000) })
  }

  const json = async <T>(path: string): Promise<T> => {
    const response = await get(path)
    assert.equal(response.status, 200, path)
    return await response.json() as T
  }

  /** Sends a question until the server says that it has it; the key makes that safe. */
  async function ask(session: string, question: string): Promise<void> {
    for (const deadline = Date.now() + PATIENCE_MS; Date.now() < deadline; await sleep(15)) {
      try {
        const response = await server!.request(`/api/sessions/${session}/messages`, {
          json: { text: question },
          headers: { 'idempotency-key': question },
          signal: AbortSignal.timeout(10_000),
        })
        const turn = await response.json() as Turn
        if (response.status === 429) continue
        assert.ok([200, 202].includes(response.status), JSON.stringify(turn))
        acknowledged.push({ session, question, turnId: turn.turn_id })
        return
      } catch (error) {
        if (error instanceof assert.AssertionError) throw error
      }
    }
    throw new Error(`${question} was never accepted`)
  }

  /** Waits for a turn's end, through restarts. */
  async function ended(turnId: string): Promise<void> {
    for (const deadline = Date.now() + PATIENCE_MS; Date.now() < deadline; await sleep(30)) {
      const response = await get(`/api/turns/${turnId}`).catch(() => undefined)
      if (response?.status === 404) throw new Error(`the turn ${turnId} was acknowledged and is gone`)
      const turn = await response?.json().catch(() => undefined) as Turn | undefined
      if (turn && isFinal(turn.state)) return
    }
    throw new Error(`the turn ${turnId} stayed open`)
  }

  /** Two questions are under way in a session, so that one always waits behind the other. */
  async function converse(session: string, count: number): Promise<void> {
    for (let i = 0; i < count; i++) {
      await ask(session, `${session}-${i}`)
      const before = acknowledged.filter((turn) => turn.session === session).at(-2)
      if (before) await ended(before.turnId)
    }
  }

  before(async () => {
    home = await mkdtemp(join(tmpdir(), 'gatehouse-kill-'))
    upstream = await startAnsweringUpstream(GAP_MS)
    server = await start()
    // The first start looks for its models; from then on it knows them.
    for (let found = ''; !found.includes('openai:gpt-5'); await sleep(20)) {
      found = await (await get('/api/models')).text()
    }
    for (const session of SESSIONS) readers.set(session, followSession(session, get))

    const { seed, between } = random()
    console.log(`seed ${seed}`)
    const conversations = Promise.all(SESSIONS.map((session) => converse(session, TURNS / SESSIONS.length)))
    let over = false
    void conversations.finally(() => (over = true)).catch(() => {})
    while (!over) {
      await Promise.race([conversations, sleep(between(150, 1100))])
      if (over) break
      kills++
      const victim = server
      server = undefined
      await victim.kill()
      // Some starts are killed too, while they take up what the last one left.
      if (between(0, 3) < 1) await runServer({ home, env: env(), killAfterMs: between(150, 700) })
      server = await start()
    }
    await conversations
    for (const { turnId } of acknowledged) await ended(turnId)
    const resets = [...readers.values()].reduce((sum, reader) => sum + reader.resets, 0)
    console.log(`${kills} kills, ${acknowledged.length} turns, ${resets} resets`)
  })

  after(async () => {
    for (const reader of readers.values()) await reader.stop().catch(() => {})
    await server?.kill()
    await upstream.close()
    await rm(home, { recursive: true, force: true })
  })

  it('loses nothing that it acknowledged, and closes every turn once', async () => {
    assert.equal(acknowledged.length, TURNS)
    assert.equal(new Set(acknowledged.map(({ turnId }) => turnId)).size, TURNS)
    assert.ok(kills >= 3, `only ${kills} kills`)
    const states = new Map<string, number>()
    for (const { turnId, question } of acknowledged) {
      const turn = await json<Turn>(`/api/turns/${turnId}`)
      assert.equal(turn.input.text, question)
      assert.ok(turn.state === 'completed' || turn.state === 'interrupted', `${question} ${JSON.stringify(turn)}`)
      states.set(turn.state, (states.get(turn.state) ?? 0) + 1)
    }
    console.log(states)
    for (const session of SESSIONS) {
      assert.deepEqual((await json<{ items: unknown[] }>(`/api/sessions/${session}/queue`)).items, [])
    }
  })

  it('shows one answer to each question, and calls only a whole one complete', async () => {
    const shown = [...readers.values()].flatMap((reader) => reader.shown)
    for (const { turnId, question } of acknowledged) {
      const turn = await json<Turn>(`/api/turns/${turnId}`)
      // Only a question of whose answer nobody saw a word may be asked again.
      const { answer } = upstream.asked.get(question)!.at(-1)!
      for (const { text } of shown.filter((seen) => seen.turnId === turnId)) {
        assert.ok(answer.startsWith(text), `${question} showed ${JSON.stringify(text)} before`)
      }
      if (turn.state === 'completed') assert.equal(turn.text, answer)
      else assert.ok(turn.text !== '' && answer.startsWith(turn.text!), `${question} ${JSON.stringify(turn)}`)
    }
    const twice = [...upstream.asked].filter(([, tries]) => tries.filter(({ completed }) => completed).length > 1)
    // An answer that was on its way in whole when the server died, unread.
    assert.ok(twice.length <= kills, twice.map(([question]) => question).join())
  })

  it('tells a new reader, the transcript, the turn and every reader that lived through it the same, to the byte', async () => {
    for (const session of SESSIONS) {
      const reader = readers.get(session)!
      const mine = acknowledged.filter((turn) => turn.session === session)
      const fresh = await replay(session, mine.length)
      const messages = await transcript(session)
      assert.deepEqual(
        messages.filter(({ role }) => role === 'user').map(({ text }) => text),
        mine.map(({ question }) => question),
      )
      for (const { turnId, question } of mine) {
        const turn = await json<Turn>(`/api/turns/${turnId}`)
        const answers = messages.filter((message) => message.turn_id === turnId && message.role === 'assistant')
        const live = reader.turns.get(turnId)
        assert.deepEqual(fresh.get(turnId), { text: turn.text, ends: [turn.state] }, question)
        assert.deepEqual(answers.map(({ text, state }) => [text, state]), [[turn.text, turn.state]], question)
        assert.deepEqual(live, { text: turn.text, ends: [turn.state], final: turn.text }, question)
      }
      await reader.stop()
    }
  })

  /** What a reader that comes now is told of each turn. */
  async function replay(session: string, turns: number): Promise<Map<string, { text: string; ends: string[] }>> {
    const seen = new Map<string, { text: string; ends: string[] }>()
    const abort = new AbortController()
    const response = await get(`/api/sessions/${session}/events?after=0`, { signal: abort.signal })
    let ends = 0
    for await (const frame of framesOf(response)) {
      if (frame.event === 'reset' || !frame.data) continue
      const event = JSON.parse(frame.data) as TurnEvent
      const turn = seen.get(event.turn_id) ?? { text: '', ends: [] }
      seen.set(event.turn_id, turn)
      if (event.type === 'text') turn.text += event.delta
      if (event.type !== 'turn_finished') continue
      turn.ends.push(event.state)
      if (++ends === turns) break
    }
    abort.abort()
    return seen
  }

  async function transcript(session: string): Promise<RunMessage[]> {
    type Page = { messages: RunMessage[]; nextCursor: string | null }
    const all: RunMessage[] = []
    for (let before = '';;) {
      const page = await json<Page>(`/api/sessions/${session}/messages?limit=200${before}`)
      all.unshift(...page.messages)
      if (!page.nextCursor) return all
      before = `&before=${page.nextCursor}`
    }
  }
})
