import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { draftOf, fileOf, promptCommands } from './prompts.ts'

describe('prompts of MCP servers', () => {
  it('stand behind a slash by server and name, without spaces', () => {
    const prompt = { server: 'my server', name: 'sum up', title: 'Sum up', description: '', arguments: [] }
    assert.deepEqual(promptCommands([prompt])[0], { name: 'my-server:sum-up', description: 'Sum up', prompt })
  })

  it('become a draft: words as text, what they carry as files', async () => {
    const { text, files } = draftOf([
      { role: 'user', content: { type: 'text', text: 'Look at this' } },
      { role: 'user', content: { type: 'resource', resource: { uri: 'demo://notes/a.md', text: '# A' } } },
      { role: 'assistant', content: { type: 'text', text: 'I will' } },
      { role: 'user', content: { type: 'image', data: btoa('png'), mimeType: 'image/png' } },
    ])
    assert.equal(text, 'Look at this\n\nAssistant: I will')
    assert.deepEqual(files.map(({ name }) => name), ['a.md', 'image.png'])
    assert.equal(await files[0]!.text(), '# A')
  })

  it('name a file after the last part of its address, whatever stands before', () => {
    assert.equal(fileOf({ uri: 'file:///etc/%2e%2e%2fpasswd', text: '' }).name, '..-passwd.txt')
    assert.equal(fileOf({ uri: 'demo://', blob: btoa('x') }).name, 'demo-')
    assert.equal(fileOf({ uri: 'x://a/report?v=2', mimeType: 'application/pdf', blob: btoa('x') }).name, 'report.pdf')
  })
})
