import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdtemp, readdir, readFile, readlink, rename, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { Hono } from 'hono'
import type { Caller, Scope } from '../server/auth/principal.ts'
import { type BusEvent, createBus } from '../server/bus/bus.ts'
import { configRoutes } from '../server/config/routes.ts'
import { createConfig } from '../server/config/service.ts'
import { createConfigStore } from '../server/config/store.ts'
import { openDatabase } from '../server/db/open.ts'
import type { AppEnv } from '../server/http/env.ts'
import { onError } from '../server/http/on-error.ts'
import { createSecrets } from '../server/secrets/service.ts'
import type { Log } from '../server/system/log.ts'

const quiet: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }

const caller = (scope: Scope): Caller => ({
  kind: 'user',
  handle: 'owner',
  id: 'browser-1',
  name: 'Firefox on Linux',
  scopes: new Set([scope]),
})

type Setup = {
  /** Text of gatehouse.yaml; no file when left out. */
  yaml?: string
  dotenv?: string
  env?: Record<string, string>
  flags?: Record<string, unknown>
  scope?: Scope
}

/** A home with a configuration, its routes, and the way to clean up after them. */
async function setup({ yaml, dotenv, env = {}, flags = {}, scope = 'admin' }: Setup = {}) {
  const home = await mkdtemp(join(tmpdir(), 'gatehouse-config-'))
  const file = join(home, 'gatehouse.yaml')
  if (yaml !== undefined) await writeFile(file, yaml)
  if (dotenv !== undefined) await writeFile(join(home, '.env'), dotenv)
  const db = await openDatabase({ url: ':memory:' })
  const schema = await readFile(new URL('../server/db/migrations/0004-config.sql', import.meta.url), 'utf8')
  await db.run(schema)
  const bus = createBus()
  const events: BusEvent[] = []
  bus.subscribe((event) => void events.push(event))
  const secrets = createSecrets({ home, env: {} })
  const store = createConfigStore({ kysely: db.kysely, secrets })
  const start = () => createConfig({ home, env, flags, store, bus, log: quiet })
  const config = await start()
  const app = new Hono<AppEnv>()
  app.onError(onError(quiet))
  app.use(async (c, next) => {
    c.set('caller', caller(scope))
    await next()
  })
  app.route('/api/config', configRoutes(config))
  const send = (method: string, path: string, body?: unknown, headers: Record<string, string> = {}) =>
    app.request(`/api/config${path}`, {
      method,
      ...(body === undefined
        ? {}
        : { body: typeof body === 'string' && headers['content-type'] ? body : JSON.stringify(body) }),
      headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
    })
  return {
    app,
    home,
    file,
    config,
    events,
    db,
    start,
    send,
    text: () => readFile(file, 'utf8'),
    json: async (path: string) => (await send('GET', path)).json(),
    close: async () => {
      await config.stop()
      await db.close()
      await rm(home, { recursive: true, force: true })
    },
  }
}

type World = Awaited<ReturnType<typeof setup>>

const test = (title: string, options: Setup, body: (world: World) => Promise<void>) =>
  it(title, async () => {
    const world = await setup(options)
    try {
      await body(world)
    } finally {
      await world.close()
    }
  })

