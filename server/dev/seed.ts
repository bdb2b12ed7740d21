import { randomUUID } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import process from 'node:process'
import { pathToFileURL } from 'node:url'
import type { Approval } from '../../shared/approvals.ts'
import { createApp } from '../app.ts'
import { loadConfig } from '../config/load.ts'
import { lockHome } from '../db/lock.ts'
import { migrate } from '../db/migrate.ts'
import { openDatabase } from '../db/open.ts'
import { currentRuntime } from '../runtime/current.ts'
import { createLog } from '../system/logs.ts'
import { type Example, EXAMPLES, NOTES } from './examples.ts'
import { startUpstream } from './upstream.ts'

/**
 * Fills a new home with example notes and conversations, all but the notes through the API, so that nothing is there
 * that a person could not have made. Leaves the scripted model connected, which obeys prompts such as `slow: 50`.
 */
async function seed(home: string): Promise<void> {
  await mkdir(home, { recursive: true, mode: 0o700 })
  const lock = await lockHome(home)
  try {
    await writeNotes(join(home, 'vault'))
    const { api, clock, stop } = await openApp(home)
    const upstream = await startUpstream(EXAMPLES.flatMap(({ answers }) => answers))
    try {
      const example = await connect(api, { name: 'local', base_url: upstream.url }, { model: 'example' })
      for (const conversation of EXAMPLES) {
        clock.ago = conversation.ago
        await converse(api, conversation)
      }
      clock.ago = 0
      await api('DELETE', `/api/providers/${example}`)
      await connect(api, { name: 'scripted' }, { model: 'scripted', display_name: 'Scripted model' })
      // While the owner has no key and no browser, each start prints a link; `npm run dev` prints its own.
      await api('POST', '/api/keys', { name: 'Example key', scopes: ['admin'] })
    } finally {
      await stop()
      await upstream.close()
    }
  } finally {
    lock.release()
  }
}

type Api = (method: string, path: string, body?: unknown, headers?: Record<string, string>) => Promise<unknown>

/** A provider with one model, which answers everything as long as there is no other; resolves with the provider's id. */
async function connect(api: Api, provider: Record<string, string>, model: Record<string, string>): Promise<number> {
  const { provider: { id } } = await api('POST', '/api/providers', provider) as { provider: { id: number } }
  await api('POST', '/api/models', { provider_id: id, ...model })
  return id
}

async function writeNotes(vault: string): Promise<void> {
  for (const [path, text] of Object.entries(NOTES)) {
    await mkdir(dirname(join(vault, path)), { recursive: true })
    await writeFile(join(vault, path), text)
  }
}

/** The app without a socket, on a clock that can be put back. */
async function openApp(home: string) {
  const token = randomUUID()
  // Ollama is looked for at an address where nothing listens: examples must not depend on the machine.
  const env = { GATEHOUSE_TOKEN: token, OLLAMA_HOST: 'http://127.0.0.1:9' }
  const clock = { ago: 0 }
  const log = createLog({ home, level: 'error' })
  const database = await openDatabase({ url: pathToFileURL(join(home, 'gatehouse.db')).href, log })
  await migrate(database)
  const app = await createApp({
    home,
    database,
    log,
    loaded: await loadConfig({ home, env }),
    env,
    flags: {},
    runtime: await currentRuntime(),
    build: { version: '0.0.0-dev', commit: '', build_date: '' },
    webRoot: join(import.meta.dirname, '..', '..', 'web', 'build'),
    restart: () => {},
    now: () => Date.now() - clock.ago,
  })
  await app.start()

  const api: Api = async (method, path, body, headers = {}) => {
    const request = new Request(`http://localhost${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', ...headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    const response = await app.fetch(request, { remoteAddress: '127.0.0.1' })
    if (!response.ok) throw new Error(`${method} ${path} answered ${response.status}: ${await response.text()}`)
    return await response.json()
  }
  return {
    api,
    clock,
    async stop() {
      await app.stop()
      await database.close()
      await log.stop()
    },
  }
}

/** Asks one question after the other and says yes to every call that wants one. */
async function converse(api: Api, { id, title, pinned = false, questions }: Example): Promise<void> {
  await api('POST', '/api/sessions', { session_id: id, title })
  for (const text of questions) {
    let turn = await api('POST', `/api/sessions/${id}/messages`, { text }) as { turn_id: string; state: string }
    while (['queued', 'running', 'awaiting_approval'].includes(turn.state)) {
      await new Promise((resolve) => setTimeout(resolve, 20))
      turn = await api('GET', `/api/turns/${turn.turn_id}`) as typeof turn
      if (turn.state !== 'awaiting_approval') continue
      const { approvals } = await api('GET', '/api/approvals') as { approvals: Approval[] }
      const waiting = approvals.filter((approval) => approval.turn_id === turn.turn_id && approval.state === 'pending')
      for (const approval of waiting) await api('POST', `/api/approvals/${approval.id}`, { decision: 'allow_once' })
    }
  }
  if (pinned) await api('PATCH', `/api/sessions/${id}`, { pinned })
}

await seed(resolve(process.argv[2] ?? '.dev-home'))
