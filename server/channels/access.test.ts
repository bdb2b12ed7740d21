import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { CHANNEL_DEFAULTS } from '../../shared/channels.ts'
import { isKnown, isTrusted, mayApprove } from './access.ts'

describe('trust in a person', () => {
  const settings = { ...CHANNEL_DEFAULTS, allowed_users: ['guest*', '42'] }

  it('comes from the full id in the configuration', () => {
    assert.ok(isTrusted(settings, '42', undefined))
    assert.ok(mayApprove(settings, '42', undefined, '42'))
  })

  it('never comes from a pattern, whatever somebody calls themselves', () => {
    for (const id of ['guest1', 'guest*', '*']) {
      const open = { ...settings, allowed_users: ['guest*', '*'] }
      assert.ok(isKnown(open, id, undefined), id)
      assert.ok(!isTrusted(open, id, undefined), id)
      assert.ok(!mayApprove(open, id, undefined, id), id)
      assert.ok(!mayApprove({ ...open, approvers: ['*', 'guest*'] }, id, undefined, id), id)
    }
  })
})
