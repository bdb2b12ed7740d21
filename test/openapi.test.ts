import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import * as v from 'valibot'
import { COOKIE } from '../server/auth/browser-sessions.ts'
import { docOf } from '../server/http/operation.ts'
import { scripted, toolCall } from '../server/models/providers/scripted.ts'
import { answerSchema } from '../server/openapi/answers.ts'
import type { Document } from '../server/openapi/document.ts'
import { sampleOf } from '../server/openapi/sample.ts'
import { COMPONENTS } from '../server/openapi/schemas.ts'
import { type TestApp, testApp } from './support/app.ts'
import { programs, until } from './support/mcp-programs.ts'

let app: TestApp
let document: Document
before(async () => {
  const model = scripted([toolCall('notes.create', { title: 'One', content: 'kept' }), 'Written.'])
  app = await testApp({ model })
  document = await app.json<Document>('/openapi.json', { token: null })
})
after(() => app.close())

const documented = () => app.app.routes.filter((route) => docOf(route.handler))
const operations = () =>
  Object.entries(document.paths).flatMap(([path, place]) =>
    Object.entries(place).map(([method, operation]) => ({ method, path, operation }))
  )

describe('the routes', () => {
  it('each is documented: an id of its own, a summary, and what may go wrong', () => {
    const known = new Set(documented().map((route) => `${route.method} ${route.path}`))
    // A handler under `ALL` is middleware.
    const undocumented = app.app.routes.filter((route) =>
      route.method !== 'ALL' && !known.has(`${route.method} ${route.path}`)
    )
    assert.deepEqual(undocumented.map((route) => `${route.method} ${route.path}`), [])
    const ids = operations().map(({ operation }) => operation.operationId)
    assert.deepEqual(ids.filter((id, i) => ids.indexOf(id) !== i), [], 'operation ids are unique')
    assert.equal(ids.length, known.size)
    for (const { method, path, operation } of operations()) {
      const name = `${method} ${path}`
      assert.match(operation.operationId, /^[a-z][A-Za-z0-9]+$/, name)
      assert.ok(operation.summary.length > 3, name)
      if (operation.requestBody && !operation.requestBody.content['multipart/form-data']) {
        assert.ok(operation.responses['400'], `${name} refuses bad input`)
      }
      const byId = /\{\w+\}/.test(path) && !path.startsWith('/hooks')
      if (byId) assert.ok(operation.responses['404'] ?? operation.responses['400'], `${name} may not find it`)
    }
  })

  it('none answers a stranger, except those that are declared public', async () => {
    for (const { method, path } of documented()) {
      const doc = docOf(documented().find((route) => route.method === method && route.path === path)!.handler)!
      if (doc.scope === 'public') continue
      const url = path.replace(/:(\w+)(\{.*?\})?\??(?=\/|$)/g, '1').replace('*', 'x')
      const response = await app.request(url, { method, token: null, ...(method === 'GET' ? {} : { json: {} }) })
      assert.equal(response.status, 401, `${method} ${path}`)
      const wrong = await app.request(url, { method, token: 'gk_wrong', ...(method === 'GET' ? {} : { json: {} }) })
      assert.ok(wrong.status === 401 || wrong.status === 429, `${method} ${path} with a wrong token: ${wrong.status}`)
    }
  })

  it('those that change or administer refuse a key that may only read', async () => {
    const { secret } = await app.json<{ secret: string }>('/api/keys', { json: { name: 'guest', scopes: ['read'] } })
    for (const { method, path, handler } of documented()) {
      const { scope } = docOf(handler)!
      if (scope !== 'admin' && scope !== 'chat') continue
      const url = path.replace(/:(\w+)(\{.*?\})?\??(?=\/|$)/g, '1')
      const response = await app.request(url, { method, token: secret, ...(method === 'GET' ? {} : { json: {} }) })
      assert.equal(response.status, 403, `${method} ${path}`)
    }
  })
})