async function until(what: string, condition: () => boolean): Promise<void> {
  for (let i = 0; i < 1500; i++) {
    if (condition()) return
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  assert.fail(`waited in vain until ${what}`)
}

const COMMENTED = `# My agent
name: Ada   # the name

server:
    port: 9000      # behind Caddy
    trusted_proxies: [ 10.0.0.0/8 ]

# Chat
channels:
    telegram:
        token: "123456789:secret-of-the-bot"   # from BotFather
        allowed_users: [ '42' ]
    discord:
        token: \${DISCORD_TOKEN}
`

describe('reading the configuration', () => {
  test('without a file the defaults are in force and nothing is written', {}, async ({ config, file }) => {
    assert.equal(config.current().name, 'Gatehouse')
    assert.equal(config.current().server.port, 8765)
    assert.equal(config.origins()['server.port'], 'default')
    assert.deepEqual(config.problems(), [])
    assert.equal(existsSync(file), false)
  })

  test('each later source wins and every value knows where it comes from', {
    yaml: 'server: {port: 1, host: 127.0.0.2}\nagent: {max_steps: 3}\nsessions: {max_queue: 5}\n',
    dotenv: 'PORT=2\nGATEHOUSE_AGENT__MAX_STEPS=4\nGATEHOUSE_OUTBOUND__ALLOW=10.0.0.0/8, nas.local\n',
    env: { GATEHOUSE_SERVER__PORT: '3', HOST: '127.0.0.3', GATEHOUSE_NAME: 'Eve', GATEHOUSE_TOKEN: 'not-a-setting' },
    flags: { 'server.host': '127.0.0.4', 'server.port': undefined },
  }, async ({ config }) => {
    const { server, agent, outbound, name, sessions } = config.current()
    assert.deepEqual([server.port, server.host, agent.max_steps, name], [3, '127.0.0.4', 4, 'Eve'])
    assert.deepEqual(outbound.allow, ['10.0.0.0/8', 'nas.local'])
    assert.equal(sessions.max_queue, 5)
    const origins = config.origins()
    assert.equal(origins['server.port'], 'environment')
    assert.equal(origins['server.host'], 'flag')
    assert.equal(origins['agent.max_steps'], '.env')
    assert.equal(origins['sessions.max_queue'], 'file')
    assert.equal(origins['sessions.auto_title'], 'default')
    assert.deepEqual(config.problems(), [])
  })

  it('a secret is read from the file that a _FILE variable names', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'gatehouse-secret-'))
    await writeFile(join(folder, 'token'), 'database-token-1\n')
    const world = await setup({ env: { GATEHOUSE_DATABASE__AUTH_TOKEN_FILE: join(folder, 'token') } })
    assert.equal(world.config.current().database.auth_token, 'database-token-1')
    assert.deepEqual(world.config.secrets(), ['database-token-1'])
    assert.doesNotMatch(JSON.stringify(await world.json('/effective')), /database-token-1/)
    await world.close()
    await rm(folder, { recursive: true })
  })

  it('a bad variable refuses the start and is named', async () => {
    await assert.rejects(setup({ env: { PORT: 'http' } }), /PORT: must be a number/)
    await assert.rejects(
      setup({ env: { GATEHOUSE_LOGGING__LEVEL: 'loud' } }),
      /GATEHOUSE_LOGGING__LEVEL: must be debug/,
    )
  })

  test('unknown sections are kept and unknown settings named, with their line', {
    yaml: 'name: Ada\nservices:\n  x: 1\nserver:\n  prot: 1\n',
  }, async ({ config, json }) => {
    assert.deepEqual(config.problems().map(({ severity, path, line }) => [severity, path, line]), [
      ['warning', 'services', 2],
      ['warning', 'server.prot', 5],
    ])
    assert.deepEqual((await json('')).services, { x: 1 })
  })

  test('references are resolved for use and stay unresolved in answers', {
    yaml: 'name: ${WHO}\nserver:\n  port: ${WEB_PORT}\nsystem_prompt: Write ${NAME} as it is.\n' +
      'channels:\n  telegram:\n    token: ${BOT}\n    model: ${UNSET}\n',
    env: { WHO: 'Grace', WEB_PORT: '9100', BOT: 'bot-token-in-the-environment' },
  }, async ({ config, json }) => {
    assert.equal(config.current().name, 'Grace')
    assert.equal(config.current().server.port, 9100)
    assert.equal(config.current().system_prompt, 'Write ${NAME} as it is.')
    assert.deepEqual(config.current().channels, { telegram: { token: 'bot-token-in-the-environment' } })
    assert.match(config.problems()[0]?.message ?? '', /UNSET is not set/)
    assert.equal((await json('')).channels.telegram.token, '${BOT}')
    const effective = await json('/effective')
    assert.equal(effective.values.name, '${WHO}')
    assert.doesNotMatch(JSON.stringify(effective), /in-the-environment|Grace/)
  })

  test(
    'a file that is broken at the start leaves the last good version in force',
    { yaml: 'name: Ada\n' },
    async (world) => {
      await world.config.stop()
      await writeFile(world.file, 'name: [Ada\nserver: {}\n')
      const config = await world.start()
      assert.equal(config.current().name, 'Ada')
      assert.equal(config.problems()[0]?.line, 2)
      await config.stop()
    },
  )

  test(
    'the configuration in force can not be changed by accident',
    { yaml: 'server: {port: 1}' },
    async ({ config }) => {
      assert.throws(() => {
        config.current().server.port = 2
      }, TypeError)
    },
  )
})

