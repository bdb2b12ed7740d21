import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { partsOf } from './parts.ts'

describe('the settings of a plugin as a form', () => {
  const parts = partsOf({
    schema: {
      type: 'object',
      properties: {
        port: { type: 'integer' },
        nick: { type: 'string', description: 'Its name' },
        server: { type: 'string' },
        token_file: { type: 'string' },
      },
      required: ['server', 'token_file'],
    },
    ui_hints: {
      server: { order: 1, label: 'Host' },
      nick: { order: 2, placeholder: 'gatehouse' },
      port: { advanced: true },
    },
    fixed: ['token_file'],
  })

  it('come in the order and with the words of its hints', () => {
    assert.deepEqual(Object.keys(parts.plain.properties!), ['server', 'nick'])
    assert.equal(parts.plain.properties!.server!.title, 'Host')
    assert.equal(parts.plain.properties!.nick!.description, 'Its name · For example gatehouse')
  })

  it('keep what is advanced apart, and leave out what gatehouse.yaml decides', () => {
    assert.deepEqual(Object.keys(parts.advanced.properties!), ['port'])
    assert.deepEqual(parts.plain.required, ['server'])
  })
})
