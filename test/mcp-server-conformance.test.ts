import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { it } from 'node:test'
import { conformanceServer } from './support/mcp-conformance-server.ts'

const SUITE = join(import.meta.dirname, '..', 'node_modules', '.bin', 'conformance')

/** What the suite printed; rejects when it found the server wanting. */
const conformance = (...args: string[]): Promise<string> =>
  new Promise((resolve, reject) => {
    execFile(
      SUITE,
      ['server', ...args],
      { timeout: 150_000 },
      (error, out, more) =>
        error ? reject(new Error(`${error.message}\n${out}\n${more}`.slice(-6000))) : resolve(out + more),
    )
  })

it('every scenario of the conformance suite of the protocol passes', { timeout: 170_000 }, async () => {
  const server = await conformanceServer()
  try {
    const out = await conformance('--url', server.url, '--suite', 'all')
    assert.match(out, /Total: [4-9]\d passed, 0 failed/)
    assert.doesNotMatch(out, /^✗/m)
  } finally {
    await server.close()
  }
})
