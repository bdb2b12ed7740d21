import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { isSameOrigin } from './browser.ts'
import { peerOf } from './peer.ts'

const request = (headers: Record<string, string>) =>
  new Request('http://localhost:8765/', { headers: { host: 'gate:8765', ...headers } })
const forwarded = { 'x-forwarded-for': '203.0.113.7', 'x-forwarded-proto': 'https', 'x-forwarded-host': 'Gate.Example' }

describe('the peer of a request', () => {
  it('is the connection, whatever headers a stranger sends', () => {
    const peer = { address: '192.0.2.1', scheme: 'http', host: 'gate:8765' }
    assert.deepEqual(peerOf(request(forwarded), '192.0.2.1', []), peer)
    assert.deepEqual(peerOf(request(forwarded), '192.0.2.1', ['10.0.0.0/8', 'loopback']), peer)
  })

  it('is whom a trusted proxy names', () => {
    const peer = { address: '203.0.113.7', scheme: 'https', host: 'gate.example' }
    for (
      const [from, trusted] of [['10.1.1.1', '10.0.0.0/8'], ['127.0.0.1', 'loopback'], ['::1', '::1'], [
        '::ffff:10.1.1.1',
        '10.1.1.1',
      ]] as const
    ) {
      assert.deepEqual(peerOf(request(forwarded), from, [trusted]), peer, from)
    }
  })

  it('is the first stranger from the right, for a client may have begun the list itself', () => {
    const of = (list: string) => peerOf(request({ 'x-forwarded-for': list }), '10.0.0.1', ['10.0.0.0/8']).address
    assert.equal(of('1.2.3.4, 203.0.113.7, 10.0.0.9'), '203.0.113.7')
    assert.equal(of('1.2.3.4, nonsense, 203.0.113.7:4711'), '203.0.113.7')
    assert.equal(of('[2001:db8::1]:4711'), '2001:db8::1')
    assert.equal(of('10.0.0.5, 10.0.0.6'), '10.0.0.5')
    assert.equal(of(''), '10.0.0.1')
  })
})

describe('the same origin', () => {
  it('counts a default port as none', () => {
    const headers = {
      'x-forwarded-proto': 'https',
      'x-forwarded-host': 'gate.example:443',
      origin: 'https://gate.example',
    }
    assert.equal(isSameOrigin(request(headers), peerOf(request(headers), '10.0.0.1', ['10.0.0.1'])), true)
  })

  it('is not another port of the same host', () => {
    const other = request({ origin: 'http://gate:9999' })
    assert.equal(isSameOrigin(other, peerOf(other, '192.0.2.1', [])), false)
  })
})