describe('the configuration over HTTP', () => {
  test(
    'secrets never leave, and a mask sent back keeps the secret',
    { yaml: COMMENTED },
    async ({ send, text, config }) => {
      const before = await (await send('GET', '')).json()
      assert.equal(before.channels.telegram.token, '****-bot')
      for (const path of ['', '/yaml', '/effective']) {
        assert.doesNotMatch(await (await send('GET', path)).text(), /secret-of-the-bot/)
      }
      const response = await send('PATCH', '/channels', {
        telegram: { ...before.channels.telegram, allowed_users: ['42', '43'] },
      })
      assert.equal(response.status, 200)
      const answer = await response.json()
      assert.deepEqual(answer.channels.telegram.allowed_users, ['42', '43'])
      assert.doesNotMatch(JSON.stringify(answer), /secret-of-the-bot/)
      assert.match(await text(), /token: "123456789:secret-of-the-bot"/)
      assert.deepEqual(Object.keys(config.current().channels), ['telegram'], 'channels is replaced, not merged')
    },
  )

  test('a mask that stands for nothing is refused', { yaml: 'name: Ada\n' }, async ({ send, text }) => {
    const response = await send('PATCH', '/channels', { telegram: { token: '****' } })
    assert.equal(response.status, 400)
    assert.equal((await response.json()).errors[0].pointer, '/channels/telegram/token')
    assert.equal(await text(), 'name: Ada\n')
  })

  test('an edit changes its own lines and no others', { yaml: COMMENTED }, async ({ send, text }) => {
    await send('PATCH', '/server', { port: 9001 })
    assert.equal(await text(), COMMENTED.replace('port: 9000      # behind Caddy', 'port: 9001 # behind Caddy'))
    await send('PATCH', '/name', 'Grace')
    assert.match(
      await text(),
      /^# My agent\nname: Grace # the name\n\nserver:\n {4}port: 9001 # behind Caddy\n {4}trusted_proxies: \[ 10/,
    )
  })

  test("lists keep the author's layout, and other sections their empty lines", {
    yaml:
      'name: Ada\n\n\n# two empty lines above\noutbound:\n  allow:\n  - 10.0.0.0/8   # office\n  - nas.local\n\n\nuploads: {max_bytes: 5}\n',
  }, async ({ send, text }) => {
    await send('PATCH', '/uploads', { max_bytes: 6 })
    assert.equal(
      await text(),
      'name: Ada\n\n\n# two empty lines above\noutbound:\n  allow:\n  - 10.0.0.0/8   # office\n  - nas.local\n\n\nuploads: { max_bytes: 6 }\n',
    )
  })

  test('removing a setting keeps the comments of the others', { yaml: COMMENTED }, async ({ send, text }) => {
    const { channels: _, ...rest } = await (await send('GET', '')).json()
    assert.equal((await send('PUT', '', rest)).status, 200)
    assert.equal((await text()).trimEnd(), COMMENTED.slice(0, COMMENTED.indexOf('# Chat')).trimEnd())
  })

  test('changes at the same moment are all kept', { yaml: '# start\n' }, async ({ send, text }) => {
    await Promise.all([
      send('PATCH', '/name', 'Ada'),
      send('PATCH', '/server', { port: 1 }),
      send('PATCH', '/server', { host: '::1' }),
      send('PATCH', '/agent', { max_steps: 2 }),
    ])
    assert.equal(await text(), '# start\n\nname: Ada\nserver:\n  port: 1\n  host: ::1\nagent:\n  max_steps: 2\n')
  })

  test('a file that is a link stays one', {}, async ({ send, file, home }) => {
    const real = join(home, 'elsewhere.yaml')
    await writeFile(real, 'name: Ada\n')
    await symlink(real, file)
    assert.equal((await send('PATCH', '/name', 'Grace')).status, 200)
    assert.equal(await readFile(real, 'utf8'), 'name: Grace\n')
    assert.equal(await readlink(file), real)
  })

  test('hostile keys stay data', {}, async ({ send, config }) => {
    const body = '{"channels":{"__proto__":{"token":"x"},"constructor":{"a":1}}}'
    await send('PUT', '', body, { 'content-type': 'application/json' })
    assert.equal(({} as Record<string, unknown>).token, undefined)
    assert.equal(Object.getPrototypeOf(config.current().channels), Object.prototype)
  })

  test('line ends and a missing last line end stay as they were', {
    yaml: '# windows\r\nname: Ada\r\nserver:\r\n  port: 1',
  }, async ({ send, text }) => {
    await send('PATCH', '/name', 'Grace')
    assert.equal(await text(), '# windows\r\nname: Grace\r\nserver:\r\n  port: 1')
  })

  test(
    'a merge patch adds, changes and removes',
    { yaml: 'agent:\n  max_steps: 3\n  max_output_tokens: 9\n' },
    async (world) => {
      const response = await world.send('PATCH', '/agent', { max_output_tokens: null, compact_at_percent: 70 })
      assert.deepEqual((await response.json()).agent, { max_steps: 3, compact_at_percent: 70 })
      assert.equal(await world.text(), 'agent:\n  max_steps: 3\n  compact_at_percent: 70\n')
      assert.equal(world.config.current().agent.compact_at_percent, 70)
      assert.equal(world.config.current().agent.max_output_tokens, undefined)
    },
  )

  test('the first setting makes the file, readable by its owner only', {}, async ({ send, file, home }) => {
    assert.equal((await send('PATCH', '/system_prompt', 'Be brief.\nBe kind.')).status, 200)
    assert.equal((await stat(file)).mode & 0o077, 0)
    assert.deepEqual((await readdir(home)).filter((name) => name.endsWith('.tmp')), [])
  })

  test(
    'a value that does not fit is refused with its field, and nothing changes',
    { yaml: 'name: Ada\n' },
    async (world) => {
      const response = await world.send('PATCH', '/server', { port: 70000 })
      assert.equal(response.status, 400)
      const problem = await response.json()
      assert.deepEqual(problem.errors, [{ pointer: '/server/port', message: 'must be at most 65535' }])
      assert.equal(problem.detail, 'server.port: must be at most 65535')
      assert.equal((await world.send('PATCH', '/server', 'all')).status, 400)
      assert.equal((await world.send('PUT', '', ['a'])).status, 400)
      assert.equal(await world.text(), 'name: Ada\n')
    },
  )

  test('sections of the database are refused by PATCH and dropped by PUT', {}, async ({ send, text }) => {
    assert.equal((await send('PATCH', '/providers', {})).status, 400)
    const response = await send('PUT', '', { name: 'Ada', models: [1], mcp: {} })
    assert.deepEqual(await response.json(), { ok: true, restart_required: false })
    assert.equal(await text(), 'name: Ada\n')
  })

  test('only what is bound at the start needs a restart', {}, async ({ send }) => {
    const needs = async (section: string, value: unknown) =>
      (await (await send('PATCH', `/${section}`, value)).json()).restart_required
    assert.equal(await needs('name', 'Ada'), false)
    assert.equal(await needs('server', { allowed_hosts: ['box.local'] }), false)
    assert.equal(await needs('dream_mode', { enabled: true, time: '04:30' }), false)
    assert.equal(await needs('server', { port: 9000 }), true)
    assert.equal(await needs('server', { port: null }), false, 'back to what runs')
  })

  test(
    'a stale If-Match is refused, a known ETag is not sent again',
    { yaml: 'name: Ada\n' },
    async ({ send, file, text }) => {
      const etag = (await send('GET', '')).headers.get('etag') ?? ''
      assert.match(etag, /^"[0-9a-f]{32}"$/)
      assert.equal((await send('GET', '', undefined, { 'if-none-match': etag })).status, 304)
      await writeFile(file, 'name: Edited by hand\n')
      const stale = await send('PATCH', '/server', { port: 1 }, { 'if-match': etag })
      assert.equal(stale.status, 412)
      assert.equal(await text(), 'name: Edited by hand\n')
      const fresh = await send('PATCH', '/server', { port: 1 }, { 'if-match': stale.headers.get('etag') ?? '' })
      assert.equal(fresh.status, 200)
      assert.equal(await text(), 'name: Edited by hand\nserver:\n  port: 1\n')
    },
  )

  test('YAML text is taken as it is written, its masks filled in', { yaml: COMMENTED }, async ({ send, text }) => {
    const shown = await (await send('GET', '/yaml')).text()
    const response = await send('PUT', '', shown.replace('port: 9000', 'port: 9002'), {
      'content-type': 'application/yaml',
    })
    assert.equal(response.status, 200)
    assert.equal(await text(), COMMENTED.replace('port: 9000', 'port: 9002'))
    const broken = await send('PUT', '', 'name: [a\n', { 'content-type': 'application/yaml' })
    assert.equal(broken.status, 400)
    assert.match((await broken.json()).detail, /line \d+, column \d+/)
  })

  test('YAML text that is too large, or no UTF-8, is refused and nothing is saved', { yaml: 'name: Ada\n' }, async ({
    app,
    text,
  }) => {
    const put = (body: BodyInit) =>
      app.request('/api/config', { method: 'PUT', body, headers: { 'content-type': 'application/yaml' } })
    assert.equal((await put(`name: ${'x'.repeat(1_048_576)}\n`)).status, 413)
    const odd = await put(Uint8Array.from([...new TextEncoder().encode('name: Z'), 0xff, 0x0a]))
    assert.equal(odd.status, 400)
    assert.match((await odd.json()).detail, /UTF-8/)
    assert.equal(await text(), 'name: Ada\n')
  })

  test('a text is checked without being saved', { yaml: 'name: Ada\n' }, async ({ send, text }) => {
    const check = async (yaml: string) => (await send('POST', '/validate', { yaml })).json()
    assert.deepEqual(await check('name: Eve\n'), { ok: true, problems: [] })
    const bad = await check('name: Eve\nlogging:\n  level: loud\n')
    assert.equal(bad.ok, false)
    assert.deepEqual([bad.problems[0].line, bad.problems[0].column, bad.problems[0].path], [3, 3, 'logging.level'])
    assert.equal(
      (await check(
        'a: &a [x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: [*c,*c,*c,*c,*c]\n',
      )).ok,
      false,
    )
    assert.equal(await text(), 'name: Ada\n')
  })

  test(
    'earlier versions are kept, shown without secrets, and can be brought back',
    { yaml: COMMENTED },
    async (world) => {
      await world.send('PATCH', '/name', 'Grace')
      const { versions } = await world.json('/history')
      assert.deepEqual(
        versions.map((version: { by: { kind: string }; current: boolean }) => [version.by.kind, version.current]),
        [
          ['user', true],
          ['file', false],
        ],
      )
      const id = versions[1].id
      assert.doesNotMatch((await world.json(`/history/${id}`)).yaml, /secret-of-the-bot/)
      const rows = await world.db.all<{ text: string }>('select text from config_history')
      assert.equal(rows.some(({ text }) => text.includes('secret-of-the-bot')), false)
      assert.equal((await world.send('POST', `/history/${id}/restore`)).status, 200)
      assert.equal(await world.text(), COMMENTED)
      assert.equal(world.config.current().name, 'Ada')
      assert.equal((await world.send('GET', '/history/999')).status, 404)
      assert.equal((await world.send('GET', '/history/x')).status, 400)
    },
  )

  test('no more than twenty versions are kept', {}, async ({ send, json }) => {
    for (let i = 0; i < 23; i++) await send('PATCH', '/name', `Ada ${i}`)
    const { versions } = await json('/history')
    assert.equal(versions.length, 20)
    assert.equal(versions[0].current, true)
  })

  test('the schema draws a form', {}, async ({ json }) => {
    const schema = await json('/schema')
    assert.equal(schema.properties.server.properties.port.title, 'Port')
    assert.equal(schema.properties.server.properties.port.maximum, 65535)
    assert.equal(schema.properties.database.properties.auth_token.writeOnly, true)
    assert.equal(schema.properties.server.properties.port.writeOnly, undefined)
  })

  test(
    'a reader may look at the settings and change nothing',
    { yaml: 'name: Ada\n', scope: 'read' },
    async ({ send }) => {
      assert.equal((await send('GET', '')).status, 200)
      for (
        const [method, path] of [['GET', '/yaml'], ['GET', '/history'], ['PUT', ''], ['PATCH', '/name'], [
          'POST',
          '/history/1/restore',
        ]]
      ) {
        assert.equal((await send(method!, path!, method === 'GET' ? undefined : {})).status, 403, `${method} ${path}`)
      }
    },
  )
})

