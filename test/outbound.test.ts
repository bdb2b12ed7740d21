import assert from 'node:assert/strict'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, describe, it } from 'node:test'
import { gzipSync } from 'node:zlib'
import { AppError, type ErrorCode } from '../server/errors.ts'
import { isAllowed, isPublic } from '../server/http/addresses.ts'
import { createOutbound } from '../server/http/outbound.ts'
import type { Log } from '../server/system/log.ts'

const silent: Log = { debug() {}, info() {}, warn() {}, error() {} }
const guarded = (allow: string[] = [], resolve?: (host: string) => Promise<string[]>) =>
  createOutbound({ allow: () => allow, log: silent, ...(resolve ? { resolve } : {}) })

const refusedWith = (code: ErrorCode) => (error: unknown) => error instanceof AppError && error.code === code

describe('outbound requests', () => {
  const seen: IncomingMessage[] = []
  let port = 0
  let base = ''
  const server = createServer((request, response) => {
    seen.push(request)
    answer(request, response)
  })

  before(async () => {
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
    port = (server.address() as AddressInfo).port
    base = `http://127.0.0.1:${port}`
  })

  after(() => {
    server.closeAllConnections()
    server.close()
  })

  for (
    const host of [
      '127.0.0.1',
      '2130706433',
      '0x7f000001',
      '0x7f.1',
      '0177.0.0.1',
      '127.1',
      '0.0.0.0',
      '[::]',
      '[::1]',
      '[::ffff:127.0.0.1]',
      '[::ffff:7f00:1]',
      '[::127.0.0.1]',
      '[64:ff9b::7f00:1]',
      '[2002:7f00:1::]',
      '[2001:0:7f00:1::]',
      '[fe80::1]',
      '[fd00::1]',
      'localhost',
      'localhost.',
      'LOCALHOST',
      '10.1.2.3',
      '172.16.0.1',
      '192.168.1.1',
      '169.254.169.254',
      '100.64.0.1',
      '224.0.0.1',
      '255.255.255.255',
    ]
  ) {
    it(`refuse ${host} and never connect`, async () => {
      const before = seen.length
      await assert.rejects(guarded().fetch(`http://${host}:${port}/`), refusedWith('forbidden'))
      assert.equal(seen.length, before)
    })
  }

  it('refuse URLs that are not plain http or https', async () => {
    for (
      const url of [
        'file:///etc/passwd',
        'ftp://example.com/',
        'data:text/plain,x',
        '/relative',
        'http://u:p@127.0.0.1/',
      ]
    ) {
      await assert.rejects(guarded(['127.0.0.1']).fetch(url), refusedWith('invalid_input'), url)
    }
  })

  it('reach an address that the configuration allows', async () => {
    const response = await guarded(['127.0.0.0/8']).fetch(`${base}/hello?x=1`, { headers: { 'x-mine': 'yes' } })
    assert.equal(response.status, 200)
    assert.equal(response.url, `${base}/hello?x=1`)
    assert.deepEqual(await response.json(), { method: 'GET', url: '/hello?x=1', mine: 'yes', body: '' })
  })

  it('send a body', async () => {
    const response = await guarded(['127.0.0.1']).fetch(`${base}/post`, {
      method: 'POST',
      body: JSON.stringify({ a: 'ä' }),
    })
    assert.equal((await response.json() as { body: string }).body, '{"a":"ä"}')
  })

  it('keep a caller from steering the connection by headers', async () => {
    const headers = { host: 'evil.test', 'content-length': '1', 'transfer-encoding': 'chunked', te: 'trailers' }
    const response = await guarded(['127.0.0.1']).fetch(`${base}/headers`, { method: 'POST', body: 'text', headers })
    const received = await response.json() as Record<string, string>
    assert.equal(received.host, `127.0.0.1:${port}`)
    assert.equal(received['content-length'], '4')
    assert.equal(received['transfer-encoding'], undefined)
  })

  it('refuse a redirect into the private network', async () => {
    // The first hop is open by name; the address that it points at is not.
    const outbound = guarded(['open.test'], () => Promise.resolve(['127.0.0.1']))
    for (
      const target of [`${base}/hello`, `http://[::ffff:127.0.0.1]:${port}/hello`, 'http://169.254.169.254/latest']
    ) {
      const url = `http://open.test:${port}/redirect?to=${encodeURIComponent(target)}`
      await assert.rejects(outbound.fetch(url), refusedWith('forbidden'), target)
    }
  })

  it('connect to the address that was judged, whatever the name answers later', async () => {
    const answers = [['127.0.0.1'], ['10.0.0.1']]
    const outbound = guarded(['127.0.0.1'], () => Promise.resolve(answers.shift() ?? []))
    const response = await outbound.fetch(`http://flip.test:${port}/host`)
    assert.equal(await response.text(), `flip.test:${port}`)
    await assert.rejects(outbound.fetch(`http://flip.test:${port}/host`), refusedWith('forbidden'))
  })

  it('ask for a name once per hop, so that a second answer is never used', async () => {
    let asked = 0
    const outbound = guarded(['127.0.0.1'], () => Promise.resolve(++asked === 1 ? ['127.0.0.1'] : ['127.0.0.2']))
    await (await outbound.fetch(`http://once.test:${port}/host`)).text()
    assert.equal(asked, 1)
  })

  it('use only the open ones of several addresses', async () => {
    const outbound = guarded(['127.0.0.1'], () => Promise.resolve(['10.0.0.1', '127.0.0.1']))
    assert.equal((await outbound.fetch(`http://both.test:${port}/host`)).status, 200)
  })

  it('try the next address when one is not reachable', async () => {
    const outbound = guarded(['127.0.0.0/8'], () => Promise.resolve(['127.0.0.9', '127.0.0.1']))
    assert.equal((await outbound.fetch(`http://two.test:${port}/host`)).status, 200)
  })

  it('say that a host was not found or not reached', async () => {
    await assert.rejects(
      guarded([], () => Promise.reject(new Error('ENOTFOUND'))).fetch('http://nowhere.test/'),
      refusedWith('bad_gateway'),
    )
    await assert.rejects(guarded(['127.0.0.1']).fetch('http://127.0.0.1:1/'), refusedWith('bad_gateway'))
  })

  it('follow five redirects and not a sixth', async () => {
    const outbound = guarded(['127.0.0.1'])
    const response = await outbound.fetch(`${base}/hops?n=5`)
    assert.equal(response.status, 200)
    assert.equal(response.redirected, true)
    await response.text()
    await assert.rejects(outbound.fetch(`${base}/hops?n=6`), refusedWith('bad_gateway'))
  })

  it('keep credentials within an origin and drop them at its border', async () => {
    const outbound = guarded(['127.0.0.1', 'other.test'], () => Promise.resolve(['127.0.0.1']))
    const headers = { authorization: 'Bearer secret', 'x-mine': 'secret', accept: 'text/x' }
    const same = await outbound.fetch(`${base}/redirect?to=/headers`, { headers })
    assert.equal((await same.json() as Record<string, string>).authorization, 'Bearer secret')
    const target = encodeURIComponent(`http://other.test:${port}/headers`)
    const other = await outbound.fetch(`${base}/redirect?to=${target}`, { headers })
    const received = await other.json() as Record<string, string>
    assert.equal(received.authorization, undefined)
    assert.equal(received['x-mine'], undefined)
    assert.equal(received.accept, 'text/x')
  })

  it('turn a redirected POST into a GET, and repeat it whole on 307', async () => {
    const outbound = guarded(['127.0.0.1'])
    const post = { method: 'POST', body: 'text' }
    const found = await outbound.fetch(`${base}/redirect?to=/x`, post)
    assert.deepEqual(await found.json(), { method: 'GET', url: '/x', body: '' })
    const kept = await outbound.fetch(`${base}/redirect?status=307&to=/x`, post)
    assert.deepEqual(await kept.json(), { method: 'POST', url: '/x', body: 'text' })
  })

  it('cap the size, declared or not, compressed or not', async () => {
    const outbound = guarded(['127.0.0.1'])
    for (const path of ['/big?length', '/big', '/bomb']) {
      await assert.rejects(
        outbound.fetch(base + path, { maxBytes: 100_000 }).then((response) => response.text()),
        refusedWith('too_large'),
        path,
      )
    }
    assert.equal((await (await outbound.fetch(`${base}/bomb`)).text()).length, 1_000_000)
  })

  it('cap the time, before the first byte and within the body', async () => {
    const outbound = guarded(['127.0.0.1'])
    for (const path of ['/hang', '/drip']) {
      const start = Date.now()
      await assert.rejects(
        outbound.fetch(base + path, { timeoutMs: 150 }).then((response) => response.text()),
        refusedWith('upstream_timeout'),
        path,
      )
      assert.ok(Date.now() - start < 2000)
    }
  })

  it('stop at once when the caller aborts', async () => {
    const abort = new AbortController()
    const pending = guarded(['127.0.0.1']).fetch(`${base}/hang`, { signal: abort.signal })
    abort.abort()
    await assert.rejects(pending, { name: 'AbortError' })
  })

  it('report an answer that was cut, not a clean end', async () => {
    const response = await guarded(['127.0.0.1']).fetch(`${base}/cut`)
    await assert.rejects(response.text(), refusedWith('bad_gateway'))
  })
})

