import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { plainDeltas, plainText } from './plain-text.ts'

describe('plain text', () => {
  it('keeps what can be stored and replaces what can not', () => {
    assert.equal(plainText('é👩‍👩‍👧\u2028\r\n\x1b'), 'é👩‍👩‍👧\u2028\r\n\x1b')
    assert.equal(plainText('a\0b\ud83dc'), 'a\ufffdb\ufffdc')
  })

  it('joins a character that comes in two halves', () => {
    const plain = plainDeltas()
    assert.deepEqual(['a\ud83d', '\ude00b', '\ud83d', '\ude00'].map(plain), ['a', '😀b', '', '😀'])
  })
})
