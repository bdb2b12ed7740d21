import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { splitBlocks } from './blocks.ts'
import { toHtml } from './render.ts'

const html = (source: string, highlight: Parameters<typeof toHtml>[1] = () => undefined) =>
  splitBlocks(source).map((block) => toHtml(block.token, highlight)).join('')

describe('rendering Markdown of a message', () => {
  it('shows raw HTML as text', () => {
    const out = html('<img src=x onerror=alert(1)>\n\nhi <script>alert(1)</script> <b>bold</b>')
    assert.doesNotMatch(out, /<(img|script|b)\b/)
    assert.match(out, /&lt;script&gt;/)
  })

  it('opens links in a new tab without telling the page they open', () => {
    assert.match(
      html('[a](https://example.org/?a=1&b=2)'),
      /<a href="https:\/\/example\.org\/\?a=1&amp;b=2" target="_blank" rel="noopener noreferrer">a<\/a>/,
    )
  })

  it('drops links that would run or read something', () => {
    for (
      const href of ['javascript:alert(1)', 'data:text/html,x', 'file:///etc/passwd', '//evil.example/x', 'vbscript:x']
    ) {
      assert.doesNotMatch(html(`[a](${href})`), /href/, href)
    }
  })

  it('loads images of this server only, others become links', () => {
    assert.match(html('![x](/api/files?path=a.png)'), /<img src="\/api\/files\?path=a\.png" alt="x"/)
    const out = html('![x](https://tracker.example/p.png)')
    assert.doesNotMatch(out, /<img/)
    assert.match(out, /Image: x<\/a>/)
  })

  it('escapes code and names its language', () => {
    const out = html('```html\n<script>"&\'</script>\n```')
    assert.match(out, /<span>html<\/span>/)
    assert.match(out, /&lt;script&gt;&quot;&amp;&#39;/)
    assert.match(out, /data-copy="code"/)
  })

  it('puts coloured code where there is some, also in lists', () => {
    const out = html(
      '- item\n\n  ```js\n  let a\n  ```',
      (code, language) => `<span class="tok">${language}:${code}</span>`,
    )
    assert.match(out, /<code><span class="tok">js:let a<\/span><\/code>/)
  })

  it('lets wide tables scroll by themselves', () => {
    assert.match(html('| a |\n| - |\n| 1 |'), /<div class="md-table" tabindex="0"[^>]*><table>/)
  })
})
