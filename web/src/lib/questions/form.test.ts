import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { contentOf, fieldsOf, problemOf, startOf } from './form.ts'

const SCHEMA = {
  type: 'object',
  properties: {
    name: { type: 'string', title: 'Your name', minLength: 2 },
    mail: { type: 'string', format: 'email' },
    age: { type: 'integer', minimum: 18 },
    sure: { type: 'boolean', default: true },
    color: { type: 'string', enum: ['r', 'g'], enumNames: ['Red', 'Green'] },
    size: { type: 'string', oneOf: [{ const: 's', title: 'Small' }, { const: 'l' }], default: 'l' },
    tags: { type: 'array', items: { type: 'string', enum: ['a', 'b'] }, maxItems: 1 },
  },
  required: ['name', 'age'],
}

describe('a form that a server asks for', () => {
  const fields = fieldsOf(SCHEMA)
  const of = (name: string) => fields.find((field) => field.name === name)!

  it('is read from its schema: kinds, titles, choices and defaults', () => {
    assert.deepEqual(fields.map(({ kind }) => kind), [
      'text',
      'text',
      'number',
      'yes',
      'choice',
      'choice',
      'choices',
    ])
    assert.deepEqual([of('name').label, of('name').required, of('mail').required], ['Your name', true, false])
    assert.deepEqual((of('color') as { options: object[] }).options[1], { value: 'g', label: 'Green' })
    assert.deepEqual((of('size') as { options: object[] }).options, [
      { value: 's', label: 'Small' },
      { value: 'l', label: 'l' },
    ])
    const start = startOf(fields)
    assert.deepEqual([start.sure, start.size, start.name, start.tags], [true, 'l', '', []])
  })

  it('says what is wrong with a value, and nothing of an optional one that is empty', () => {
    assert.equal(problemOf(of('name'), ''), 'This is needed')
    assert.match(problemOf(of('name'), 'A')!, /At least 2/)
    assert.match(problemOf(of('mail'), 'nobody')!, /e-mail/)
    assert.equal(problemOf(of('mail'), ''), undefined)
    assert.match(problemOf(of('age'), '17')!, /At least 18/)
    assert.match(problemOf(of('age'), '18.5')!, /whole/)
    assert.match(problemOf(of('tags'), ['a', 'b'])!, /At most 1/)
  })

  it('sends values of the right type and leaves out what is empty', () => {
    const content = contentOf(fields, { ...startOf(fields), name: 'Ada', age: '36', sure: false })
    assert.deepEqual(content, { name: 'Ada', age: 36, sure: false, size: 'l' })
  })

  it('is empty where the schema is nonsense', () => {
    assert.deepEqual(fieldsOf({ properties: 7 }), [])
    assert.deepEqual(fieldsOf({ properties: { a: null, b: { type: 'object' } } }).map(({ kind }) => kind), ['text'])
  })
})
