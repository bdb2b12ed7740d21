import assert from 'node:assert/strict'
import process from 'node:process'
import { it } from 'node:test'
import { Pace } from './pace.ts'

/** Keeps the processor busy for 60 ms. */
function work(): void {
  const begun = process.cpuUsage()
  for (let spent = 0; spent < 60_000;) {
    const { user, system } = process.cpuUsage(begun)
    spent = user + system
  }
}

/** Stands still, as a statement does when the machine has no time for it. */
const stall = () => void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 60)

it('a statement that works for long twice in a row leaves the event loop', () => {
  const pace = new Pace(false)
  pace.run(work)
  assert.equal(pace.slow, false)
  pace.run(work)
  assert.equal(pace.slow, true)
})

it('a statement that was quick in between stays', () => {
  const pace = new Pace(false)
  for (const statement of [work, () => {}, work]) pace.run(statement)
  assert.equal(pace.slow, false)
})

it('a statement that the machine keeps waiting stays on the event loop', () => {
  const pace = new Pace(false)
  for (let i = 0; i < 5; i++) pace.run(stall)
  assert.equal(pace.slow, false)
})

it('a statement whose plan scans never gets onto the event loop', () => {
  assert.equal(new Pace(true).slow, true)
})
