import { createHmac } from 'node:crypto'
import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import { definePlugin } from '../../../plugins/sdk/plugin.ts'

const HUGE = 10 * 1024 * 1024

/** Answers requests from outside as it should under `hook` and `own`, and as it should not under `bad`. */
definePlugin({
  id: 'answering',
  register(api) {
    const seen: unknown[] = []
    let running = 0
    let most = 0
    const address = api.httpRoute({
      name: 'hook',
      path: 'hook',
      methods: ['GET', 'POST'],
      auth: 'plugin',
      handle(request) {
        if (request.method === 'GET') return request.searchParams.get('challenge') ?? 'no challenge'
        const signature = createHmac('sha256', 'shared').update(request.bytes()).digest('hex')
        if (request.headers.get('x-signature') !== signature) return { status: 401, body: 'wrong signature' }
        seen.push(request.text())
        return { status: 202, body: { address, own: api.publicUrl, seen: seen.length } }
      },
    })
    api.httpRoute({
      name: 'own',
      path: 'own',
      match: 'prefix',
      auth: 'gateway',
      handle: ({ method, path, query, headers, remote }, { context }) =>
        Response.json({ method, path, query, headers: Object.fromEntries(headers), remote, context }),
    })
    api.httpRoute({ name: 'echo', path: 'echo', auth: 'plugin', handle: (request) => ({ body: request.bytes() }) })
    api.httpRoute({ name: 'nothing', path: 'nothing', auth: 'plugin', handle() {} })
    api.httpRoute({ name: 'undeclared', path: 'undeclared', auth: 'plugin', handle: () => 'never' })
    api.httpRoute({ name: 'opened', path: 'own/opened', auth: 'plugin', handle: () => 'never' })
    api.httpRoute({ name: 'again', path: 'hook', auth: 'plugin', methods: ['POST'], handle: () => 'never' })
    api.httpRoute({
      name: 'slow',
      path: 'slow',
      auth: 'plugin',
      async handle() {
        most = Math.max(most, ++running)
        await sleep(300)
        running--
        return { body: { most } }
      },
    })

    const bad: Record<string, () => unknown> = {
      hangs: () => new Promise(() => {}),
      line() {
        process.stdout.write(`${'x'.repeat(HUGE / 4)}\n`)
        return new Promise(() => {})
      },
      huge: () => ({ body: 'x'.repeat(HUGE) }),
      status: () => ({ status: 99 }),
      text: () => 'only a text',
      body: () => ({ body: { a: 1 } }),
      fails: () => Promise.reject(new Error('the secret of the plugin')),
      dies: () => process.exit(3),
      headers: () => ({
        status: 200,
        headers: {
          'Set-Cookie': 'gatehouse_session=stolen; Path=/',
          'Content-Type': 'text/html',
          'Content-Security-Policy': "default-src * 'unsafe-inline'",
          'Access-Control-Allow-Origin': 'https://evil.example',
          'Access-Control-Allow-Credentials': 'true',
          'Clear-Site-Data': '"*"',
          'Transfer-Encoding': 'chunked',
          'X-Accel-Redirect': '/etc/passwd',
          'Service-Worker-Allowed': '/',
          'Cache-Control': 'public, max-age=31536000',
          'X-Hook-Secret': 'echoed',
          'ETag': 'bad\r\nvalue',
          'Location': 'javascript:alert(1)',
        },
        body: '<script>fetch("/api/keys")</script>',
      }),
      script: () => ({ headers: { 'content-type': 'text/javascript' }, body: 'alert(1)' }),
    }
    for (const [name, handle] of Object.entries(bad)) {
      api.offer({
        kind: 'http_route',
        definition: { name, path: `bad/${name}`, auth: 'plugin' },
        methods: { handle },
      })
    }
  },
})
