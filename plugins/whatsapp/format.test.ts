import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { toWhatsApp } from './format.ts'

describe('text for WhatsApp', () => {
  const cases: [string, string][] = [
    ['# Title', '*Title*'],
    ['**bold** _slanted_ ~~struck~~ `code`', '*bold* _slanted_ ~struck~ `code`'],
    ['```ts\nlet a = 1\n```', '```let a = 1```'],
    ['[x](https://e.org/)', 'x (https://e.org/)'],
    ['[x](javascript:alert(1))', 'x'],
    ['https://e.org/', 'https://e.org/'],
    ['> quoted\n> twice', '> quoted\n> twice'],
    ['- a\n  - b\n- c', '• a\n  ◦ b\n• c'],
    ['**two\nlines**', '*two*\n*lines*'],
  ]
  for (const [markdown, text] of cases) {
    it(`writes ${JSON.stringify(markdown)} as it knows it`, () => assert.equal(toWhatsApp(markdown), text))
  }
})
