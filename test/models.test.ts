// Longer than most: one feature through its front door, on one small database.
import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { Hono } from 'hono'
import type { Caller, Scope } from '../server/auth/principal.ts'
import { type BusEvent, createBus } from '../server/bus/bus.ts'
import { migrate } from '../server/db/migrate.ts'
import { type Database, openDatabase } from '../server/db/open.ts'
import { AppError } from '../server/errors.ts'
import type { AppEnv } from '../server/http/env.ts'
import { onError } from '../server/http/on-error.ts'
import { modelRoutes, providerRoutes } from '../server/models/routes.ts'
import { scripted } from '../server/models/providers/scripted.ts'
import { createModels, type Models } from '../server/models/service.ts'
import { createModelStore } from '../server/models/store.ts'
import type { Log } from '../server/system/log.ts'
import type { Model, Provider } from '../shared/models.ts'
import { ask, collect, textOf } from './contract/model-provider.ts'
import { type MockUpstream, startMockUpstream } from './support/mock-upstream.ts'

const quiet: Log = { debug() {}, info() {}, warn() {}, error() {} }
const KEY = 'sk-secret-key-of-the-test-1234'

const caller = (scopes: Scope[]): Caller => ({
  kind: 'key',
  handle: 'owner',
  id: 'k1',
  name: 'test',
  scopes: new Set(scopes),
})

