import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { coalesce, expand, sliceAfter, type StoredEvent } from './event-codec.ts'

const text = (o: number, delta: string): StoredEvent => ({ o, t: o, e: { type: 'text', delta } })
const textOf = (events: StoredEvent[]) => events.map((event) => (event.e as { delta?: string }).delta ?? '|').join('')

describe('the codec of stored events', () => {
  const events = [
    text(3, 'He'),
    text(4, 'llo'),
    text(9, ' wor'),
    text(12, 'ld'),
    {
      o: 13,
      t: 13,
      e: { type: 'notice' as const, text: 'x' },
    },
    text(20, '!'),
    text(21, '?'),
  ]

  it('joins adjacent deltas and keeps other events apart', () => {
    assert.deepEqual(coalesce(events).map((event) => event.e.type), ['text', 'notice', 'text'])
    assert.equal(textOf(coalesce(events)), 'Hello world|!?')
  })

  it('keeps of the progress of a call only what nothing outdates', () => {
    const progress = (o: number, call_id: string): StoredEvent => ({
      ...{ o, t: o },
      e: { type: 'tool_progress', call_id, progress: o },
    })
    const result = (o: number, call_id: string): StoredEvent => ({
      ...{ o, t: o },
      e: { type: 'tool_result', call_id, name: 'x', ok: true, result: '', duration_ms: 1 },
    })
    const of = [progress(1, 'a'), progress(2, 'b'), progress(3, 'a'), progress(4, 'b'), result(5, 'b'), text(6, '!')]
    assert.deepEqual(coalesce(of).map(({ o }) => o), [3, 5, 6])
    assert.deepEqual(coalesce([...coalesce(of), result(7, 'a')]).map(({ o }) => o), [5, 6, 7])
  })

  it('resumes after every offset with exactly the text that was not seen, however it was joined', () => {
    const twice = coalesce([...coalesce(events.slice(0, 2)), ...coalesce(events.slice(2))])
    for (let after = 0; after <= 22; after++) {
      const expected = textOf(events.filter((event) => event.o > after))
      assert.equal(textOf(sliceAfter(coalesce(events), after)), expected)
      assert.equal(textOf(sliceAfter(twice, after)), expected)
    }
  })

  it('joins a hundred thousand deltas in a moment and leaves what it was given as it was', () => {
    const many = Array.from({ length: 100_000 }, (_, i) => text(i + 1, 'ab'))
    const first = coalesce(many.slice(0, 2))
    const before = structuredClone(first)
    const begun = performance.now()
    const joined = coalesce([...first, ...many.slice(2)])
    assert.ok(performance.now() - begun < 2000)
    assert.equal(textOf(joined).length, 200_000)
    assert.deepEqual(first, before)
  })

  it('takes a joined delta apart into the deltas that it was made of', () => {
    const plain = events.map(({ o, e }) => ({ o, e }))
    assert.deepEqual(coalesce(events).flatMap(expand).map(({ o, e }) => ({ o, e })), plain)
  })
})
