import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, rm, symlink, utimes, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { createStatic } from '../server/http/static.ts'
import { currentRuntime } from '../server/runtime/current.ts'
import type { Listening } from '../server/runtime/port.ts'

const SCRIPT = 'start({ base: "" })'
const PAGE = `<!doctype html><script>${SCRIPT}</script><script src="/a.js"></script>`

describe('static files', () => {
  let folder: string
  let server: Listening

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'static-'))
    const root = join(folder, 'root')
    await mkdir(join(root, '_app/immutable'), { recursive: true })
    await writeFile(join(root, 'index.html'), PAGE)
    await writeFile(join(root, 'a.js'), 'plain script')
    await writeFile(join(root, 'a.js.br'), 'as brotli')
    await writeFile(join(root, 'a.js.gz'), 'as gzip')
    await writeFile(join(root, 'empty.txt'), '')
    await writeFile(join(root, 'big.wasm'), new Uint8Array(3_000_000).fill(7))
    await writeFile(join(root, 'manifest.webmanifest'), '{}')
    await writeFile(join(root, '_app/immutable/x.css'), 'a{}')
    await writeFile(join(folder, 'secret.txt'), 'secret')
    await symlink(join(folder, 'secret.txt'), join(root, 'out.txt'))
    await symlink(join(root, 'a.js'), join(root, 'in.js'))
    const serve = createStatic({ root })
    server = await (await currentRuntime()).serve({
      hostname: '127.0.0.1',
      port: 0,
      fetch: async (request) => await serve(request) ?? new Response('none', { status: 404 }),
      upgrade: () => Promise.resolve(new Response(null, { status: 404 })),
    })
  })

  after(async () => {
    await server.stop(100)
    await rm(folder, { recursive: true })
  })

  const get = (path: string, headers: Record<string, string> = {}, method = 'GET') =>
    fetch(`http://127.0.0.1:${server.port}${path}`, { method, headers: { 'accept-encoding': 'identity', ...headers } })

  it('sends a file with its type, length and a strong tag, and 304 while it is the same', async () => {
    const response = await get('/a.js')
    assert.equal(await response.text(), 'plain script')
    assert.equal(response.headers.get('content-type'), 'text/javascript; charset=utf-8')
    assert.equal(response.headers.get('content-length'), '12')
    assert.equal(response.headers.get('cache-control'), 'no-cache')
    const etag = response.headers.get('etag')!
    assert.match(etag, /^"[^"]+"$/)
    const again = await get('/a.js', { 'if-none-match': `"x", W/${etag}` })
    assert.deepEqual([again.status, await again.text(), again.headers.get('etag')], [304, '', etag])
    assert.equal((await get('/manifest.webmanifest')).headers.get('content-type'), 'application/manifest+json')
    assert.equal(await (await get('/empty.txt')).text(), '')
    assert.equal(await (await get('/in.js')).text(), 'plain script')
  })

  it('sees a file that changed', async () => {
    const path = join(folder, 'root/changing.txt')
    await writeFile(path, 'one')
    const first = await get('/changing.txt')
    await writeFile(path, 'two')
    await utimes(path, 1, 1)
    const second = await get('/changing.txt', { 'if-none-match': first.headers.get('etag')! })
    assert.deepEqual([second.status, await second.text()], [200, 'two'])
  })

  it('keeps what has a hash in its name for ever', async () => {
    const response = await get('/_app/immutable/x.css')
    assert.equal(response.headers.get('cache-control'), 'public, max-age=31536000, immutable')
  })

  it('answers HEAD like GET without a body', async () => {
    const lengths = await Promise.all(['/a.js', '/big.wasm'].map(async (path) => {
      const text = await raw(server.port, `HEAD ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`)
      const [head, body] = text.split('\r\n\r\n')
      return [/content-length: (\d+)/i.exec(head!)?.[1], body]
    }))
    assert.deepEqual(lengths, [['12', ''], ['3000000', '']])
  })

  it('answers ranges', async () => {
    const cases: [string, number, string, string | null][] = [
      ['bytes=0-4', 206, 'plain', 'bytes 0-4/12'],
      ['bytes=6-', 206, 'script', 'bytes 6-11/12'],
      ['bytes=-3', 206, 'ipt', 'bytes 9-11/12'],
      ['bytes=0-999', 206, 'plain script', 'bytes 0-11/12'],
      ['bytes=12-', 416, '', 'bytes */12'],
      ['bytes=-0', 416, '', 'bytes */12'],
      ['bytes=5-2', 200, 'plain script', null],
      ['bytes=0-1,3-4', 200, 'plain script', null],
      ['lines=0-1', 200, 'plain script', null],
    ]
    for (const [range, status, text, contentRange] of cases) {
      const response = await get('/a.js', { range })
      const seen = [response.status, await response.text(), response.headers.get('content-range')]
      assert.deepEqual(seen, [status, text, contentRange], range)
    }
    const part = await get('/big.wasm', { range: 'bytes=1000000-2999999' })
    assert.equal((await part.arrayBuffer()).byteLength, 2_000_000)
    const stale = await get('/a.js', { range: 'bytes=0-4', 'if-range': '"old"' })
    assert.deepEqual([stale.status, await stale.text()], [200, 'plain script'])
  })

  it('sends the compressed twin that the client takes', async () => {
    const sent = async (accepts: string) => {
      const head = `GET /a.js HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAccept-Encoding: ${accepts}\r\n\r\n`
      return await raw(server.port, head)
    }
    assert.match(await sent('gzip, br'), /content-encoding: br[^]*as brotli/i)
    assert.match(await sent('gzip, br;q=0'), /content-encoding: gzip[^]*as gzip/i)
    assert.match(await sent('gzip'), /vary: accept-encoding/i)
    assert.doesNotMatch(await sent('identity'), /content-encoding/i)
    assert.match(await sent('br'), /content-type: text\/javascript/i)
  })

  it('refuses every way out of its folder', async () => {
    const paths = [
      '/../secret.txt',
      '/..%2fsecret.txt',
      '/%2e%2e/secret.txt',
      '/%252e%252e/secret.txt',
      '/..\\secret.txt',
      '/..%5csecret.txt',
      '/a.js%00.txt',
      '/a.js%2500',
      '/out.txt',
      '/%ff',
      '/_app',
    ]
    for (const path of paths) {
      const text = await raw(server.port, `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`)
      assert.match(text, /^HTTP\/1\.1 40[04] /, path)
      assert.doesNotMatch(text, /secret(?!\.txt)/, path)
    }
  })

  it('gives the page to navigation only, with a policy that names its inline script', async () => {
    const page = await get('/chat/some.session', { accept: 'text/html,*/*' })
    assert.equal(await page.text(), PAGE)
    const hash = createHash('sha256').update(SCRIPT).digest('base64')
    const policy = page.headers.get('content-security-policy')!
    assert.ok(policy.includes(`script-src 'self' 'sha256-${hash}';`), policy)
    assert.doesNotMatch(policy, /script-src[^;]*unsafe/)
    assert.equal((await get('/', { accept: 'text/html' })).status, 200)
    const absent: [string, Record<string, string>, string?][] = [
      ['/chat/x', { accept: 'application/json' }],
      ['/missing.js', { accept: 'text/html,*/*' }],
      ['/api/missing', { accept: 'text/html' }],
      ['/v1/x', { accept: 'text/html' }],
      ['/', { accept: 'text/html' }, 'POST'],
    ]
    for (const [path, headers, method] of absent) assert.equal((await get(path, headers, method)).status, 404, path)
  })
})

/** What a server sends to exactly these bytes; `fetch` would tidy the path. */
function raw(port: number, head: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = ''
    const socket = connect(port, '127.0.0.1', () => socket.write(head))
    socket.on('data', (chunk) => text += chunk)
    socket.on('end', () => socket.end())
    socket.on('close', () => resolve(text))
    socket.on('error', reject)
  })
}