describe('the document', () => {
  it('is OpenAPI 3.1 whose references all resolve and whose paths name their parameters', async () => {
    assert.equal(document.openapi, '3.1.0')
    assert.ok(document.info.title && document.info.version)
    const text = JSON.stringify(document)
    for (const [, name] of text.matchAll(/"\$ref":"([^"]*)"/g)) {
      assert.match(name!, /^#\/components\/schemas\/\w+$/)
      assert.ok(document.components.schemas[name!.split('/').at(-1)!], name)
    }
    const tags = new Set(document.tags.map((tag) => tag.name))
    for (const { method, path, operation } of operations()) {
      const name = `${method} ${path}`
      assert.match(method, /^(get|put|post|delete|options|head|patch)$/)
      assert.match(path, /^\/(?:[^{}:*]|\{\w+\})*$/, name)
      const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, parameter]) => parameter)
      const declared = operation.parameters.filter((parameter) => parameter.in === 'path')
      assert.deepEqual(declared.map((parameter) => parameter.name), inPath, name)
      assert.ok(declared.every((parameter) => parameter.required), name)
      const keys = operation.parameters.map((parameter) => `${parameter.in} ${parameter.name}`)
      assert.equal(new Set(keys).size, keys.length, name)
      assert.ok(operation.tags.every((tag) => tags.has(tag)), name)
      const statuses = Object.keys(operation.responses)
      assert.ok(statuses.some((status) => /^(2|101)/.test(status)), name)
      for (const [status, response] of Object.entries(operation.responses)) {
        assert.match(status, /^[1-5]\d\d$/, name)
        assert.ok(response.description, `${name} ${status}`)
      }
      const isPublic = operation['x-scope'] === 'public'
      assert.equal(operation.security.length === 0, isPublic, name)
      if (!isPublic) assert.ok(operation.responses['401'], name)
      for (const use of operation.security) {
        for (const scheme of Object.keys(use)) assert.ok(document.components.securitySchemes[scheme], scheme)
      }
    }
    assert.equal(document.components.securitySchemes.cookie!.name, COOKIE)
  })

  it('says nothing of this server: no home, no token, no name of a person', async () => {
    const text = await (await app.request('/openapi.json', { token: null })).text()
    assert.ok(!text.includes(app.home))
    assert.doesNotMatch(text, /owner-token/)
  })

  it('is the same as YAML, and a client that has it gets 304', async () => {
    const yaml = await app.request('/openapi.yaml', { token: null })
    assert.match(yaml.headers.get('content-type')!, /^application\/yaml/)
    const { parse } = await import('yaml')
    assert.deepEqual(parse(await yaml.text()), document)
    const first = await app.request('/openapi.json', { token: null })
    const headers = { 'if-none-match': first.headers.get('etag')! }
    await first.body?.cancel()
    assert.equal((await app.request('/openapi.json', { token: null, headers })).status, 304)
  })

  it('streams are described by their events', () => {
    const { content } = document.paths['/api/sessions/{id}/events']!.get!.responses['200']!
    assert.deepEqual(content!['text/event-stream']!.schema, { $ref: '#/components/schemas/TurnEvent' })
  })

  it('its example bodies have every field that their operation demands, and are never empty', () => {
    for (const { path, operation } of operations()) {
      const schema = operation.requestBody?.content['application/json']?.schema
      if (!schema) continue
      const sample = sampleOf(schema)
      const required = (schema.required ?? []) as string[]
      if (schema.type !== 'object') continue
      const keys = Object.keys(sample as object)
      assert.ok(keys.length > 0 || !schema.properties, path)
      if (required.length > 0) assert.deepEqual(keys, required, path)
    }
  })

  it('reads what routes write of their answers, and leaves prose alone', () => {
    assert.deepEqual(answerSchema('{sessions: Session[], nextCursor, error?}'), {
      type: 'object',
      properties: {
        sessions: { type: 'array', items: { $ref: '#/components/schemas/Session' } },
        nextCursor: {},
        error: {},
      },
      required: ['sessions', 'nextCursor'],
    })
    assert.equal(answerSchema('The settings by section'), undefined)
    assert.equal(answerSchema('{ok, problems} with line and column'), undefined)
  })
})

