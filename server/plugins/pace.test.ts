import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createBuckets } from './buckets.ts'
import { createPace } from './pace.ts'

/** Runs `work` as if the clock of the day had been set back by an hour. */
function setBack<T>(work: () => T): T {
  const { now } = Date
  Date.now = () => now() - 3_600_000
  try {
    return work()
  } finally {
    Date.now = now
  }
}

describe('When the clock of the day is set back', () => {
  it('a plugin is read on at once', () => {
    const pace = createPace({ perSecond: () => 100, holdMs: () => 1000 })
    assert.equal(pace.spend(10), 0)
    assert.equal(setBack(() => pace.spend(10)), 0)
  })

  it('requests from outside are taken on at once', () => {
    const buckets = createBuckets({ perSecond: () => 10, burstSeconds: 2 })
    assert.equal(buckets.take('a'), 0)
    assert.equal(setBack(() => buckets.take('a')), 0)
  })
})
