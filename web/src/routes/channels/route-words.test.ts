import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { effectWords, matchWords } from './route-words.ts'

describe('a rule in words', () => {
  it('names its conditions, and says so when it has none', () => {
    assert.equal(matchWords({ match: { channel: 'tele*', sender_id: '42' } }), 'on tele*, from 42')
    assert.equal(matchWords({ match: {} }), 'every message')
    assert.equal(matchWords({ match: { channel: '*' } }), 'every message')
  })

  it('says what becomes of the message', () => {
    assert.equal(effectWords({ match: {}, ignore: true }), 'dropped')
    assert.equal(effectWords({ match: {}, ignore: false, session: 'work', model: 'm' }), 'to the session work, with m')
    assert.equal(
      effectWords({ match: {}, ignore: false, agent: 'helper' }),
      'to a session of its own chat, answered by helper',
    )
    assert.equal(effectWords({ match: {}, ignore: false }), 'to a session of its own chat')
  })
})
