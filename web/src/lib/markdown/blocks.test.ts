import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createSplitter, splitBlocks } from './blocks.ts'

const SAMPLES = [
  '# Title\n\nA paragraph\nof two lines.\n\n- one\n- two\n\n  still two\n\n- three\n\nAfter.\n',
  'Before\n\n```ts\nconst a = 1\n\n\nconst b = 2\n```\n\nAfter `code`.\n\n| a | b |\n| - | -: |\n| 1 | 2 |\n\nEnd',
  'Heading\n===\n\n> quote\nlazy\n\n1. a\n   ```js\n   x\n   ```\n2. b\n\n---\n\n    indented\n\nlast\r\nline\r\n\r\n* x',
]

describe('splitting Markdown while it grows', () => {
  it('gives the same blocks as splitting the finished text, wherever the pieces are cut', () => {
    for (const sample of SAMPLES) {
      for (const size of [1, 2, 3, 7, 20]) {
        const split = createSplitter()
        let blocks = split('')
        for (let end = size; end < sample.length + size; end += size) blocks = split(sample.slice(0, end))
        const raw = (list: typeof blocks) => list.map((block) => [block.start, block.token.type, block.token.raw])
        assert.deepEqual(raw(blocks), raw(splitBlocks(sample)), `pieces of ${size} of ${JSON.stringify(sample)}`)
      }
    }
  })

  it('does not split finished blocks again', () => {
    const split = createSplitter()
    const first = split('one\n\ntwo')
    const second = split('one\n\ntwo and more')
    assert.equal(second[0], first[0])
    assert.notEqual(second[1], first[1])
  })

  it('starts over when the text is replaced', () => {
    const split = createSplitter()
    split('one\n\ntwo')
    assert.deepEqual(split('other').map((block) => block.token.raw), ['other'])
  })
})
