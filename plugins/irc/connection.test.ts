import assert from 'node:assert/strict'
import { type AddressInfo, createServer } from 'node:net'
import { it } from 'node:test'
import { openConnection } from './connection.ts'

it('a server with an address in place of a name is greeted with TLS', async () => {
  let greeting: Uint8Array | undefined
  const server = createServer((socket) => {
    socket.once('data', (bytes: Uint8Array) => {
      greeting = bytes
      socket.destroy()
    })
    socket.on('error', () => {})
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  try {
    const { port } = server.address() as AddressInfo
    const signal = AbortSignal.timeout(30_000)
    await assert.rejects(openConnection({ server: '127.0.0.1', port, tls: true, linesPerSecond: 1, signal }))
    // The first byte of a TLS handshake (RFC 8446 §5.1).
    assert.equal(greeting?.[0], 22)
  } finally {
    await new Promise((resolve) => server.close(resolve))
  }
})
