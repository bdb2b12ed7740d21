import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createSseParser, type SseEvent, SseTooLarge } from './sse-parser.ts'

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

function parse(text: string, size = Infinity): SseEvent[] {
  const parser = createSseParser()
  const all = bytes(text)
  const out: SseEvent[] = []
  for (let at = 0; at < all.length; at += size) {
    out.push(...parser.push(all.subarray(at, at + Math.min(size, all.length))))
  }
  return [...out, ...parser.end()]
}

const data = (text: string): string[] => parse(text).map((event) => event.data)

describe('the parser of server-sent events', () => {
  const CASES: [string, string, SseEvent[]][] = [
    ['LF', 'data: a\n\ndata: b\n\n', [{ event: '', data: 'a' }, { event: '', data: 'b' }]],
    ['CRLF', 'data: a\r\n\r\ndata: b\r\n\r\n', [{ event: '', data: 'a' }, { event: '', data: 'b' }]],
    ['CR', 'data: a\r\rdata: b\r\r', [{ event: '', data: 'a' }, { event: '', data: 'b' }]],
    ['a byte order mark', '\ufeffdata: a\n\n', [{ event: '', data: 'a' }]],
    ['comments', ': hello\n\n: again\ndata: a\n:\n\n', [{ event: '', data: 'a' }]],
    ['several data lines', 'data: a\ndata:\ndata: b\n\n', [{ event: '', data: 'a\n\nb' }]],
    ['names', 'event: ping\ndata: {}\n\ndata: x\n\n', [{ event: 'ping', data: '{}' }, { event: '', data: 'x' }]],
    ['no blank after the colon', 'data:a\n\n', [{ event: '', data: 'a' }]],
    ['only one blank taken', 'data:  a\n\n', [{ event: '', data: ' a' }]],
    ['unknown fields and nonsense', 'id: 1\nretry: 5\nwhat\n=\ndata: a\n\n', [{ event: '', data: 'a' }]],
    ['names without data', 'event: a\n\ndata: b\n\n', [{ event: '', data: 'b' }]],
    ['characters of four bytes', 'data: 👋🏽 東京 ü\n\n', [{ event: '', data: '👋🏽 東京 ü' }]],
  ]

  for (const [name, text, expected] of CASES) {
    it(`reads ${name}, however the bytes are split`, () => {
      for (const size of [Infinity, 1, 2, 3, 5, 7]) assert.deepEqual(parse(text, size), expected, `pieces of ${size}`)
    })
  }

  it('gives the event whose last blank line never came', () => {
    assert.deepEqual(data('data: a\n\ndata: [DONE]'), ['a', '[DONE]'])
    assert.deepEqual(data('data: a\n\ndata: [DONE]\n'), ['a', '[DONE]'])
  })

  it('replaces bytes that are no text', () => {
    const parser = createSseParser()
    const out = parser.push(Uint8Array.from([...bytes('data: a'), 0xff, ...bytes('b\n\n')]))
    assert.deepEqual(out, [{ event: '', data: 'a\ufffdb' }])
  })

  it('refuses an event without an end', () => {
    const parser = createSseParser(100)
    assert.throws(() => {
      for (let i = 0; i < 20; i++) parser.push(bytes('data: 0123456789'))
    }, SseTooLarge)
    const lines = createSseParser(100)
    assert.throws(() => {
      for (let i = 0; i < 20; i++) lines.push(bytes('data: 0123456789\n'))
    }, SseTooLarge)
  })

  it('reads a long line that comes in many pieces in time that grows with its length', () => {
    const text = `data: ${'x'.repeat(2_000_000)}\n\n`
    const started = performance.now()
    const [event] = parse(text, 1000)
    assert.equal(event?.data.length, 2_000_000)
    assert.ok(performance.now() - started < 2000)
  })
})
