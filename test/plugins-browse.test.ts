import assert from 'node:assert/strict'
import { rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import process from 'node:process'
import { after, before, describe, it } from 'node:test'
import type { PackagedPlugin } from '../shared/plugins.ts'
import { type TestApp, testApp } from './support/app.ts'
import { homeWith, QUICK } from './support/plugins/hosted.ts'

/** As npm's registry answers; the second entry is broken. */
const FOUND = {
  objects: [
    {
      package: {
        name: '@example/gatehouse-weather',
        version: '1.2.3',
        description: 'Tells the <b>weather</b>',
        date: '2026-11-01T10:00:00.000Z',
        publisher: { username: 'ada', email: 'ada@example.org' },
        maintainers: [{ username: 'ada', email: 'ada@example.org' }],
        keywords: ['gatehouse-plugin'],
        links: { homepage: 'https://example.org/weather', npm: 'https://example.org/npm' },
      },
    },
    { package: { name: 'bare', version: '0.1.0', maintainers: [], links: {}, date: 'soon' } },
  ],
  total: 2,
  time: 'now',
}

describe('plugins in npm', { timeout: 120_000 }, () => {
  const asked: URLSearchParams[] = []
  let broken = false
  let app: TestApp
  const registry = createServer((request, response) => {
    const url = new URL(request.url!, 'http://x')
    if (broken || url.pathname !== '/-/v1/search') return void response.writeHead(503).end('{}')
    asked.push(url.searchParams)
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(FOUND))
  })

  before(async () => {
    await new Promise<void>((resolve) => registry.listen(0, '127.0.0.1', resolve))
    const home = await homeWith({ plugins: QUICK })
    const own = {
      npm_config_registry: `http://127.0.0.1:${(registry.address() as AddressInfo).port}/`,
      npm_config_cache: join(home, 'npm-cache'),
      npm_config_fetch_retries: '0',
    }
    app = await testApp({ home, env: { PATH: process.env.PATH!, ...own } })
  })
  after(async () => {
    registry.closeAllConnections()
    registry.close()
    await app.close()
    await rm(app.home, { recursive: true, force: true })
  })

  it('are found by words, among the packages that say that they are plugins', async () => {
    const { packages } = await app.json<{ packages: PackagedPlugin[] }>('/api/plugins/browse?q=weather%20--json')
    assert.equal(asked.at(-1)!.get('text'), 'keywords:gatehouse-plugin weather --json')
    assert.deepEqual(packages, [
      {
        name: '@example/gatehouse-weather',
        version: '1.2.3',
        description: 'Tells the <b>weather</b>',
        publisher: 'ada',
        published_at: Date.parse('2026-11-01T10:00:00.000Z') / 1000,
        homepage: 'https://example.org/weather',
        installed: null,
      },
      {
        name: 'bare',
        version: '0.1.0',
        description: '',
        publisher: null,
        published_at: null,
        homepage: null,
        installed: null,
      },
    ])
  })

  it('are searched for by admins only, and by words that npm takes for words', async () => {
    const { secret: token } = await app.json<{ secret: string }>('/api/keys', {
      json: { name: 'k', scopes: ['read', 'chat'] },
    })
    await app.json('/api/plugins/browse', { token, status: 403 })
    await app.json(`/api/plugins/browse?q=${'x'.repeat(101)}`, { status: 400 })
    await app.json('/api/plugins/browse?q=a%00b', { status: 400 })
  })

  it("say why in npm's words when the registry does not answer, but not where npm keeps its log", async () => {
    broken = true
    const { error } = await app.json<{ error: string }>('/api/plugins/browse?q=other', { status: 502 })
    assert.match(error, /npm could not do this: \S/)
    assert.doesNotMatch(error, /_logs|Command failed|npm error/)
  })
})
