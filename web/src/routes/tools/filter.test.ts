import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { ToolInfo } from '../../../../shared/tools.ts'
import { bySource, filterTools, sourceWords } from './filter.ts'

const tool = (name: string, more: Partial<ToolInfo> = {}): ToolInfo => ({
  name,
  description: '',
  source: 'gatehouse',
  effect: 'read',
  input_schema: {},
  applies: { decision: 'allow', reason: '', by: 'default', rule_id: null },
  conditional: [],
  calls: { count: 0, last_at: null, last_state: null },
  off: null,
  ...more,
})
const none = { q: '', source: '', effect: '', decision: '' }
const TOOLS = [
  tool('web.fetch', { description: 'Reads a page of the web' }),
  tool('git_push', { source: 'mcp:git', effect: 'execute' }),
  tool('git_log', { source: 'mcp:git' }),
  tool('shell.run', { effect: 'execute', off: 'Set it' }),
]
const found = (filter: Partial<typeof none>) => filterTools(TOOLS, { ...none, ...filter }).map(({ name }) => name)

describe('the list of tools', () => {
  it('is narrowed by every word, the source, the effect and what the gate says', () => {
    assert.equal(found({}).length, 4)
    assert.deepEqual(found({ q: 'Page  reads' }), ['web.fetch'])
    assert.deepEqual(found({ source: 'mcp:git', effect: 'execute' }), ['git_push'])
    assert.deepEqual(found({ decision: 'off' }), ['shell.run'])
    assert.deepEqual(found({ decision: 'allow', effect: 'execute' }), ['git_push'])
  })

  it('is grouped by source, ours first, and sorted', () => {
    const groups = bySource(TOOLS).map(({ source, tools }) => [source, ...tools.map(({ name }) => name)])
    assert.deepEqual(groups, [['gatehouse', 'shell.run', 'web.fetch'], ['mcp:git', 'git_log', 'git_push']])
    assert.equal(sourceWords('mcp:a:b'), 'MCP server a:b')
  })
})
