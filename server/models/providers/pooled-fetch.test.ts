import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { createPooledFetch } from './pooled-fetch.ts'

describe('an answer that breaks off', () => {
  it('gives what came before it broke to a reader that is late, and then the error', async () => {
    const server = createServer((_, response) => {
      for (const piece of ['one ', 'two ', 'three']) response.write(piece)
      setTimeout(() => response.destroy(), 30)
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const response = await createPooledFetch()(`http://127.0.0.1:${port}/`)
    await sleep(100)
    let text = ''
    const read = async (): Promise<void> => {
      for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
        text += new TextDecoder().decode(chunk)
      }
    }
    await assert.rejects(read())
    assert.equal(text, 'one two three')
    server.close()
  })
})
