import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { it } from 'node:test'
import { SLACK_MANIFEST } from './slack-manifest.ts'

it('the manifest that is copied for a Slack app is that of the README of its plugin', async () => {
  const readme = await readFile(join(import.meta.dirname, '../../../../plugins/slack/README.md'), 'utf8')
  assert.deepEqual(JSON.parse(SLACK_MANIFEST), JSON.parse(/```json\n([^]*?)```/.exec(readme)![1]!))
})
