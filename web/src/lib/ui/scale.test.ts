import assert from 'node:assert/strict'
import { it } from 'node:test'
import { roundUp } from './scale.ts'

it('the top of a scale is the next round number, and never below what is drawn', () => {
  assert.deepEqual([0, 1, 2, 24, 49.2, 50, 50.3, 999].map(roundUp), [1, 1, 2, 30, 50, 50, 60, 1000])
  for (let value = 1; value < 1e9; value *= 1.37) assert.ok(roundUp(value) >= value, String(value))
})
