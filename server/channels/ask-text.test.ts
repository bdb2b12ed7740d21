import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { labelOf } from './ask-text.ts'
import { extractChoices } from './reply-text.ts'

describe('what is shortened', () => {
  it('does not end within a sign', () => {
    const long = `${'x'.repeat(59)}😀`
    assert.equal(labelOf({ id: '1', display_name: long }), 'x'.repeat(59))
    assert.equal(labelOf({ id: '1', display_name: `${'x'.repeat(57)}👍🏽!` }), 'x'.repeat(57))
    assert.equal(labelOf({ id: '1', display_name: `${'x'.repeat(56)}👍🏽` }), `${'x'.repeat(56)}👍🏽`)
    assert.deepEqual(extractChoices(`[CHOICE: ${'y'.repeat(99)}😀 | no]`).choices, ['y'.repeat(99), 'no'])
  })
})
