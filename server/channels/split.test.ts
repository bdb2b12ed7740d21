import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { firstPart, lengthIn, splitText } from './split.ts'

const words = (count: number): string => Array.from({ length: count }, (_, i) => `word${i}`).join(' ')

describe('splitting a reply', () => {
  it('leaves a short text as it is', () => assert.deepEqual(splitText('Hello', { size: 10, unit: 'utf16' }), ['Hello']))

  it('says nothing of nothing', () => assert.deepEqual(splitText('  \n', { size: 10, unit: 'utf16' }), []))

  it('keeps every part within the limit, in each unit, and loses no word', () => {
    const text = `${words(200)} äöü 😀 ${'日本語 '.repeat(80)}\n\n${words(90)}`
    for (const unit of ['utf16', 'chars', 'bytes'] as const) {
      const parts = splitText(text, { size: 120, unit })
      assert.ok(parts.every((part) => part !== '' && lengthIn(part, unit) <= 120), unit)
      assert.equal(parts.join(' ').split(/\s+/).join(' '), text.split(/\s+/).join(' ').trim())
    }
  })

  it('fills a message with signs where the platform counts signs, however many units each has', () => {
    const parts = splitText('😀'.repeat(1000), { size: 209, unit: 'chars' })
    assert.deepEqual(parts.map((part) => lengthIn(part, 'chars')), [200, 200, 200, 200, 200])
  })

  it('knows the first part of a text without looking at all of it', () => {
    const texts = [
      words(3000),
      '😀 '.repeat(3000),
      `Look:\n\`\`\`ts\n${'  line()\n'.repeat(2000)}`,
      '[a](https://a.b/) '.repeat(900),
    ]
    for (const text of texts) {
      for (const unit of ['utf16', 'chars', 'bytes'] as const) {
        for (const size of [100, 1000, 100_000]) {
          const closed = text.includes('```') ? `${text}\n\`\`\`` : text
          assert.equal(firstPart(text, { size, unit }), splitText(closed, { size, unit })[0])
        }
      }
    }
    assert.equal(firstPart(' \n', { size: 100, unit: 'utf16' }), '')
  })

  it('cuts between paragraphs before lines, and between lines before words', () => {
    assert.deepEqual(splitText('first one\nsame\n\nsecond one here', { size: 24, unit: 'utf16' }), [
      'first one\nsame',
      'second one here',
    ])
    assert.deepEqual(splitText('first line\nsecond line', { size: 21, unit: 'utf16' }), ['first line', 'second line'])
  })

  it('closes a code fence and opens it again with its language, in each unit', () => {
    const code = Array.from({ length: 30 }, (_, i) => `  line(${i}, 'ä😀')`).join('\n')
    for (const unit of ['utf16', 'chars', 'bytes'] as const) {
      const parts = splitText(`Look:\n\`\`\`ts\n${code}\n\`\`\`\nDone.`, { size: 120, unit })
      assert.ok(parts.length > 2)
      for (const part of parts) {
        assert.equal((part.match(/^```/gm) ?? []).length % 2, 0, part)
        assert.ok(lengthIn(part, unit) <= 120, `${unit}: ${part}`)
      }
      assert.ok(parts[1]!.startsWith('```ts\n  line('), parts[1])
      assert.ok(parts.at(-1)!.endsWith('Done.'))
      const lines = parts.flatMap((part) => part.split('\n')).filter((line) => line.startsWith('  line('))
      assert.deepEqual(lines, code.split('\n'))
    }
  })

  it('knows fences of either sign and of any length, and closes each by its own', () => {
    const text = `~~~~py\n${words(30)}\n\`\`\`\n${words(30)}\n~~~~\n${words(30)}`
    const parts = splitText(text, { size: 100, unit: 'utf16' })
    assert.ok(parts.every((part) => part.length <= 100))
    assert.ok(parts[0]!.startsWith('~~~~py\n') && parts[0]!.endsWith('\n~~~~'), parts[0])
    assert.ok(parts[1]!.startsWith('~~~~py\n'), parts[1])
    assert.ok(!parts.at(-1)!.includes('~'), parts.at(-1))
  })

  it('makes no crowd of messages of one long line behind a fence', () => {
    for (const line of [`\`\`\`json ${'x'.repeat(5000)}`, '`'.repeat(5000), `~~~${'y'.repeat(5000)}`]) {
      const parts = splitText(line, { size: 100, unit: 'utf16' })
      assert.ok(parts.length < 120 && parts.every((part) => part.length <= 100), `${parts.length}`)
    }
  })

  it('takes no time over signs that begin something and end nothing', () => {
    for (const sign of ['[', '![', '**a', '`', '&', '*a ', 'https://']) {
      const begun = performance.now()
      splitText(sign.repeat(50_000), { size: 2000, unit: 'utf16' })
      assert.ok(performance.now() - begun < 5000, sign)
    }
  })

  it('makes no empty part of line breaks, wherever they stand', () => {
    for (
      const text of ['\n' + 'a'.repeat(25), `${'\n'.repeat(30)}abc`, `abc\n${' \n'.repeat(30)}def`, 'a\n\n'.repeat(9)]
    ) {
      const parts = splitText(text, { size: 10, unit: 'bytes' })
      assert.ok(parts.length > 0 && parts.every((part) => part.trim() !== ''), JSON.stringify(parts))
    }
  })

  it('leaves no empty code block behind', () => {
    const parts = splitText(`\`\`\`\n${'a'.repeat(90)}\n\`\`\``, { size: 98, unit: 'utf16' })
    for (const part of parts) assert.doesNotMatch(part, /^```\n*```$/)
  })

  it('does not cut a link, inline code, emphasis or an entity', () => {
    for (const whole of ['[the report](https://example.org/a b)', '`npm run it`', '**very bold words**', '&amp;']) {
      const parts = splitText(`${'x'.repeat(40)} ${'y'.repeat(45)} ${whole} and the end of it`, {
        size: 100,
        unit: 'utf16',
      })
      assert.ok(parts.some((part) => part.includes(whole)), `${whole}: ${JSON.stringify(parts)}`)
    }
  })

  it('never cuts a sign in two, whatever its parts', () => {
    const family = '👩‍👩‍👧‍👦'
    const parts = splitText(family.repeat(40), { size: 50, unit: 'utf16' })
    assert.ok(parts.every((part) => part.replaceAll(family, '') === ''))
    const accents = splitText('é'.repeat(100), { size: 31, unit: 'bytes' })
    assert.ok(accents.every((part) => !part.includes('�') && lengthIn(part, 'bytes') <= 31))
  })

  it('cuts a word that is longer than a message', () => {
    assert.deepEqual(splitText('a'.repeat(25), { size: 14, unit: 'utf16' }).join(''), 'a'.repeat(25))
  })

  it('ends, also where not even one sign fits', () => {
    assert.ok(splitText('👩‍👩‍👧‍👦'.repeat(3), { size: 5, unit: 'bytes' }).length > 0)
  })
})