describe('edits by other programs', () => {
  test('a text that can not be read is shown without the secrets it may hold', { yaml: COMMENTED }, async (world) => {
    await writeFile(
      world.file,
      `${COMMENTED}    slack: {bot_token: "xoxb-new", note: old 123456789:secret-of-the-bot\n`,
    )
    await until('the text is unreadable', () => world.config.problems().length > 0)
    const shown = await (await world.send('GET', '/yaml')).text()
    assert.match(shown, /# from BotFather|# Chat/)
    assert.doesNotMatch(shown, /secret-of-the-bot|xoxb-new/)
  })

  test('.env in the home counts too', { dotenv: 'GATEHOUSE_NAME=Ada\n' }, async ({ config, home }) => {
    assert.equal(config.current().name, 'Ada')
    await writeFile(join(home, '.env'), 'GATEHOUSE_NAME=Grace\n')
    await until('the new value is in force', () => config.current().name === 'Grace')
    await rm(join(home, '.env'))
    await until('the default is back', () => config.current().name === 'Gatehouse')
  })

  test(
    'come into force by themselves, and are announced',
    { yaml: 'name: Ada\nlogging: {level: info}\n' },
    async (world) => {
      const heard: string[][] = []
      world.config.onChange((_, __, sections) => heard.push(sections))
      await writeFile(world.file, 'name: Grace\nlogging: {level: info}\n')
      await until('the new name is in force', () => world.config.current().name === 'Grace')
      assert.deepEqual(heard, [['name']])
      assert.deepEqual(world.events, [{ type: 'resource', resource: 'config', action: 'updated', id: 'name' }])
      // As editors save: a new file takes the name of the old.
      await writeFile(`${world.file}~`, 'name: Edsger\n')
      await rename(`${world.file}~`, world.file)
      await until('the replaced file is in force', () => world.config.current().name === 'Edsger')
      await writeFile(world.file, 'name: Barbara\n')
      await until('the replaced file is still followed', () => world.config.current().name === 'Barbara')
    },
  )

  test(
    'with an error leave the last good version in force until they are mended',
    { yaml: 'name: Ada\n' },
    async (world) => {
      await writeFile(world.file, 'name: Grace\nserver:\n  port: many\n')
      await until('the problem is known', () => world.config.problems().length > 0)
      assert.equal(world.config.current().name, 'Ada')
      const [problem] = world.config.problems()
      assert.deepEqual([problem?.path, problem?.line, problem?.column, problem?.message], [
        'server.port',
        3,
        3,
        'must be a number',
      ])
      await writeFile(world.file, 'name: Grace\nserver: [\n')
      await until('the text is unreadable', () => world.config.problems()[0]?.path === null)
      assert.equal((await world.send('PATCH', '/name', 'Eve')).status, 409)
      await writeFile(world.file, 'name: Grace\n')
      await until('the mended file is in force', () => world.config.current().name === 'Grace')
      assert.deepEqual(world.config.problems(), [])
    },
  )
})
