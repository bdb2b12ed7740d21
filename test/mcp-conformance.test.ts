import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { currentRuntime } from '../server/runtime/current.ts'

const { name } = await currentRuntime()
const PROGRAM = name === 'deno' ? 'deno run -A --no-check' : name
const CLIENT = join(import.meta.dirname, 'support', 'mcp-conformance-client.ts')
const SUITE = join(import.meta.dirname, '..', 'node_modules', '.bin', 'conformance')

/** What the suite printed; rejects when it found our client wanting. */
const conformance = (...args: string[]): Promise<string> =>
  new Promise((resolve, reject) => {
    execFile(
      SUITE,
      ['client', '--command', `${PROGRAM} ${CLIENT}`, ...args],
      { timeout: 110_000 },
      (error, out, more) =>
        error ? reject(new Error(`${error.message}\n${out}\n${more}`.slice(-4000))) : resolve(out + more),
    )
  })

describe('the conformance suite of the protocol finds that our client', () => {
  for (const scenario of ['initialize', 'tools_call', 'elicitation-sep1034-client-defaults', 'sse-retry']) {
    it(`does what "${scenario}" asks`, { timeout: 60_000 }, async () => {
      assert.match(await conformance('--scenario', scenario), /OVERALL: PASSED/)
    })
  }

  it('signs in as the scenarios of authorization ask', { timeout: 120_000 }, async () => {
    assert.match(await conformance('--suite', 'auth'), /Total: \d+ passed, 0 failed/)
  })
})
