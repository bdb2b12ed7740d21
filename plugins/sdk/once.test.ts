import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { after, before, describe, it } from 'node:test'
import { sentOnce } from './once.ts'

describe('a request that is sent at most once', () => {
  const taken: string[] = []
  // Takes what is posted; breaks the connection, which was kept until then, in place of an answer to "break".
  const server = createServer(async (request, response) => {
    const body = await text(request)
    taken.push(`${request.headers['content-type']} ${body}`)
    if (body === 'break') request.socket.destroy()
    else response.end('done')
  })
  before(() => new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve)))
  after(async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })

  it('reaches the other side once when a kept connection breaks before the answer', async () => {
    const post = async (body: string) => {
      const { port } = server.address() as AddressInfo
      const init = { method: 'POST', headers: { 'content-type': 'text/x-note' }, body }
      return await (await fetch(`http://127.0.0.1:${port}/`, sentOnce(init))).text()
    }
    assert.equal(await post('ä note'), 'done')
    await assert.rejects(post('break'))
    assert.equal(await post('after it'), 'done')
    assert.deepEqual(taken, ['text/x-note ä note', 'text/x-note break', 'text/x-note after it'])
  })
})
