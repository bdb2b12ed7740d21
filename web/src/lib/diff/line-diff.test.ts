import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { countChanges, type DiffLine, lineDiff } from './line-diff.ts'

const drawn = (diff: DiffLine[]): string[] =>
  diff.map((line) =>
    line.kind === 'gap' ? `… ${line.count}` : `${{ same: ' ', added: '+', removed: '-' }[line.kind]}${line.text}`
  )

describe('comparing texts by line', () => {
  it('equal texts have no differences, whatever their last line break', () => {
    assert.deepEqual(lineDiff('a\nb', 'a\nb\n'), [])
    assert.deepEqual(lineDiff('', ''), [])
  })

  it('a changed line is removed and added, with neighbours around it', () => {
    assert.deepEqual(drawn(lineDiff('1\n2\n3\n4\n5', '1\n2\nx\n4\n5', 1)), ['… 1', ' 2', '-3', '+x', ' 4', '… 1'])
  })

  it('lines keep their numbers in both texts', () => {
    const [first, second] = lineDiff('a\nb', 'b')
    assert.deepEqual(first, { kind: 'removed', text: 'a', before: 1 })
    assert.deepEqual(second, { kind: 'same', text: 'b', before: 2, after: 1 })
  })

  it('moved lines are counted as removed and added', () => {
    assert.deepEqual(countChanges(lineDiff('a\nb\nc', 'c\na\nb')), { added: 1, removed: 1 })
  })

  it('from nothing, everything is added', () => {
    assert.deepEqual(drawn(lineDiff('', 'a\nb')), ['+a', '+b'])
  })
})