describe('real answers', () => {
  /** Holds an answer against its schema; a field that the schema does not know fails too. */
  const fits = (name: keyof typeof COMPONENTS, value: unknown): void =>
    assert.deepEqual(v.parse(COMPONENTS[name] as v.GenericSchema, value), value, name)

  it('of sessions, turns, messages, events and approvals are as described', async () => {
    const created = await app.json('/api/sessions', { json: { session_id: 's', title: 'T' } })
    fits('Session', created)
    const asked = await app.ask('s', 'note it')
    fits('Turn', asked)
    const { approvals } = await app.json<{ approvals: { id: string }[] }>('/api/approvals')
    fits('Approval', approvals[0])
    fits('Approval', await app.json(`/api/approvals/${approvals[0]!.id}`, { json: { decision: 'allow_always' } }))
    const events = await app.events('s', 0, (event) => event.type === 'turn_finished')
    assert.ok(events.length > 5)
    for (const event of events) fits('TurnEvent', event)
    const { messages } = await app.json<{ messages: unknown[] }>('/api/sessions/s/messages')
    assert.ok(messages.length >= 3)
    for (const message of messages) fits('RunMessage', message)
    fits('Turn', await app.json(`/api/turns/${asked.turn_id}`))
    fits('Session', (await app.json<{ sessions: unknown[] }>('/api/sessions')).sessions[0])
  })

  it('of tools, rules and MCP servers are as described', async () => {
    for (const tool of (await app.json<{ tools: unknown[] }>('/api/tools')).tools) fits('Tool', tool)
    fits('ToolRun', await app.json('/api/tools/time.now/run', { json: {} }))
    await app.ask('tools', 'note it')
    const { calls } = await app.json<{ calls: unknown[] }>('/api/tools/notes.create/calls')
    assert.ok(calls.length > 0)
    for (const call of calls) fits('ToolCall', call)
    const rule = { tool: 'notes.*', decision: 'deny', when: "args.title == 'No'", note: 'x' }
    const { rules, grants } = await app.json<{ rules: unknown[]; grants: unknown[] }>('/api/tool-rules', {
      method: 'PUT',
      json: { rules: [rule] },
    })
    fits('ToolRule', rules[0])
    fits('ToolGrant', grants[0])
    fits('RuleTest', await app.json('/api/tool-rules/test', { json: { rule: { ...rule, when: null } } }))
    await app.json('/api/tool-rules', { method: 'PUT', json: { rules: [] } })
    const { mcp } = await app.json<{ mcp: unknown }>('/api/mcps', {
      json: { name: 'every', ...programs.everything },
      status: 201,
    })
    fits('McpServer', mcp)
    const tools = await until(async () => {
      const found = (await app.json<{ tools: unknown[] }>('/api/mcp-tools')).tools
      return found.length > 0 ? found : undefined
    })
    for (const tool of tools) fits('McpTool', tool)
    fits('McpServer', (await app.json<{ mcps: unknown[] }>('/api/mcps')).mcps[0])
  })

  it('of providers, models, keys and errors are as described', async () => {
    const json = { name: 'acme', base_url: 'http://127.0.0.1:9/v1', api_key: 'sk-test-123456789' }
    const { provider } = await app.json<{ provider: { id: number } }>('/api/providers', { json })
    fits('Provider', provider)
    const { model } = await app.json<{ model: unknown }>('/api/models', {
      json: { provider_id: provider.id, model: 'one' },
    })
    fits('Model', model)
    for (const one of (await app.json<{ models: unknown[] }>('/api/models')).models) fits('Model', one)
    const { key } = await app.json<{ key: unknown }>('/api/keys', { json: { name: 'k', scopes: ['read'] } })
    fits('ApiKey', key)
    fits('Me', await app.json('/api/auth/me'))
    fits('Problem', await app.json('/api/sessions/none', { status: 404 }))
    fits('Problem', await app.json('/api/v1/sessions', { json: {}, status: 400 }))
  })
})

describe('the page', () => {
  it('shows every operation, under a policy that runs nothing but its own script', async () => {
    const page = await app.request('/docs', { token: null, headers: { accept: 'text/html' } })
    assert.equal(page.status, 200)
    const policy = page.headers.get('content-security-policy')!
    assert.match(policy, /default-src 'none'/)
    assert.doesNotMatch(policy, /unsafe|https?:/)
    const html = await page.text()
    for (const { path, operation } of operations()) {
      assert.ok(html.includes(`id="${operation.operationId}"`), operation.operationId)
      assert.ok(html.includes(path), path)
    }
    assert.doesNotMatch(html, /<script(?![^>]*src=)|style="|https?:\/\/(?!localhost)/)
    const links = [...html.matchAll(/href="#([^"]+)"/g)].map(([, id]) => id!)
    assert.deepEqual([...new Set(links)].filter((id) => !html.includes(`id="${id}"`)), [])
    for (const [name, type] of [['docs.css', 'text/css'], ['docs.js', 'text/javascript']] as const) {
      const asset = await app.request(`/docs/${name}`, { token: null })
      assert.equal(asset.status, 200)
      assert.ok(asset.headers.get('content-type')!.startsWith(type))
      await asset.body?.cancel()
    }
  })
})
