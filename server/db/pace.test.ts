import assert from 'node:assert/strict'
import { it } from 'node:test'
import { Pace } from './pace.ts'

/** A pace, and statements that take so many milliseconds: at work, or waiting for the machine or its disk. */
function begin({ scans = false } = {}) {
  let clock = 0
  let cpu = 0
  return {
    pace: new Pace(scans, { clock: () => clock, cpu: () => cpu }),
    works: (ms: number) => () => {
      clock += ms
      cpu += ms
    },
    waits: (ms: number) => () => void (clock += ms),
  }
}

it('a statement that works for long twice in a row leaves the event loop, and comes back after a while', () => {
  const { pace, works, waits } = begin()
  pace.run(works(60))
  assert.equal(pace.slow, false)
  pace.run(works(60))
  assert.equal(pace.slow, true)
  waits(600_000)()
  assert.equal(pace.slow, false)
})

it('a statement that was quick in between stays', () => {
  const { pace, works } = begin()
  for (const ms of [60, 1, 60]) pace.run(works(ms))
  assert.equal(pace.slow, false)
})

it('a statement that a loaded machine keeps waiting stays on the event loop', () => {
  const { pace, waits } = begin()
  for (let i = 0; i < 5; i++) pace.run(waits(60))
  assert.equal(pace.slow, false)
})

it('a statement that is stuck leaves it, whatever it waits for', () => {
  const { pace, waits } = begin()
  for (let i = 0; i < 2; i++) pace.run(waits(150))
  assert.equal(pace.slow, true)
})

it('a statement whose plan scans never gets onto the event loop', () => {
  assert.equal(begin({ scans: true }).pace.slow, true)
})
