import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { auditAbout } from './audit-words.ts'

describe('what an entry of the audit log is about', () => {
  it('is a name rather than a number', () => {
    assert.equal(auditAbout({ target: '3', detail: { runtime_id: 'openrouter:gpt-5' } }), 'openrouter:gpt-5')
    assert.equal(auditAbout({ target: '4', detail: { name: 'openrouter', base_url: null } }), 'openrouter')
    assert.equal(auditAbout({ target: 'files', detail: { source: 'custom' } }), 'files')
    assert.equal(auditAbout({ target: '5', detail: {} }), '')
  })
})
