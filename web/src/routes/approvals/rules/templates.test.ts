import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as v from 'valibot'
import { condition } from '../../../../../server/tools/cel.ts'
import { ToolRuleInput } from '../../../../../shared/tools.ts'
import { TEMPLATES } from './templates.ts'

const call = (tool: string, effect: string, args: Record<string, unknown>, channel = '') => ({
  ...{ tool, effect, args, channel },
  session: { id: 's', origin: 'chat' },
  principal: { kind: 'user', handle: 'owner', name: 'Firefox' },
})
const when = (title: string) => condition(TEMPLATES.find((template) => template.title === title)!.rule.when!)

describe('templates of rules', () => {
  it('are rules that the server takes, each with a condition that compiles', async () => {
    for (const { title, rule } of TEMPLATES) {
      assert.ok(v.is(ToolRuleInput, rule), title)
      if (rule.when) await condition(rule.when)
    }
  })

  it('mean what they say', async () => {
    const rm = await when('Never delete by command')
    assert.equal(rm(call('shell.run', 'execute', { command: 'rm -rf x' })), true)
    assert.equal(rm(call('shell.run', 'execute', { command: 'rmate x' })), false)
    const hosts = await when('Web pages of some hosts only')
    assert.equal(hosts(call('web.fetch', 'read', { url: 'https://example.org/a' })), false)
    assert.equal(hosts(call('web.fetch', 'read', { url: 'https://example.org.evil/a' })), true)
    const chats = await when('Chats only read')
    assert.equal(chats(call('notes.create', 'write', {}, 'telegram')), true)
    assert.equal(chats(call('notes.create', 'write', {})), false)
  })
})
