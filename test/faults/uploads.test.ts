import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join, sep } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Problem } from '../../shared/problem.ts'
import type { Upload } from '../../shared/uploads.ts'
import { OWNER_TOKEN, type TestApp, testApp } from '../support/app.ts'

const LIMIT = 64 * 1024
const PNG = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 13)
const encoder = new TextEncoder()

describe('uploads', () => {
  let app: TestApp
  let url: string
  before(async () => {
    app = await testApp({ flags: { 'uploads.max_bytes': LIMIT } })
    url = await app.listen()
  })
  after(() => app.close())

  const upload = (bytes: Uint8Array, name = 'a.txt', type = 'text/plain'): Promise<Response> => {
    const form = new FormData()
    form.set('file', new File([bytes as Uint8Array<ArrayBuffer>], name, { type }))
    return fetch(`${url}/api/upload`, {
      method: 'POST',
      body: form,
      headers: { authorization: `Bearer ${OWNER_TOKEN}` },
    })
  }

  /** A multipart body as it is written by hand. */
  const raw = (body: string | Uint8Array, type = 'multipart/form-data; boundary=b'): Promise<Response> =>
    app.request('/api/upload', { method: 'POST', body: body as BodyInit, headers: { 'content-type': type } })

  const stored = async (): Promise<string[]> =>
    (await readdir(join(app.home, 'uploads'), { recursive: true, withFileTypes: true }).catch(() => []))
      .filter((entry) => entry.isFile()).map(({ name }) => name)

  async function refused(answer: Promise<Response>, status: number, says: RegExp): Promise<void> {
    const before = await stored()
    const response = await answer
    const problem = await response.json() as Problem
    assert.equal(response.status, status, JSON.stringify(problem))
    assert.match(problem.detail!, says)
    assert.deepEqual(await stored(), before)
  }

  it('are sent in parts, told again only when they changed, and not read whole into memory', async () => {
    const { path } = await (await upload(encoder.encode('0123456789'), 'digits.txt')).json() as Upload
    const big = join(app.home, 'workspace', 'big.bin')
    await mkdir(join(app.home, 'workspace'), { recursive: true })
    await writeFile(big, new Uint8Array(3 * 1024 * 1024).fill(7))
    const get = (file: string, headers: Record<string, string> = {}) =>
      fetch(`${url}/api/files?path=${encodeURIComponent(file)}`, {
        headers: { authorization: `Bearer ${OWNER_TOKEN}`, ...headers },
      })
    const part = await get(path, { range: 'bytes=2-4' })
    assert.deepEqual([part.status, await part.text()], [206, '234'])
    assert.equal(part.headers.get('content-range'), 'bytes 2-4/10')
    assert.equal((await get(path, { range: 'bytes=10-' })).status, 416)
    const end = await get(big, { range: 'bytes=-5' })
    assert.deepEqual([...new Uint8Array(await end.arrayBuffer())], [7, 7, 7, 7, 7])

    const whole = await get(big)
    assert.equal((await whole.arrayBuffer()).byteLength, 3 * 1024 * 1024)
    const tag = whole.headers.get('etag')!
    assert.equal((await get(big, { 'if-none-match': tag })).status, 304)
    await writeFile(big, 'written anew')
    const anew = await get(big, { 'if-none-match': tag })
    assert.deepEqual([anew.status, await anew.text()], [200, 'written anew'])
  })

  it('are refused when too large, empty, of another type, in another field, or torn', async () => {
    await refused(upload(new Uint8Array(LIMIT + 1)), 413, /larger than 65536 bytes/)
    await refused(upload(new Uint8Array(LIMIT * 4)), 413, /larger than/)
    await refused(upload(new Uint8Array()), 400, /empty/)
    await refused(raw('{"file":"x"}', 'application/json'), 415, /multipart/)
    await refused(raw('--b\r\nContent-Disposition: form-data; name="other"\r\n\r\nx\r\n--b--\r\n'), 400, /file/)
    await refused(raw('--b\r\nContent-Disposition: form-data; name="file"\r\n\r\nx\r\n--b--\r\n'), 400, /file/)
    const torn = '--b\r\nContent-Disposition: form-data; name="file"; filename="x.txt"\r\n\r\nhalf of i'
    await refused(raw(torn), 400, /broken/)
    await refused(raw(''), 400, /./)
    await refused(raw('no boundary at all'), 400, /./)
    await refused(raw('--b\r\n\r\n\r\n--b--\r\n', 'multipart/form-data'), 400, /./)
    await refused(raw(Uint8Array.from({ length: 5000 }, (_, i) => i % 256)), 400, /./)
  })

  it('are known by their bytes, whatever they are called, and shown in no other way', async () => {
    const cases: [string, string, Uint8Array, string][] = [
      ['photo.png', 'image/png', encoder.encode('<html><script>alert(1)</script>'), 'text/plain'],
      ['page.html', 'text/html', encoder.encode('<html><script>alert(1)</script>'), 'text/plain'],
      ['notes.txt', 'text/plain', PNG, 'image/png'],
      ['image.svg', 'image/svg+xml', encoder.encode('<svg onload="alert(1)"/>'), 'text/plain'],
      ['x.pdf', 'application/pdf', Uint8Array.of(0, 1, 2, 3), 'application/octet-stream'],
    ]
    for (const [name, type, bytes, mime] of cases) {
      const response = await upload(bytes, name, type)
      const file = await response.json() as Upload
      assert.equal(file.mime_type, mime, name)
      for (const inline of ['', '&inline=1']) {
        const shown = await app.request(`/api/files?path=${encodeURIComponent(file.path)}${inline}`)
        assert.deepEqual(new Uint8Array(await shown.arrayBuffer()), bytes)
        assert.doesNotMatch(shown.headers.get('content-type')!, /html|svg|xml|script/)
        assert.equal(shown.headers.get('x-content-type-options'), 'nosniff')
        assert.match(shown.headers.get('content-security-policy')!, /sandbox/)
      }
    }
  })

  it('lie in their folder under a plain name, whatever name they came with', async () => {
    const names = [
      '../../../etc/passwd',
      '..\\..\\windows\\system32\\x.dll',
      '/etc/shadow',
      'a\0b.txt',
      'line\r\nbreak: x.txt',
      '.',
      '..',
      '.htaccess',
      'con:aux|nul?*.txt',
      '\u202egnp.exe',
      'x'.repeat(5000) + '.txt',
      '日本語 📎.txt',
      '%2e%2e%2fx',
    ]
    const folder = join(app.home, 'uploads') + sep
    for (const name of names) {
      const form = new FormData()
      form.set('file', new File(['hello'], 'plain.txt'))
      form.set('filename', name)
      for (
        const answer of [
          upload(encoder.encode('hello'), name),
          app.request('/api/upload', { method: 'POST', body: form }),
        ]
      ) {
        const response = await answer
        assert.equal(response.status, 200, `${name.slice(0, 50)}: ${await response.clone().text()}`)
        const file = await response.json() as Upload
        assert.ok(file.path.startsWith(folder), file.path)
        assert.ok(!/[\0-\x1f\\]|\.\.|\//.test(file.filename), JSON.stringify(file.filename))
        assert.ok(encoder.encode(file.path.slice(folder.length)).byteLength < 400, name.slice(0, 50))
        assert.equal(await readFile(file.path, 'utf8'), 'hello')
      }
    }
  })

  it('open no way to any other file', async () => {
    await writeFile(join(app.home, 'outside.txt'), 'secret')
    const own = await (await upload(encoder.encode('mine'))).json() as Upload
    await symlink(join(app.home, 'outside.txt'), join(own.path, '..', 'link.txt'))
    const folder = join(own.path, '..')
    const paths = [
      '/etc/passwd',
      join(app.home, 'gatehouse.db'),
      join(app.home, 'outside.txt'),
      `${folder}/../../outside.txt`,
      `${folder}/link.txt`,
      `${own.path}/../../../outside.txt`,
      `${own.path}\0.png`,
      folder,
      `${folder}-other/x`,
      'file:///etc/passwd',
      '',
      '.',
      '/'.repeat(4096),
      'x'.repeat(4097),
    ]
    for (const path of paths) {
      const response = await app.request(`/api/files?path=${encodeURIComponent(path)}`)
      const text = await response.text()
      assert.ok([400, 404].includes(response.status), `${path.slice(0, 60)} answered ${response.status}`)
      assert.doesNotMatch(text, /secret|root:/)
      const sent = await app.request('/api/sessions/u/messages', {
        method: 'POST',
        json: { text: 'x', attachments: [{ path }] },
      })
      assert.equal(sent.status, 400, path.slice(0, 60))
      assert.match(((await sent.json()) as Problem).detail!, /attachments\.0\.path/)
    }
  })

  it('that lie about their length, or stop in the middle, leave nothing and hold nothing up', async () => {
    const before = await stored()
    const { port, hostname } = new URL(url)
    const head = (length: string) =>
      `POST /api/upload HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${OWNER_TOKEN}\r\n` +
      `Content-Type: multipart/form-data; boundary=b\r\n${length}\r\n\r\n`
    const part = '--b\r\nContent-Disposition: form-data; name="file"; filename="half.txt"\r\n\r\nhalf'
    const send = async (text: string): Promise<{ answer: () => string; drop(): void }> => {
      const socket = connect(Number(port), hostname)
      socket.on('error', () => {})
      await once(socket, 'connect')
      let answer = ''
      socket.on('data', (chunk) => (answer += String(chunk)))
      socket.write(text)
      return { answer: () => answer, drop: () => socket.resetAndDestroy() }
    }
    // Said more than it sends, and goes.
    const short = await send(head('Content-Length: 5000') + part)
    await sleep(50)
    short.drop()
    // Says nothing, and sends without end.
    const endless = await send(
      head('Transfer-Encoding: chunked') +
        `${(LIMIT * 3).toString(16)}\r\n${part}${'x'.repeat(LIMIT * 3 - part.length)}\r\n`,
    )
    // Says too much from the start.
    const huge = await send(head(`Content-Length: ${10 ** 12}`) + part)
    for (let i = 0; i < 600 && (!endless.answer() || !huge.answer()); i++) await sleep(50)
    assert.match(endless.answer(), /^HTTP\/1\.1 413 [\s\S]*larger than/)
    assert.match(huge.answer(), /^HTTP\/1\.1 413 [\s\S]*larger than/)
    endless.drop()
    huge.drop()
    assert.deepEqual(await stored(), before)
    assert.equal((await fetch(`${url}/api/health`)).status, 200)
  })

  it('and paths that only a socket can send are answered with 4xx', async () => {
    const { port, hostname } = new URL(url)
    const paths = [
      '/api/../../../etc/passwd',
      '/..%2f..%2f',
      '//etc/passwd',
      '/api/sessions/%',
      '/%00',
      '*',
      '/\\..\\..',
      '/api/files?path=%',
      '/api/sessions/a b',
    ]
    for (const path of paths) {
      const socket = connect(Number(port), hostname)
      socket.on('error', () => {})
      let answer = ''
      socket.on('data', (chunk) => (answer += String(chunk)))
      socket.write(
        `GET ${path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${OWNER_TOKEN}\r\nConnection: close\r\n\r\n`,
      )
      await Promise.race([once(socket, 'close'), sleep(5000, undefined, { ref: false })])
      assert.match(answer, /^HTTP\/1\.1 (4\d\d|200)/, path)
      assert.doesNotMatch(answer, /root:/, path)
    }
  })
})
