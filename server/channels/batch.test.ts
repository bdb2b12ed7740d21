import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createBatch } from './batch.ts'

describe('writes that share a commit', () => {
  it('gathers what comes in one turn of the loop and answers each with its own result', async () => {
    const writes: number[][] = []
    const add = createBatch((items: number[]) => {
      writes.push(items)
      return Promise.resolve(items.map((item) => item * 10))
    })
    assert.deepEqual(await Promise.all([add(1), add(2), add(3)]), [10, 20, 30])
    assert.deepEqual(writes, [[1, 2, 3]])
    assert.equal(await add(4), 40)
  })

  it('lets what can be written not suffer from what cannot', async () => {
    const add = createBatch((items: string[]) =>
      items.includes('bad') ? Promise.reject(new Error('cannot be written')) : Promise.resolve(items)
    )
    const [first, second, third] = await Promise.allSettled([add('a'), add('bad'), add('b')])
    assert.deepEqual(first, { status: 'fulfilled', value: 'a' })
    assert.equal(second?.status, 'rejected')
    assert.deepEqual(third, { status: 'fulfilled', value: 'b' })
  })
})
