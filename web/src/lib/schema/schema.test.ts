import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { problemsOf } from './problems.ts'
import { beginning, fieldsOf, type JsonSchema, kindOf, limitWords, plain, typeWords } from './schema.ts'

describe('a schema for a form', () => {
  it('is found behind references, "or null" and a single allOf; circles end', () => {
    const root: JsonSchema = {
      $defs: {
        'a/b': { type: 'string', title: 'Name' },
        loop: { $ref: '#/$defs/loop' },
      },
    }
    assert.deepEqual(plain({ $ref: '#/$defs/a~1b', description: 'Mine' }, root), {
      type: 'string',
      title: 'Name',
      description: 'Mine',
    })
    assert.equal(plain({ anyOf: [{ type: 'integer' }, { type: 'null' }] }, root).type, 'integer')
    assert.equal(plain({ allOf: [{ $ref: '#/$defs/a~1b' }] }, root).type, 'string')
    assert.deepEqual(plain({ $ref: '#/$defs/loop' }, root), {})
    assert.deepEqual(plain({ $ref: 'https://elsewhere.example/schema' }, root), {})
  })

  it('says how it is entered, with JSON for what fits nothing', () => {
    const kinds: [JsonSchema, string][] = [
      [{ type: 'string' }, 'text'],
      [{ type: 'string', maxLength: 20_000 }, 'lines'],
      [{ type: ['integer', 'null'] }, 'number'],
      [{ type: 'boolean' }, 'flag'],
      [{ enum: [1, 'a'] }, 'choice'],
      [{ const: 'x' }, 'fixed'],
      [{ type: 'array', items: { type: 'string' } }, 'list'],
      [{ type: 'array' }, 'json'],
      [{ properties: { a: {} } }, 'group'],
      [{ type: 'object', additionalProperties: true }, 'json'],
      [{ type: ['string', 'number'] }, 'json'],
      [{}, 'json'],
    ]
    for (const [schema, kind] of kinds) assert.equal(kindOf(schema), kind, JSON.stringify(schema))
    assert.equal(kindOf({ properties: { a: {} } }, 99), 'json')
  })

  it('lists what is required first, and begins with what has a default', () => {
    const schema: JsonSchema = {
      type: 'object',
      properties: {
        free: { type: 'string' },
        mode: { enum: ['a', 'b'], default: 'b' },
        inner: { type: 'object', properties: { on: { type: 'boolean' } }, required: ['on'] },
      },
      required: ['inner', 'mode'],
    }
    assert.deepEqual(fieldsOf(schema).map(({ name }) => name), ['mode', 'inner', 'free'])
    assert.deepEqual(beginning(schema, schema), { mode: 'b', inner: { on: false } })
  })

  it('is told in words', () => {
    const words = (schema: JsonSchema) => typeWords(schema, schema)
    assert.equal(
      words({ type: 'array', items: { type: 'integer', minimum: 1, maximum: 9 } }),
      'list of whole number, 1 to 9',
    )
    assert.equal(words({ anyOf: [{ type: 'string' }, { type: 'boolean' }] }), 'text or yes or no')
    assert.equal(words({}), 'anything')
    assert.equal(limitWords({ type: 'string' }), '')
    assert.equal(limitWords({ type: 'string', minLength: 2, maxLength: 9 }), '2 to 9 characters')
    assert.equal(limitWords({ type: 'string', minLength: 1, maxLength: 9 }), 'at most 9 characters')
    assert.equal(limitWords({ type: 'string', minLength: 1 }), '')
  })
})

describe('problems of values', () => {
  const schema: JsonSchema = {
    type: 'object',
    properties: {
      name: { type: 'string', minLength: 1, maxLength: 3 },
      size: { type: 'integer', minimum: 1 },
      tags: {
        type: 'array',
        maxItems: 2,
        items: { type: 'object', properties: { key: { type: 'string' } }, required: ['key'] },
      },
      any: {},
    },
    required: ['name'],
  }
  const of = (value: unknown) => Object.fromEntries(problemsOf(schema, value))

  it('are named where they are', () => {
    assert.deepEqual(of({}), { name: 'is needed' })
    assert.deepEqual(of({ name: 'abc', any: { x: [1] } }), {})
    assert.deepEqual(of({ name: '', size: 0, tags: [{}, { key: 'x' }] }), {
      'name': 'must not be empty',
      'size': 'must be at least 1',
      'tags/0/key': 'is needed',
    })
    assert.deepEqual(of({ name: '👍👍👍', size: '1x', tags: [{ key: '' }, { key: '' }, { key: '' }] }), {
      size: 'must be a number',
      tags: 'takes at most 2',
    })
  })
})
