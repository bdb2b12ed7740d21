import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { draftOf, sectionOf } from './settings-draft.ts'

describe('the settings of a channel as a form', () => {
  it('come out as they went in, with what the form does not know', () => {
    const section = {
      plugin: 'telegram',
      token: '****abcd',
      allowed_users: ['42', 'ab*'],
      pairing: false,
      burst_ms: 0,
      dispositions: { '7': 'block' },
    }
    assert.deepEqual(sectionOf(draftOf(section), section), section)
  })

  it('nothing is written where nothing was changed', () => {
    assert.deepEqual(sectionOf(draftOf({}), {}), {})
  })

  it('lines become ids, and an emptied field is taken out', () => {
    const section = { allowed_users: ['1'], text_limit: 500 }
    const draft = draftOf(section)
    draft.values.allowed_users = ' 42 \n\n43,44'
    draft.values.text_limit = ''
    assert.deepEqual(sectionOf(draft, section), { allowed_users: ['42', '43', '44'] })
  })

  it('what is no number is kept, so that the server can name it', () => {
    const draft = draftOf({})
    draft.values.burst_ms = 'soon'
    assert.equal(sectionOf(draft, {}).burst_ms, 'soon')
  })

  it('a list that was emptied of people closes nothing else', () => {
    const draft = draftOf({ dispositions: { '7': 'block' }, pairing: false })
    draft.dispositions = []
    assert.deepEqual(sectionOf(draft, { dispositions: { '7': 'block' }, pairing: false }), { pairing: false })
  })
})
