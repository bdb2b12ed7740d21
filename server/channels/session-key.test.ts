import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as v from 'valibot'
import { SessionId } from '../../shared/sessions.ts'
import { type Place, sessionKey } from './session-key.ts'

const place = (channel: string, chat_type: string, chat_id: string, sender_id: string, thread_id?: string): Place => ({
  channel,
  chat_type,
  chat_id,
  sender_id,
  ...(thread_id === undefined ? {} : { thread_id }),
})

/** Ids as each platform writes them, all of which are different places. */
const PLACES: Place[] = [
  place('telegram', 'dm', '155490357', '155490357'),
  place('telegram', 'private', '155490358', '155490358'),
  place('telegram', 'group', '-100777', '42'),
  place('telegram', 'supergroup', '-100778', '42'),
  place('telegram', 'supergroup', '-100778', '42', '9'),
  place('telegram', 'supergroup', '-100778', '42', '10'),
  place('telegram', 'channel', '-100777', '42'),
  place('telegram', 'dm', '42', '42', '9'),
  place('telegram-2', 'dm', '155490357', '155490357'),
  place('tg', 'dm', '155490357', '155490357'),
  place('Telegram', 'dm', '155490357', '155490357'),
  place('discord', 'dm', '998877665544332211', '112233445566778899'),
  place('discord', 'group', '998877665544332211', '112233445566778899'),
  place('discord', 'group', '998877665544332212', '112233445566778899'),
  place('discord', 'thread', '998877665544332211', '112233445566778899'),
  place('dc', 'group', '998877665544332211', '1'),
  place('slack', 'dm', 'D024BE91L', 'U2147483697'),
  place('slack', 'group', 'C024BE91L', 'U2147483697', '1355517523.000005'),
  place('slack', 'group', 'C024BE91L', 'U2147483697', '1355517523.000006'),
  place('slack', 'group', 'C024BE91L', 'U2147483697'),
  place('sl', 'dm', 'U2147483697', 'U2147483697'),
  place('whatsapp', 'dm', '491701234567@s.whatsapp.net', '491701234567@s.whatsapp.net'),
  place('whatsapp', 'group', '1203630@g.us', '491701234567@s.whatsapp.net'),
  place('wa', 'dm', '491701234567@s.whatsapp.net', '491701234567@s.whatsapp.net'),
  place('matrix', 'group', '!room:example.org', '@ada:example.org'),
  place('matrix', 'group', '!room:example.org', '@ada:example.org', '$event:example.org'),
  place('matrix', 'group', '!room=3Aexample.org', '@ada:example.org'),
  place('matrix', 'dm', '!dm:example.org', '@ada:example.org'),
  place('irc', 'group', '#gate house', 'ada'),
  place('irc', 'group', '#gatehouse', 'ada'),
  place('irc', 'group', '##gatehouse', 'ada'),
  place('irc', 'dm', 'ada', 'ada'),
  place('irc', 'dm', 'Ada', 'Ada'),
  place('irc', 'dm', 'ada|away', 'ada|away'),
  place('email', 'dm', 'ada@example.org', 'ada@example.org'),
  place('email', 'dm', 'ada@example.org', 'ada@example.org', '<CAF=x+1@mail.example.org>'),
  // Ids that try to be another place.
  place('irc', 'dm', 'x', 'group:#gatehouse'),
  place('irc', 'dm', 'x', 'group'),
  place('irc', 'dm', 'x', 'group', '#gatehouse'),
  place('irc', 'group', 'thread', 'x', '1'),
  place('irc', 'group', 'thread:1', 'x'),
  place('irc', 'group', 'a', 'x', 'thread:b'),
  place('irc:group', 'dm', 'x', 'a'),
  place('irc', 'dm', 'x', '\ud800'),
  place('irc', 'dm', 'x', '=ud800'),
  place('irc', 'dm', 'x', '�'),
  place('irc', 'dm', 'x', ''),
  place('irc', 'dm', 'x', '', ''),
  place('irc', 'group', 'z'.repeat(500), 'x'),
  place('irc', 'group', `${'z'.repeat(499)}y`, 'x'),
]

describe('sessions of chats', () => {
  it('are different for different places, on every platform', () => {
    const keys = new Map<string, Place>()
    for (const one of PLACES) {
      const key = sessionKey(one)
      assert.equal(keys.get(key), undefined, `${key} is ${JSON.stringify(keys.get(key))} and ${JSON.stringify(one)}`)
      keys.set(key, one)
    }
  })

  it('are ids that a session may have', () => {
    for (const one of PLACES) assert.ok(v.is(SessionId, sessionKey(one)), sessionKey(one))
  })

  it('are those of OpenAgent for people', () => {
    assert.equal(sessionKey(place('telegram', 'dm', '155490357', '155490357')), 'tg:155490357')
    assert.equal(sessionKey(place('discord', 'dm', '5', '112233')), 'dc:112233')
    assert.equal(sessionKey(place('whatsapp', 'private', '5', '4917@s.whatsapp.net')), 'wa:4917@s.whatsapp.net')
    assert.equal(sessionKey(place('slack', 'dm', 'D1', 'U2147483697')), 'sl:U2147483697')
  })

  it('are one for everybody in a group, and for a group that became a supergroup', () => {
    assert.equal(
      sessionKey(place('telegram', 'group', '-5', '1')),
      sessionKey(place('telegram', 'SuperGroup', '-5', '2')),
    )
    assert.equal(sessionKey(place('telegram', 'group', '-5', '1')), 'tg:group:-5')
  })
})