describe('addresses', () => {
  it('of the public internet are public', () => {
    for (const address of ['1.1.1.1', '93.184.216.34', '2606:4700::1111', '172.32.0.1', '100.128.0.1']) {
      assert.equal(isPublic(address), true, address)
    }
  })

  it('that are scoped, mapped or malformed are not', () => {
    for (const address of ['fe80::1%eth0', '::ffff:8.8.8.8', '2001:db8::1', 'fec0::1', '198.18.0.1', 'nonsense', '']) {
      assert.equal(isPublic(address), false, address)
    }
  })

  it('match an allow list by name, port, address and range, and nothing beside it', () => {
    assert.equal(isAllowed(['nas.lan'], 'nas.lan', '80', '192.168.1.5'), true)
    assert.equal(isAllowed(['nas.lan'], 'evil-nas.lan', '80', '192.168.1.5'), false)
    assert.equal(isAllowed(['*.lan'], 'nas.lan', '80', '192.168.1.5'), true)
    assert.equal(isAllowed(['*.lan'], 'nas.wlan', '80', '192.168.1.5'), false)
    assert.equal(isAllowed(['nas.lan:8080'], 'nas.lan', '80', '192.168.1.5'), false)
    assert.equal(isAllowed(['127.0.0.1:8080'], '127.0.0.1', '8080', '127.0.0.1'), true)
    assert.equal(isAllowed(['10.0.0.0/8'], 'x', '80', '::ffff:10.0.0.1'), true)
    assert.equal(isAllowed(['10.0.0.0/8'], 'x', '80', '11.0.0.1'), false)
    assert.equal(isAllowed(['::1'], 'x', '80', '::1'), true)
  })
})

