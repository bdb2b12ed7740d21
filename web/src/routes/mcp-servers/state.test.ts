import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Mcp } from '$shared/mcp.ts'
import { fits, lookOf, mendOf, needsLook, reachOf } from './state.ts'

const server = (more: Partial<Mcp>): Mcp =>
  ({
    enabled: true,
    state: 'stopped',
    needs_auth: false,
    last_error: null,
    inputs_missing: [],
    changed_tools: 0,
    server: { name: 's', version: '1', protocol: '2025-11-25' },
    command: ['node'],
    args: [],
    url: null,
    ...more,
  }) as Mcp

describe('a server in the list', () => {
  it('is no failure because it is stopped, and none at all when it is off', () => {
    assert.equal(lookOf(server({})).label, 'Idle')
    assert.equal(lookOf(server({ server: null })).label, 'Never started')
    assert.equal(lookOf(server({ enabled: false, state: 'failed' })).label, 'Switched off')
    assert.equal(lookOf(server({ state: 'failed', needs_auth: true })).label, 'Needs a sign-in')
  })

  it('is found by what it needs', () => {
    const changed = server({ changed_tools: 2 })
    assert.ok(needsLook(changed) && fits(changed, 'review') && fits(changed, ''))
    assert.ok(!needsLook(server({ enabled: false, changed_tools: 2 })))
    assert.ok(fits(server({ enabled: false, state: 'ready' }), 'off'))
    assert.ok(!fits(server({ enabled: false, state: 'ready' }), 'ready'))
  })

  it('shows its command as a shell would take it', () => {
    assert.equal(
      reachOf(server({ command: ['npx'], args: ['-y', '@a/b@1', 'two words', "it's"] })),
      "npx -y @a/b@1 'two words' 'it'\\''s'",
    )
    assert.equal(reachOf(server({ command: null, url: 'https://x.example/mcp' })), 'https://x.example/mcp')
  })

  it('says what to do about a failure that is known', () => {
    const failed = (last_error: string) => mendOf(server({ state: 'failed', last_error }))
    assert.match(failed('the program was not found; check the command')!, /whole path/)
    assert.match(failed('Request timed out')!, /start_timeout_seconds/)
    assert.match(failed('HTTP 401 Unauthorized')!, /headers/)
    assert.match(failed('the process ended with 1')!, /log/)
    assert.equal(failed('something of its own'), undefined)
    assert.match(mendOf(server({ inputs_missing: ['key'] }))!, /missing/)
  })
})
