import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { toMrkdwn } from './mrkdwn.ts'
import { readable } from './readable.ts'

describe('text for Slack', () => {
  const cases: [string, string][] = [
    ['# A **bold** title', '*A bold title*'],
    ['**bold** *italic* ~~gone~~ `a<b`', '*bold* _italic_ ~gone~ `a&lt;b`'],
    ['***both***', '_*both*_'],
    ['un**believ**able', 'un\u200b*believ*\u200bable'],
    ['**two\nlines**', '*two*\n*lines*'],
    ['<!channel> <@U1> & co', '&lt;!channel&gt; &lt;@U1&gt; &amp; co'],
    ['[**a** | b](https://e.org/?x=1&y=<2>)', '<https://e.org/?x=1&amp;y=%3C2%3E|a ¦ b>'],
    ['[x](javascript:alert(1))', 'x'],
    ['https://e.org/a?b=1&c=2', 'https://e.org/a?b=1&amp;c=2'],
    ['![cat](https://e.org/c.png)', '<https://e.org/c.png|cat>'],
    ['- one\n- two\n  1. in it', '• one\n• two\n  1. in it'],
    ['> said **so**\n> twice', '> said *so*\n> twice'],
    ['```ts\nif (a < b) {}\n```', '```\nif (a &lt; b) {}\n```'],
    ['````\n```\n````', '```\n`\u200b`\u200b`\n```'],
    ['``a`b``', '`aˋb`'],
    ['| a | b |\n|---|---|\n| 1 | 2 |', '```\na | b\n--+--\n1 | 2\n```'],
  ]
  for (const [markdown, mrkdwn] of cases) {
    it(`writes ${JSON.stringify(markdown)} as it knows it`, () => assert.equal(toMrkdwn(markdown), mrkdwn))
  }
})

describe('text from Slack', () => {
  const names: Record<string, string> = { U1: 'Ada', W2: 'Bob' }
  const cases: [string, string][] = [
    ['<@U1> and <@W2> and <@U3>', '@Ada and @Bob and @U3'],
    ['<@U3|carl>', '@carl'],
    ['<#C1|general> <#C2>', '#general #C2'],
    ['<!here> <!channel|channel> <!subteam^S1|@team> <!subteam^S2>', '@here @channel @team @subteam'],
    ['<!date^1392734382^{date}|Feb 18>', 'Feb 18'],
    ['<https://e.org> <https://e.org|here> <mailto:a@e.org|a@e.org>', 'https://e.org here (https://e.org) a@e.org'],
    ['&lt;@U1&gt; is &amp;amp;', '<@U1> is &amp;'],
    ['a < b', 'a < b'],
  ]
  for (const [text, plain] of cases) {
    it(`reads ${JSON.stringify(text)}`, async () => {
      assert.equal(await readable(text, (id) => Promise.resolve(names[id])), plain)
    })
  }
})