describe('providers and models', () => {
  let mock: MockUpstream
  let db: Database
  let models: Models
  let scopes: Scope[] = ['admin']
  let events: BusEvent[] = []
  let audited: { action: string; detail: Record<string, unknown> }[] = []
  let env: Record<string, string | undefined> = {}
  let app: Hono<AppEnv>

  beforeEach(async () => {
    mock = await startMockUpstream()
    db = await openDatabase({ url: ':memory:' })
    await migrate(db)
    scopes = ['admin']
    events = []
    audited = []
    env = {}
    const bus = createBus()
    bus.subscribe((event) => events.push(event))
    models = createModels({
      store: createModelStore(db),
      secrets: { seal: (plain) => `sealed:${btoa(plain)}`, open: (sealed) => atob(sealed.slice(7)) },
      bus,
      log: quiet,
      builtin: scripted(),
      env,
      audit: (entry) => void audited.push(entry),
      now: Date.now,
    })
    app = new Hono<AppEnv>()
    app.use(async (c, next) => {
      c.set('caller', caller(scopes))
      c.set('requestId', 'r1')
      await next()
    })
    app.route('/api/providers', providerRoutes(models))
    app.route('/api/models', modelRoutes(models))
    app.onError(onError(quiet))
  })

  afterEach(async () => {
    await mock.close()
    await db.close()
  })

  const call = async (method: string, path: string, body?: unknown) => {
    const response = await app.request(path, {
      method,
      ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
    })
    // deno-lint-ignore no-explicit-any -- the assertions say what it must be
    return { status: response.status, body: await response.json() as any }
  }
  const addProvider = async (more: Record<string, unknown> = {}): Promise<Provider> => {
    const { status, body } = await call('POST', '/api/providers', {
      name: 'local',
      framework: 'api-based',
      api_key: KEY,
      base_url: mock.url,
      ...more,
    })
    assert.equal(status, 201, JSON.stringify(body))
    return body.provider
  }
  const addModel = async (provider: Provider, model: string, more: Record<string, unknown> = {}): Promise<Model> => {
    const { status, body } = await call('POST', '/api/models', { provider_id: provider.id, model, ...more })
    assert.equal(status, 201, JSON.stringify(body))
    return body.model
  }

  it('a provider is created and listed with all its fields and never shows its key', async () => {
    const created = await call('POST', '/api/providers', { name: 'openai', framework: 'litellm', api_key: KEY })
    assert.equal(created.status, 201)
    const { provider } = created.body
    assert.equal(typeof provider.id, 'number')
    assert.deepEqual(
      { ...provider, id: 0, created_at: 0, created_at_iso: '', updated_at: 0, updated_at_iso: '' },
      {
        id: 0,
        name: 'openai',
        framework: 'api-based',
        kind: 'llm',
        base_url: null,
        enabled: true,
        metadata: {},
        created_at: 0,
        created_at_iso: '',
        updated_at: 0,
        updated_at_iso: '',
        api_key_display: '****1234',
      },
    )
    const listed = await call('GET', '/api/providers')
    assert.deepEqual(listed.body.providers, [provider])
    assert.ok(!JSON.stringify([listed, created, audited, events]).includes('secret-key'))
    const [row] = await db.all<{ api_key: string }>('select api_key from providers')
    assert.ok(!row?.api_key.includes('secret-key'))
  })

  it('a reference to a variable is shown as it is, and a provider without a key shows a dash', async () => {
    assert.equal((await addProvider({ api_key: '${OPENAI_API_KEY}' })).api_key_display, '${OPENAI_API_KEY}')
    assert.equal((await addProvider({ name: 'other', api_key: undefined })).api_key_display, '—')
  })

  it('clients that send null for what they leave out are understood', async () => {
    const provider = await addProvider({ kind: null, metadata: null, enabled: null })
    const model = await addModel(provider, 'echo', { kind: null, enabled: null, display_name: null, metadata: null })
    assert.deepEqual([provider.kind, provider.enabled, model.kind, model.enabled], ['llm', true, 'llm', true])
  })

  it('estimates of price and output limit hold only at the vendor itself', async () => {
    const vendor = await addProvider({ name: 'openai', base_url: null })
    const other = await addProvider({ name: 'proxy' })
    await addModel(vendor, 'gpt-4o-mini')
    await addModel(other, 'gpt-4o-mini')
    const atVendor = await models.resolve('openai:gpt-4o-mini')
    assert.equal(atVendor.max_output_tokens, 16_384)
    assert.equal(atVendor.price?.input_per_million, 0.15)
    const elsewhere = await models.resolve('proxy:gpt-4o-mini')
    assert.equal(elsewhere.max_output_tokens, undefined)
    assert.equal(elsewhere.price, null)
    assert.equal(elsewhere.context_window, 128_000)
  })

  it('a second provider of the same name answers 409', async () => {
    await addProvider()
    const { status, body } = await call('POST', '/api/providers', { name: 'local', base_url: mock.url })
    assert.equal(status, 409)
    assert.equal(body.code, 'conflict')
  })

  for (
    const [input, field] of [
      [{ framework: 'api-based' }, 'name'],
      [{ name: 'a:b', base_url: 'http://x.test' }, 'name'],
      [{ name: 'builtin', base_url: 'http://x.test' }, 'name'],
      [{ name: 'openai', framework: 'claude-cli' }, 'framework'],
      [{ name: 'openai', kind: 'video' }, 'kind'],
      [{ name: 'mine' }, 'base_url'],
      [{ name: 'mine', base_url: 'ftp://x.test' }, 'base_url'],
      [{ name: 'mine', base_url: 'http://user:pass@x.test' }, 'base_url'],
      [{ name: 'openai', api_key: 'two words' }, 'api_key'],
      [{ name: 'openai', api_key: '${GATEHOUSE_TOKEN}' }, 'api_key'],
      [{ name: 'openai', metadata: { headers: { Authorization: 'x' } } }, 'metadata.headers.Authorization'],
    ] as const
  ) {
    it(`a provider such as ${JSON.stringify(input)} is refused, naming ${field}`, async () => {
      const { status, body } = await call('POST', '/api/providers', input)
      assert.equal(status, 400)
      assert.equal(body.errors[0].pointer, `/${field.replaceAll('.', '/')}`)
    })
  }

  it('PUT merges: what is left out stays, also the key', async () => {
    const provider = await addProvider({ metadata: { note: 'mine' } })
    const { status, body } = await call('PUT', `/api/providers/${provider.id}`, {
      base_url: `${mock.url}/v1`,
      enabled: false,
    })
    assert.equal(status, 200)
    assert.equal(body.ok, true)
    assert.equal(body.provider.base_url, `${mock.url}/v1`)
    assert.equal(body.provider.enabled, false)
    assert.equal(body.provider.api_key_display, '****1234')
    assert.deepEqual(body.provider.metadata, { note: 'mine' })
    assert.equal(
      (await call('PUT', `/api/providers/${provider.id}`, { api_key: '' })).body.provider.api_key_display,
      '—',
    )
  })

  it('framework and kind of a provider never change', async () => {
    const provider = await addProvider()
    for (const change of [{ framework: 'claude-cli' }, { kind: 'tts' }]) {
      const { status, body } = await call('PUT', `/api/providers/${provider.id}`, change)
      assert.equal(status, 400)
      assert.equal(body.errors[0].pointer, `/${Object.keys(change)[0]}`)
    }
    const same = { framework: 'api-based', kind: 'llm', enabled: true }
    assert.equal((await call('PUT', `/api/providers/${provider.id}`, same)).status, 200)
  })

  it('a provider is removed with its models, and an unknown one answers 404', async () => {
    const provider = await addProvider()
    await addModel(provider, 'echo')
    await addModel(provider, 'reasoning')
    const { body } = await call('DELETE', `/api/providers/${provider.id}`)
    assert.deepEqual(body, { ok: true, models_purged: 2 })
    assert.deepEqual((await call('GET', '/api/models')).body, { models: [] })
    assert.equal((await call('DELETE', `/api/providers/${provider.id}`)).status, 404)
    assert.equal((await call('PUT', '/api/providers/999', { enabled: true })).status, 404)
  })

  it('each change is published and recorded', async () => {
    const provider = await addProvider()
    const model = await addModel(provider, 'echo')
    await call('POST', `/api/models/${model.id}/disable`)
    await call('DELETE', `/api/models/${model.id}`)
    await call('POST', `/api/providers/${provider.id}/disable`)
    assert.deepEqual(
      events.map((event) => event.type === 'resource' && `${event.resource} ${event.action} ${event.id}`),
      ['provider created 1', 'model created 1', 'model updated 1', 'model deleted 1', 'provider updated 1'],
    )
    assert.deepEqual(audited.map((entry) => entry.action), [
      'provider.created',
      'model.created',
      'model.updated',
      'model.deleted',
      'provider.updated',
    ])
  })

  it('reading needs the scope read, changing the scope admin', async () => {
    scopes = ['read']
    assert.equal((await call('GET', '/api/providers')).status, 200)
    assert.equal((await call('POST', '/api/providers', { name: 'openai' })).status, 403)
    assert.equal((await call('POST', '/api/providers/1/test', {})).status, 403)
    scopes = []
    assert.equal((await call('GET', '/api/models')).status, 403)
  })

  it('a test asks one model for a word, and says why when it gets none', async () => {
    const provider = await addProvider()
    mock.script({ kind: 'text', text: 'OK' })
    const good = await call('POST', `/api/providers/${provider.id}/test`, { model: 'echo' })
    assert.equal(good.status, 200)
    assert.deepEqual(good.body, { ok: true, model: 'echo', response: 'OK' })
    assert.equal(mock.requests.at(-1)?.headers.authorization, `Bearer ${KEY}`)
    mock.script({ kind: 'status', status: 401 })
    const bad = await call('POST', `/api/providers/${provider.id}/test`)
    assert.equal(bad.status, 400)
    assert.equal(bad.body.ok, false)
    assert.match(bad.body.error, /key was refused by 127\.0\.0\.1:\d+ \(401\)/)
  })

  it('a key that is a reference is read when it is used, and a missing variable is named', async () => {
    const provider = await addProvider({ api_key: '${MY_KEY}' })
    const missing = await call('POST', `/api/providers/${provider.id}/test`, { model: 'echo' })
    assert.equal(missing.status, 400)
    assert.match(missing.body.error, /MY_KEY/)
    env.MY_KEY = 'from-the-environment'
    await call('PUT', `/api/providers/${provider.id}`, { enabled: true })
    assert.equal((await call('POST', `/api/providers/${provider.id}/test`, { model: 'echo' })).status, 200)
    assert.equal(mock.requests.at(-1)?.headers.authorization, 'Bearer from-the-environment')
  })

  it('a model row has the fields that clients read, and merges on PUT', async () => {
    const provider = await addProvider({ name: 'openai' })
    const model = await addModel(provider, 'gpt-4o-mini', { display_name: 'Mini', is_classifier: true })
    assert.equal(model.runtime_id, 'openai:gpt-4o-mini')
    assert.equal(model.provider_name, 'openai')
    assert.equal(model.provider_enabled, true)
    assert.equal(model.kind, 'llm')
    assert.equal(model.context_window, 128_000)
    assert.equal(model.window_source, 'fallback')
    // Another address under the vendor's name has its own prices.
    assert.equal(model.input_cost_per_million, null)
    const { body } = await call('PUT', `/api/models/${model.id}`, { tier_hint: 'fast' })
    assert.equal(body.model.tier_hint, 'fast')
    assert.equal(body.model.display_name, 'Mini')
    assert.equal(body.model.is_classifier, true)
  })

  it('the same model twice answers 409, and a provider that is not there 400', async () => {
    const provider = await addProvider()
    await addModel(provider, 'echo')
    assert.equal((await call('POST', '/api/models', { provider_id: provider.id, model: 'echo' })).status, 409)
    const other = await addModel(provider, 'reasoning')
    assert.equal((await call('PUT', `/api/models/${other.id}`, { model: 'echo' })).status, 409)
    const { status, body } = await call('POST', '/api/models', { provider_id: 99, model: 'echo' })
    assert.equal(status, 400)
    assert.equal(body.errors[0].pointer, '/provider_id')
  })

  it('models are filtered by provider, kind and state', async () => {
    const provider = await addProvider()
    const other = await addProvider({ name: 'other', enabled: false })
    await addModel(provider, 'echo')
    await addModel(provider, 'off', { enabled: false })
    await addModel(provider, 'tts-1')
    await addModel(other, 'hidden')
    const names = async (query: string) =>
      (await call('GET', `/api/models?${query}`)).body.models.map((model: Model) => model.model)
    assert.deepEqual(await names(''), ['echo', 'off', 'tts-1', 'hidden'])
    assert.deepEqual(await names('enabled_only=1'), ['echo', 'tts-1'])
    assert.deepEqual(await names(`provider_id=${other.id}`), ['hidden'])
    assert.deepEqual(await names('kind=tts'), ['tts-1'])
    assert.equal((await call('GET', '/api/models?kind=video')).status, 400)
  })

  it('what a provider offers is listed, marked when it was added, and asked only once', async () => {
    const provider = await addProvider()
    await addModel(provider, 'echo')
    const { body } = await call('GET', `/api/models/available?provider_id=${provider.id}`)
    assert.equal(body.provider, 'local')
    const echo = body.models.find((model: { id: string }) => model.id === 'echo')
    assert.deepEqual(echo, { id: 'echo', display_name: 'echo', kind: 'llm', runtime_id: 'local:echo', added: true })
    assert.equal(body.models.find((model: { id: string }) => model.id === 'reasoning').added, false)
    await call('GET', `/api/models/available?provider_id=${provider.id}`)
    assert.equal(mock.requests.length, 1)
    await call('GET', `/api/models/available?provider_id=${provider.id}&refresh=1`)
    assert.equal(mock.requests.length, 2)
  })

  it('what the provider says of a model is kept, and wins over the bundled estimates', async () => {
    const provider = await addProvider()
    await addModel(provider, 'gpt-4o')
    assert.equal((await models.resolve(null)).context_window, 128_000)
    const listed = { id: 'gpt-4o', context_length: 9000, pricing: { prompt: '0.000001', completion: '0.000002' } }
    const list = createServer((_request, response) => void response.end(JSON.stringify({ data: [listed] })))
    await new Promise<void>((resolve) => list.listen(0, '127.0.0.1', resolve))
    const { port } = list.address() as AddressInfo
    await call('PUT', `/api/providers/${provider.id}`, { base_url: `http://127.0.0.1:${port}` })
    await call('GET', `/api/models/available?provider_id=${provider.id}`)
    const resolved = await models.resolve(null)
    assert.equal(resolved.context_window, 9000)
    assert.equal(resolved.window_source, 'provider')
    assert.deepEqual(resolved.price, { input_per_million: 1, output_per_million: 2 })
    list.closeAllConnections()
    list.close()
  })

  it('a provider that refuses the key lists nothing and says why', async () => {
    const provider = await addProvider({ api_key: 'bad' })
    const { status, body } = await call('GET', `/api/models/available?provider_id=${provider.id}`)
    assert.equal(status, 200)
    assert.deepEqual(body.models, [])
    assert.match(body.error, /key was refused/)
    assert.equal((await call('GET', '/api/models/available?provider_id=99')).status, 404)
    assert.equal((await call('GET', '/api/models/available')).status, 400)
  })

  it('the catalogue holds enabled models only, and the vendors are known by name', async () => {
    const provider = await addProvider()
    await addModel(provider, 'echo')
    await addModel(provider, 'off', { enabled: false })
    const { body } = await call('GET', '/api/models/catalog')
    assert.deepEqual(body.models.map((model: { runtime_id: string }) => model.runtime_id), ['local:echo'])
    assert.deepEqual([body.models[0].input_cost_per_million, body.models[0].output_cost_per_million], [0, 0])
    const vendors = (await call('GET', '/api/models/providers')).body.providers
    assert.ok(vendors.includes('anthropic') && vendors.includes('local'))
    assert.ok(!vendors.includes('scripted'))
  })

  describe('which model answers', () => {
    const idOf = async (pin: string | null) => (await models.resolve(pin)).runtime_id

    it('the pin, else the default, else the first enabled, else the built-in rules', async () => {
      assert.equal(await idOf(null), 'builtin:rules')
      const provider = await addProvider()
      const first = await addModel(provider, 'first')
      const second = await addModel(provider, 'second')
      assert.equal(await idOf(null), 'local:first')
      await call('PUT', `/api/models/${second.id}`, { is_classifier: true })
      assert.equal(await idOf(null), 'local:second')
      assert.equal(await idOf('local:first'), 'local:first')
      assert.equal(await idOf('first'), 'local:first')
      assert.equal(await idOf('builtin:rules'), 'builtin:rules')
      await call('PUT', `/api/models/${first.id}`, { is_classifier: true })
      assert.equal(await idOf(null), 'local:first')
      await call('POST', `/api/providers/${provider.id}/disable`)
      assert.equal(await idOf(null), 'builtin:rules')
      for (let i = 0; i < 10; i++) {
        await Promise.all([first, second].map(({ id }) => call('PUT', `/api/models/${id}`, { is_classifier: true })))
        assert.equal((await models.list()).filter((model) => model.is_classifier).length, 1, 'two at once leave one')
      }
    })

    it('a pin that is unknown, switched off or no chat model is refused and the valid ones are named', async () => {
      const provider = await addProvider()
      await addModel(provider, 'echo')
      await addModel(provider, 'off', { enabled: false })
      await addModel(provider, 'tts-1')
      for (
        const [pin, why] of [['local:nope', 'not connected'], ['local:off', 'switched off'], ['local:tts-1', 'chat']]
      ) {
        await assert.rejects(models.resolve(pin ?? ''), (error: unknown) => {
          assert.ok(error instanceof AppError)
          assert.match(error.message, new RegExp(why ?? ''))
          assert.match(error.message, /local:echo, builtin:rules/)
          return true
        })
      }
    })

    it('the resolved model answers, and a changed address is used at once', async () => {
      const provider = await addProvider({ base_url: 'http://127.0.0.1:1' })
      await addModel(provider, 'echo')
      const before = await models.resolve(null)
      const failed = await collect(before.provider.stream(ask('hello'), new AbortController().signal))
      assert.equal(failed[0]?.type === 'failed' && failed[0].class, 'network')
      await call('PUT', `/api/providers/${provider.id}`, { base_url: mock.url })
      const after = await models.resolve(null)
      const events = await collect(
        after.provider.stream({ ...ask('hello'), model: after.model }, new AbortController().signal),
      )
      assert.equal(textOf(events), 'hello')
    })

    it('the scripted model can be connected for development and fails when it is told to', async () => {
      const provider = await addProvider({ name: 'scripted', base_url: undefined, api_key: undefined })
      await addModel(provider, 'scripted')
      const { provider: model } = await models.resolve(null)
      const said = await collect(model.stream(ask('hello'), new AbortController().signal))
      assert.equal(textOf(said), 'You said: hello')
      const failed = await collect(model.stream(ask('fail: rate limit'), new AbortController().signal))
      assert.equal(failed[0]?.type === 'failed' && failed[0].class, 'rate_limited')
    })

    it('the picker offers enabled chat models and the built-in assistant, and marks the default', async () => {
      const provider = await addProvider()
      await addModel(provider, 'echo', { display_name: 'Echo' })
      await addModel(provider, 'off', { enabled: false })
      assert.deepEqual((await call('GET', '/api/models/options')).body.options, [
        { runtime_id: 'local:echo', label: 'Echo', subtitle: 'local', default: true },
        {
          runtime_id: 'builtin:rules',
          label: 'Built-in assistant',
          subtitle: 'Rules, not a language model',
          default: false,
        },
      ])
    })

    it('the owner may set window and price, and an unknown price stays unknown', async () => {
      const provider = await addProvider()
      await addModel(provider, 'echo')
      const plain = await models.resolve(null)
      assert.equal(plain.price, null)
      assert.equal(plain.window_source, 'fallback')
      const metadata = { context_window: 5000, input_cost_per_million: 1, output_cost_per_million: 2 }
      await call('PUT', '/api/models/1', { metadata })
      const { context_window, window_source, price } = await models.resolve(null)
      assert.deepEqual({ context_window, window_source, price }, {
        context_window: 5000,
        window_source: 'provider',
        price: { input_per_million: 1, output_per_million: 2 },
      })
    })
  })

  describe('providers found at start', () => {
    const nothing = { OLLAMA_HOST: '127.0.0.1:1' }
    const detect = (more: Record<string, string>) =>
      models.detect(Object.assign(env, nothing, more), new AbortController().signal)

    it('a key in the environment connects its provider by reference, with a default model', async () => {
      await detect({ OPENAI_API_KEY: KEY, OPENAI_BASE_URL: `${mock.url}/v1` })
      const { providers } = (await call('GET', '/api/providers')).body
      assert.equal(providers.length, 1)
      assert.equal(providers[0].name, 'openai')
      assert.equal(providers[0].api_key_display, '${OPENAI_API_KEY}')
      const [row] = await db.all<{ api_key: string }>('select api_key from providers')
      assert.ok(!atob(row?.api_key.slice(7) ?? '').includes('secret-key'))
      const resolved = await models.resolve(null)
      assert.equal(resolved.runtime_id, 'openai:echo')
      assert.equal((await models.list()).filter((model) => model.is_classifier).length, 1)
    })

    it('a provider that was removed does not come back', async () => {
      const found = { ANTHROPIC_API_KEY: KEY, ANTHROPIC_BASE_URL: mock.url }
      await detect(found)
      const [provider] = await models.providers()
      await call('DELETE', `/api/providers/${provider?.id}`)
      await detect(found)
      assert.deepEqual(await models.providers(), [])
    })

    it('a list that could not be had is asked for again at the next start', async () => {
      await detect({ OPENAI_API_KEY: KEY, OPENAI_BASE_URL: 'http://127.0.0.1:1' })
      assert.deepEqual((await models.list()).map((model) => model.model), ['gpt-4.1-mini'])
      const [provider] = await models.providers()
      await call('PUT', `/api/providers/${provider?.id}`, { base_url: mock.url })
      await detect({ OPENAI_API_KEY: KEY, OPENAI_BASE_URL: 'http://127.0.0.1:1' })
      assert.ok((await models.list()).some((model) => model.model === 'echo'))
    })

    it('a running Ollama is found, and nothing is added where there is none', async () => {
      await detect({})
      assert.deepEqual(await models.providers(), [])
      await detect({ OLLAMA_HOST: mock.url })
      const [provider] = await models.providers()
      assert.equal(provider?.name, 'ollama')
      assert.equal(provider?.base_url, `${mock.url}/v1`)
      assert.equal((await models.resolve(null)).runtime_id.split(':')[0], 'ollama')
    })

    it('a first question waits for the search that runs', async () => {
      const search = detect({ OPENAI_API_KEY: KEY, OPENAI_BASE_URL: mock.url })
      assert.equal((await models.resolve(null)).runtime_id, 'openai:echo')
      await search
    })
  })
})