function answer(request: IncomingMessage, response: ServerResponse): void {
  const url = new URL(request.url ?? '/', 'http://x')
  const to = url.searchParams.get('to')
  if (url.pathname === '/redirect') {
    response.writeHead(Number(url.searchParams.get('status') ?? 302), { location: to ?? '/' }).end()
  } else if (url.pathname === '/hops' && Number(url.searchParams.get('n')) > 0) {
    response.writeHead(302, { location: `/hops?n=${Number(url.searchParams.get('n')) - 1}` }).end()
  } else if (url.pathname === '/host') response.end(request.headers.host)
  else if (url.pathname === '/headers') response.end(JSON.stringify(request.headers))
  else if (url.pathname === '/big') {
    const body = 'x'.repeat(1_000_000)
    if (url.search) response.setHeader('content-length', body.length)
    response.write(body)
    response.end()
  } else if (url.pathname === '/bomb') {
    response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync('x'.repeat(1_000_000)))
  } else if (url.pathname === '/drip') response.write('first')
  else if (url.pathname === '/cut') {
    response.writeHead(200, { 'content-length': '100' })
    response.write('half')
    setTimeout(() => response.destroy(), 30)
  } else if (url.pathname !== '/hang') {
    let body = ''
    request.on('data', (chunk) => (body += chunk))
    request.on('end', () => {
      const { method, url, headers } = request
      response.end(JSON.stringify({ method, url, mine: headers['x-mine'], body }))
    })
  }
}
