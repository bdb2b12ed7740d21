import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Heights } from './heights.ts'

const rows = (count: number) => Array.from({ length: count }, (_, index) => `r${index}`)

describe('the window over a long list', () => {
  it('draws what is seen and leaves the right space for the rest', () => {
    const heights = new Heights(() => 100)
    heights.layout(rows(1000))
    assert.equal(heights.total, 100_000)
    assert.deepEqual(heights.window(5000, 5999), { start: 50, end: 60, before: 5000, after: 94_000 })
    assert.deepEqual(heights.window(-500, 50), { start: 0, end: 1, before: 0, after: 99_900 })
    assert.deepEqual(heights.window(99_950, 120_000), { start: 999, end: 1000, before: 99_900, after: 0 })
  })

  it('uses measured heights, and says whether anything changed', () => {
    const heights = new Heights(() => 100)
    heights.layout(rows(3))
    assert.equal(heights.measure([['r0', 40]]), true)
    assert.equal(heights.measure([['r0', 40]]), false)
    assert.equal(heights.top(1), 40)
    assert.equal(heights.total, 240)
    assert.equal(heights.at(39), 0)
    assert.equal(heights.at(40), 1)
  })

  it('keeps measurements when rows are put before them, and forgets them on demand', () => {
    const heights = new Heights(() => 100)
    heights.layout(['b'])
    heights.measure([['b', 30]])
    heights.layout(['a', 'b'])
    assert.equal(heights.total, 130)
    heights.forget()
    assert.equal(heights.total, 200)
  })

  it('guesses each row once, however many others are measured', () => {
    const guessed: number[] = []
    const heights = new Heights((index) => (guessed.push(index), 100))
    heights.layout(rows(3))
    heights.measure([['r0', 40]])
    heights.measure([['r2', 60]])
    assert.equal(heights.total, 200)
    assert.deepEqual(guessed, [0, 1, 2])
  })

  it('has nothing to draw for an empty list', () => {
    const heights = new Heights(() => 100)
    heights.layout([])
    assert.deepEqual(heights.window(0, 500), { start: 0, end: 0, before: 0, after: 0 })
  })
})
