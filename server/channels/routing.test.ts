import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { ChannelRoute } from '../../shared/channels.ts'
import { destinationOf, fits } from './routing.ts'
import type { Place } from './session-key.ts'

const GROUP: Place = { channel: 'telegram', chat_type: 'supergroup', chat_id: '-100', sender_id: 'Ada', thread_id: '7' }
const route = (match: ChannelRoute['match'], more: Partial<ChannelRoute> = {}): ChannelRoute => ({
  match,
  session: 'found',
  ignore: false,
  ...more,
})
const leads = (match: ChannelRoute['match'], place = GROUP): boolean =>
  (destinationOf(place, [route(match)]) as { session_id: string }).session_id === 'found'

describe('routing', () => {
  it('an empty rule matches everything', () => assert.ok(leads({})))

  it('each condition counts, and all of them together', () => {
    assert.ok(leads({ channel: 'telegram' }) && !leads({ channel: 'discord' }))
    assert.ok(leads({ chat_id: '-100' }) && !leads({ chat_id: '-101' }))
    assert.ok(leads({ sender_id: 'Ada' }) && !leads({ sender_id: 'Bob' }))
    assert.ok(leads({ thread_id: '7' }) && !leads({ thread_id: '8' }))
    assert.ok(leads({ channel: 'telegram', chat_id: '-100', sender_id: 'Ada' }))
    assert.ok(!leads({ channel: 'telegram', chat_id: '-100', sender_id: 'Bob' }))
  })

  it('channel and chat type ignore case, ids do not', () => {
    assert.ok(leads({ channel: 'TeleGram', chat_type: 'SUPERGROUP' }))
    assert.ok(!leads({ sender_id: 'ada' }))
  })

  it('group also means what platforms call otherwise', () => {
    assert.ok(leads({ chat_type: 'group' }))
    assert.ok(!leads({ chat_type: 'dm' }))
    assert.ok(leads({ chat_type: 'dm' }, { ...GROUP, chat_type: 'private' }))
  })

  it('the first rule that matches decides', () => {
    const rules = [
      route({ sender_id: 'Bob' }, { session: 'a' }),
      route({}, { session: 'b' }),
      route({}, { session: 'c' }),
    ]
    assert.deepEqual(destinationOf(GROUP, rules), { rule: 1, session_id: 'b' })
  })

  it('without a rule each chat has its own session', () => {
    assert.deepEqual(destinationOf(GROUP, []), { rule: null, session_id: 'tg:group:-100:thread:7' })
  })

  it('a rule can choose a model and instructions, or drop', () => {
    const { session: _, ...plain } = route({}, { model: 'p:m', instructions: 'Be brief' })
    assert.deepEqual(destinationOf(GROUP, [plain]), {
      rule: 0,
      session_id: 'tg:group:-100:thread:7',
      model: 'p:m',
      instructions: 'Be brief',
    })
    assert.deepEqual(destinationOf(GROUP, [route({}, { ignore: true })]), { rule: 0, drop: true })
  })

  it('a star stands for any characters', () => {
    assert.ok(fits('*', '') && fits('a*', 'a') && fits('*b', 'ab') && fits('a*c*e', 'abcde') && fits('a**', 'a'))
    assert.ok(
      !fits('a*a', 'a') && !fits('a*', 'ba') && !fits('a*c*e', 'ace-') && !fits('', 'a') && !fits('ab*ba', 'aba'),
    )
  })
})
