import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { describe, it } from 'node:test'
import { testApp } from './support/app.ts'

const SEED = join(import.meta.dirname, '..', 'server', 'dev', 'seed.ts')
const RUN = process.versions.deno ? ['run', '-A', '--no-check', SEED] : [SEED]

describe('the example data of npm run dev', () => {
  it(
    'has conversations with tool calls and a failure, notes, and a model that obeys',
    { timeout: 30_000 },
    async () => {
      const home = await mkdtemp(join(tmpdir(), 'gatehouse-dev-'))
      const child = spawn(process.execPath, [...RUN, home], { stdio: ['ignore', 'ignore', 'pipe'] })
      let errors = ''
      child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text))
      const [code] = await once(child, 'close') as [number | null]
      assert.equal(code, 0, errors)

      const app = await testApp({ home })
      try {
        const { sessions } = await app.json<{ sessions: { session_id: string }[] }>('/api/sessions')
        assert.equal(sessions.length, 5)
        const transcript = async (id: string) =>
          await (await app.request(`/api/sessions/${id}/export?format=markdown`)).text()
        assert.match(await transcript('example-backup'), /notes\.create/)
        assert.match(await transcript('example-backup'), /```sh\nrestic/)
        const failed = await (await app.request('/api/sessions/example-failed/messages')).text()
        assert.match(failed, /key was refused/)
        assert.equal((await app.ask('new', 'slow: 3')).text.trim(), 'word1 word2 word3')
        assert.equal((await app.ask('new', 'fail: auth')).state, 'failed')
        const { text } = await app.ask('new', 'call: notes_read {"note": "Restore test"}')
        assert.match(text, /restic -r/)
      } finally {
        await app.close()
      }
    },
  )
})
