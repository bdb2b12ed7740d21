import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { check, originOf, sectionsOf } from './fields.ts'

describe('the settings form', () => {
  it('has single settings first, then one section for each group', () => {
    const sections = sectionsOf({
      properties: {
        server: { type: 'object', title: 'Server', properties: { port: { type: 'integer' } } },
        name: { type: 'string' },
        channels: { type: 'object', title: 'Channels', additionalProperties: {} },
      },
    })
    assert.deepEqual(sections.map(({ id, free }) => [id, free]), [['general', false], ['server', false], [
      'channels',
      true,
    ]])
    assert.deepEqual(sections[1]?.fields[0]?.path, ['server', 'port'])
  })

  it('says what is wrong with a value', () => {
    const port = { type: 'integer', minimum: 0, maximum: 65535 } as const
    assert.equal(check(port, 70000), 'must be at most 65535')
    assert.equal(check(port, 1.5), 'must be a whole number')
    assert.equal(check(port, '80a'), 'must be a number')
    assert.equal(check({ type: 'string', minLength: 1 }, ''), 'must not be empty')
    assert.match(check({ type: 'array', items: { type: 'string', pattern: '^a$' } }, ['a', 'b'])!, /“b”/)
  })

  it('lets a reference to a variable stand for any value', () => {
    assert.equal(check({ type: 'integer' }, '${MY_PORT}'), undefined)
    assert.equal(check({ type: 'integer' }, undefined), undefined)
  })

  it('finds where a setting comes from', () => {
    assert.equal(originOf({ 'server.port': 'environment' }, ['server', 'port']), 'environment')
    assert.equal(originOf({ 'channels.a.token': 'file' }, ['channels']), 'file')
    assert.equal(originOf({}, ['name']), 'default')
  })
})
