import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { bytes, duration, relative } from './format.ts'

describe('format', () => {
  it('bytes are scaled to the unit that keeps them short', () => {
    assert.deepEqual([0, 999, 1000, 1_460_000, 250e9, 4e12].map(bytes), [
      '0 B',
      '999 B',
      '1.0 kB',
      '1.5 MB',
      '250 GB',
      '4.0 TB',
    ])
  })

  it('a duration shows its two largest units and no zeros', () => {
    assert.deepEqual([0.25, 59, 60, 3725, 86_400, 186_000].map(duration), [
      '250 ms',
      '59 s',
      '1 min',
      '1 h 2 min',
      '1 d',
      '2 d 3 h',
    ])
  })

  it('a time is told from now, in both directions', () => {
    assert.equal(relative(1000, 1003), 'just now')
    assert.equal(relative(1000, 1000 + 7200), '2 hours ago')
    assert.equal(relative(1000 + 86_400, 1000), 'tomorrow')
    assert.equal(relative(1000, 1000 + 86_400 * 21), '3 weeks ago')
  })
})
