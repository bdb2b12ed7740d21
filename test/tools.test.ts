import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import type { ModelRequest } from '../server/models/provider.ts'
import { scripted, toolCall } from '../server/models/providers/scripted.ts'
import type { Tool } from '../server/tools/tool.ts'
import { type TestApp, testApp } from './support/app.ts'

const opened: TestApp[] = []
async function open(options: Parameters<typeof testApp>[0] = {}): Promise<TestApp> {
  const app = await testApp(options)
  opened.push(app)
  return app
}
after(async () => {
  for (const app of opened) await app.close()
})

const namesIn = (request: ModelRequest) => (request.tools ?? []).map(({ name }) => name)
const results = (request: ModelRequest) =>
  request.messages.filter((message) => message.role === 'tool').map(({ content }) => content as string)

/** As many as some people connect: three hundred tools from outside. */
const manyTools = (ran: unknown[] = []): Tool[] =>
  Array.from({ length: 300 }, (_, i) => ({
    name: i === 250 ? 'calendar.create_event' : `server${i % 10}.action_${i}`,
    description: i === 250
      ? 'Creates an event in the calendar of the person.'
      : `Does the thing with number ${i}. ${'It has much to say about itself. '.repeat(4)}`,
    effect: 'read',
    input_schema: { type: 'object', properties: { what: { type: 'string', description: 'What to do' } } },
    run: (input) => {
      ran.push(input)
      return Promise.resolve({ ok: true, text: `ran ${i}` })
    },
  }))

describe('a long list of tools', () => {
  it('costs a one-word message no more than the budget, where it would cost ten thousand tokens', async () => {
    const model = scripted(['Hello.'])
    const app = await open({ model })
    const many = manyTools()
    app.tools.provide('many', () => many)
    await app.ask('a', 'hi')
    const tokens = JSON.stringify(model.requests[0]!.tools).length / 4
    assert.ok(JSON.stringify(many).length / 4 > 10_000)
    assert.ok(tokens <= 2000, `the descriptions take ${tokens} tokens`)
    assert.ok(namesIn(model.requests[0]!).includes('time_now'))
    assert.ok(namesIn(model.requests[0]!).includes('tool_search'))
  })

  it('is searched, and what was found can be called from the next step of that turn on, not later', async () => {
    const ran: unknown[] = []
    const model = scripted([
      [toolCall('tool_search', { query: 'calendar events' })],
      [toolCall('calendar.create_event', { what: 'tea' })],
      'Done.',
      'Hello again.',
    ])
    const app = await open({ model })
    const many = manyTools(ran)
    app.tools.provide('many', () => many)
    assert.equal((await app.ask('a', 'tea at five')).text, 'Done.')
    await app.ask('a', 'hi')
    const offered = model.requests.map((request) => namesIn(request).includes('calendar_create_event'))
    assert.deepEqual(offered, [false, true, true, false])
    assert.deepEqual(ran, [{ what: 'tea' }])
    assert.match(results(model.requests[1]!)[0]!, /calendar_create_event/)
  })

  it('says when nothing fits, and refuses a search without words by naming the field', async () => {
    const model = scripted([[
      toolCall('tool_search', { query: 'xylophone' }),
      toolCall('tool_search', { query: ' ' }),
    ], 'Sorry.'])
    const app = await open({ model })
    await app.ask('a', 'play')
    const [nothing, bad] = results(model.requests[1]!)
    assert.match(nothing!, /Nothing fits/)
    assert.match(bad!, /query: must not be empty/)
  })

  it('is also called through the dispatcher that other clients know; the log names the tool inside', async () => {
    const ran: unknown[] = []
    const model = scripted([
      [toolCall('tool_search_call_tool', { server: 'calendar', tool: 'create_event', args: { what: 'tea' } })],
      'Done.',
    ])
    const app = await open({ model })
    const many = manyTools(ran)
    app.tools.provide('many', () => many)
    await app.ask('a', 'tea')
    assert.deepEqual(ran, [{ what: 'tea' }])
    const events = await app.events('a', 0, (event) => event.type === 'turn_finished')
    assert.ok(events.some((event) => event.type === 'tool_call' && event.name === 'calendar.create_event'))
  })

  it('that is short is sent whole, without a search', async () => {
    const model = scripted(['Hi.'])
    const app = await open({ model })
    await app.ask('a', 'hi')
    assert.ok(!namesIn(model.requests[0]!).includes('tool_search'))
    assert.ok(namesIn(model.requests[0]!).includes('notes_create'))
  })
})
