import assert from 'node:assert/strict'
import type { Probe } from '../../server/plugins/conformance/probe.ts'
import type { HttpAnswer, HttpRequest } from '../../shared/plugin-routes.ts'

let count = 0

/** A request of the internet for the first route of a plugin, as the core hands it over; its answer. */
export async function hookRequest(plugin: Probe, request: Partial<HttpRequest>): Promise<HttpAnswer> {
  const route = await plugin.event('register', ({ kind }) => kind === 'http_route', 20_000)
  assert.ok(route, plugin.stderr())
  const call_id = `hook-${++count}`
  await plugin.send({
    type: 'call',
    call_id,
    handle: route.handle,
    method: 'handle',
    input: {
      method: 'POST',
      path: route.definition.path,
      query: '',
      headers: {},
      body: '',
      encoding: 'utf8',
      remote: '203.0.113.7',
      ...request,
    },
    deadline_ms: 15_000,
    credit: 8,
    context: {},
  })
  const result = await plugin.event('result', (event) => event.call_id === call_id, 20_000)
  assert.ok(result, JSON.stringify(plugin.events.slice(-3)))
  return result.output as HttpAnswer
}
