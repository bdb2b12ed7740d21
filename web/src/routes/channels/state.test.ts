import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Channel } from '../../../../shared/channels.ts'
import { lookOf, mendOf } from './state.ts'

const channel = (part: Partial<Channel>): Channel =>
  ({ state: 'ready', connected: true, auth: null, ...part }) as Channel

describe('the state of a channel', () => {
  it('a plugin that runs is only called connected when it reaches its platform', () => {
    assert.equal(lookOf(channel({})).label, 'Connected')
    assert.equal(lookOf(channel({ connected: false })).label, 'Not connected')
  })

  it('a code that waits to be confirmed comes before everything else', () => {
    const auth = { method: 'pair_code', code: 'AB', expires_at: 1 } as const
    assert.equal(lookOf(channel({ connected: false, auth })).label, 'Waits for you')
  })
})

describe('what to do about a failure', () => {
  it('a refused token is told from a machine that is not online', () => {
    assert.match(mendOf('401 Unauthorized')!, /token/)
    assert.match(mendOf('chat_not_found: Forbidden: bot was blocked by the user')!, /write to it first/)
    assert.match(mendOf('getaddrinfo ENOTFOUND api.example')!, /online/)
  })

  it('nothing is advised where nothing is known', () => {
    assert.equal(mendOf('the moon is full'), undefined)
    assert.equal(mendOf(null), undefined)
  })
})
