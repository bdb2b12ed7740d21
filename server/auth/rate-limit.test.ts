import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { addressKey, createRateLimit } from './rate-limit.ts'

describe('a rate limit', () => {
  it('permits so many in a window that begins with the first', () => {
    let now = 0
    const limit = createRateLimit({ max: 2, windowMs: 10_000, now: () => now })
    assert.equal(limit.hit('a'), 0)
    now = 4_000
    assert.equal(limit.hit('a'), 0)
    assert.equal(limit.hit('a'), 6)
    assert.equal(limit.blockedFor('b'), 0)
    now = 10_000
    assert.equal(limit.blockedFor('a'), 0)
    assert.equal(limit.hit('a'), 0)
  })

  it('forgets the oldest key of too many', () => {
    const limit = createRateLimit({ max: 1, windowMs: 10_000, now: () => 0, maxKeys: 2 })
    for (const key of ['a', 'b', 'c']) limit.hit(key)
    assert.equal(limit.blockedFor('a'), 0)
    assert.equal(limit.blockedFor('b'), 10)
    assert.equal(limit.blockedFor('c'), 10)
  })

  it('knows an IPv4 address in both spellings, and an IPv6 network as one', () => {
    assert.equal(addressKey('::ffff:192.0.2.1'), addressKey('192.0.2.1'))
    assert.equal(addressKey('2001:db8:1:2::1'), addressKey('2001:db8:1:2:ffff::9'))
    assert.notEqual(addressKey('2001:db8:1:2::1'), addressKey('2001:db8:1:3::1'))
    assert.equal(addressKey('unknown'), 'unknown')
  })
})
