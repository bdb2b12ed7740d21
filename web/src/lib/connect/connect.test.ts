import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { advise } from './advice.ts'
import { contextWindow, dollars } from './measures.ts'
import { CUSTOM, firstChoice, freeName, type Vendor, vendorOf, VENDORS } from './vendors.ts'

const vendor = (id: string): Vendor => VENDORS.find((known) => known.id === id)!

describe('connecting a model', () => {
  it('a second connection to a vendor gets a name of its own and is still recognised', () => {
    assert.equal(freeName(vendor('openai'), []), 'openai')
    assert.equal(freeName(vendor('openai'), ['openai', 'openai-2']), 'openai-3')
    assert.equal(vendorOf('openai-3')?.id, 'openai')
    assert.equal(vendorOf('mine'), undefined)
  })

  it('the first choice is a chat model that people want, else the first', () => {
    const offered = [{ id: 'text-embedding-3', kind: 'embedding' }, { id: 'davinci', kind: 'llm' }, {
      id: 'gpt-5-mini',
      kind: 'llm',
    }]
    assert.equal(firstChoice(offered, vendor('openai')), 'gpt-5-mini')
    assert.equal(firstChoice(offered, CUSTOM), 'davinci')
    assert.equal(firstChoice([], CUSTOM), '')
  })

  it('a refusal comes with what to do', () => {
    assert.match(advise('The key was refused by api.openai.com (401).', vendor('openai'))!, /platform\.openai\.com/)
    assert.match(advise('127.0.0.1:11434 could not be reached (ECONNREFUSED).', vendor('ollama'))!, /ollama serve/)
    assert.equal(advise('Something else entirely', vendor('openai')), undefined)
  })

  it('windows and prices are short', () => {
    assert.deepEqual([128_000, 1_000_000, 1_048_576, 512].map(contextWindow), ['128k', '1M', '1M', '512'])
    assert.deepEqual([0, 2.5, 0.075].map(dollars), ['free', '$2.50', '$0.075'])
  })
})
