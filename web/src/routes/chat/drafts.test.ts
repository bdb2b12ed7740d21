import assert from 'node:assert/strict'
import { beforeEach, describe, it } from 'node:test'
import { keepUnsent, kept, type Unsent, unsentSessions } from './drafts.ts'

/** Of the browser, as far as drafts need it. */
class Storage {
  getItem(name: string): string | null {
    return Object.hasOwn(this, name) ? (this as unknown as Record<string, string>)[name]! : null
  }
  setItem(name: string, text: string): void {
    Object.assign(this, { [name]: text })
  }
  removeItem(name: string): void {
    delete (this as unknown as Record<string, string>)[name]
  }
}

const unsent = (key: string, at: number): Unsent => ({ key, text: `text of ${key}`, attachments: [], at })
const keysOf = (session: string) => kept<Unsent[]>(`outbox.${session}`, []).map(({ key }) => key)

describe('messages that were not acknowledged yet', () => {
  beforeEach(() => {
    Object.defineProperty(globalThis, 'localStorage', { value: new Storage(), configurable: true })
  })

  it('of two tabs on one session are kept side by side, in the order in which they were sent off', () => {
    keepUnsent('s', [unsent('first tab', 1), unsent('first tab again', 3)], new Set())
    keepUnsent('s', [unsent('second tab', 2)], new Set())
    assert.deepEqual(keysOf('s'), ['first tab', 'second tab', 'first tab again'])
  })

  it('leave with the acknowledgement, and nobody else’s with them', () => {
    keepUnsent('s', [unsent('mine', 1)], new Set())
    keepUnsent('s', [unsent('other', 2)], new Set())
    keepUnsent('s', [], new Set(['mine']))
    assert.deepEqual(keysOf('s'), ['other'])
    assert.deepEqual(unsentSessions(), [{ id: 's', text: 'text of other' }])
    keepUnsent('s', [], new Set(['other']))
    assert.deepEqual(unsentSessions(), [])
  })
})
