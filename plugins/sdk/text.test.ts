import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { lengthOf, splitText, type TextLimit } from './text.ts'

const fits = (pieces: string[], limit: TextLimit): boolean =>
  pieces.every((piece) => piece.trim() !== '' && lengthOf(piece, limit.unit) <= limit.max)

describe('a long text', () => {
  it('stays one when it fits, and nothing comes of an empty one', () => {
    assert.deepEqual(splitText('short', { max: 5, unit: 'utf16' }), ['short'])
    assert.deepEqual(splitText(' \n', { max: 5, unit: 'utf16' }), [])
  })

  it('is cut between paragraphs, then lines, then words, and loses nothing', () => {
    const text = 'one two three.\n\nfour five six.\nseven eight nine ten eleven'
    const limit = { max: 30, unit: 'chars' } as const
    const pieces = splitText(text, limit)
    assert.equal(pieces[0], 'one two three.')
    assert.ok(fits(pieces, limit))
    assert.deepEqual(pieces.join(' ').split(/\s+/), text.split(/\s+/))
  })

  it('is counted in the unit of the platform, and never cut within a character', () => {
    for (const unit of ['utf16', 'chars', 'bytes'] as const) {
      const limit = { max: 17, unit }
      const pieces = splitText('😀ä'.repeat(40), limit)
      assert.ok(fits(pieces, limit), unit)
      assert.equal(pieces.join(''), '😀ä'.repeat(40))
    }
  })

  it('closes a code fence that is cut, and opens it again with its language', () => {
    const code = Array.from({ length: 20 }, (_, i) => `  line(${i})`).join('\n')
    const limit = { max: 120, unit: 'utf16' } as const
    const pieces = splitText(`before\n\n\`\`\`ts\n${code}\n\`\`\`\n\nafter`, limit)
    assert.ok(pieces.length > 2 && fits(pieces, limit))
    for (const piece of pieces) assert.equal((piece.match(/^```/gm) ?? []).length % 2, 0, piece)
    const lines = pieces.join('\n').split('\n').filter((line) => line.startsWith('  line('))
    assert.deepEqual(lines, code.split('\n'))
  })

  it('makes no crowd of messages of one long line behind a fence', () => {
    const limit = { max: 100, unit: 'utf16' } as const
    for (const line of [`\`\`\`json ${'x'.repeat(5000)}`, '`'.repeat(5000), `~~~${'y'.repeat(5000)}`]) {
      const pieces = splitText(line, limit)
      assert.ok(pieces.length < 120 && fits(pieces, limit), `${pieces.length}`)
    }
  })

  it('is not taken for code because of a line that only quotes some', () => {
    const pieces = splitText('``` a ``` and\n' + 'word '.repeat(40), { max: 100, unit: 'utf16' })
    assert.ok(pieces.every((piece) => !piece.endsWith('\n```')), JSON.stringify(pieces))
  })
})
