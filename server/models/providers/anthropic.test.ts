import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { ask, collect, textOf } from '../../../test/contract/model-provider.ts'
import { type Behaviour, type MockUpstream, startMockUpstream } from '../../../test/support/mock-upstream.ts'
import type { ModelEvent, ModelMessage, ModelRequest } from '../provider.ts'
import { createAnthropic } from './anthropic.ts'
import { anthropicBase } from './base-url.ts'

const TOOL = { name: 'time_now', description: 'The time', input_schema: { type: 'object', properties: {} } }

const sse = (...events: Record<string, unknown>[]): Behaviour => ({
  kind: 'raw',
  chunks: events.map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`),
})
const START = {
  type: 'message_start',
  message: { usage: { input_tokens: 10, output_tokens: 1, cache_creation_input_tokens: 4 } },
}
const stop = (stop_reason: string) => ({ type: 'message_delta', delta: { stop_reason }, usage: { output_tokens: 5 } })
const END = { type: 'message_stop' }

describe('Anthropic Messages', () => {
  let mock: MockUpstream

  beforeEach(async () => {
    mock = await startMockUpstream()
  })
  afterEach(() => mock.close())

  const run = (behaviour: Behaviour, request: ModelRequest = ask('hello')) => {
    mock.script(behaviour)
    return collect(
      createAnthropic({ base_url: mock.url, api_key: 'sk-ant-1' }).stream(request, new AbortController().signal),
    )
  }
  const failure = (events: ModelEvent[]) => {
    const last = events.at(-1)
    assert.equal(last?.type, 'failed', JSON.stringify(last))
    return last as Extract<ModelEvent, { type: 'failed' }>
  }
  const conversation = (...messages: ModelMessage[]): ModelRequest => ({
    model: 'claude-sonnet-4-5',
    messages,
    tools: [TOOL],
  })
  const user = (text: string): ModelMessage => ({ role: 'user', content: [{ type: 'text', text }] })

  it('the key goes into its own header, with the version', async () => {
    await run({ kind: 'text', text: 'ok' })
    const { headers, path } = mock.requests[0]!
    assert.equal(path, '/v1/messages')
    assert.equal(headers['x-api-key'], 'sk-ant-1')
    assert.equal(headers['anthropic-version'], '2023-06-01')
    assert.equal(headers.authorization, undefined)
  })

  it('input tokens count those that were read from and written to the cache', async () => {
    const last = (await run({ kind: 'text', text: 'a b' })).at(-1)
    assert.deepEqual(last?.type === 'finish' && last.usage, {
      input_tokens: 11,
      output_tokens: 2,
      cache_read_tokens: 3,
    })
    const written = (await run(sse(START, stop('end_turn'), END))).at(-1)
    assert.deepEqual(written?.type === 'finish' && written.usage, {
      input_tokens: 14,
      output_tokens: 5,
      cache_write_tokens: 4,
    })
  })

  it('system texts move to the top, results to the user, and turns alternate', async () => {
    await run(
      { kind: 'text', text: 'ok' },
      conversation(
        { role: 'system', content: 'Be brief.' },
        user('time?'),
        {
          role: 'assistant',
          content: 'Looking.',
          tool_calls: [{ call_id: 'a:1', name: 'time_now', arguments: { z: 1 } }, {
            call_id: 'b',
            name: 'time_now',
            arguments: {},
          }],
        },
        { role: 'tool', call_id: 'a:1', name: 'time_now', content: 'noon' },
        { role: 'tool', call_id: 'b', name: 'time_now', content: 'refused', is_error: true },
        user('and now?'),
      ),
    )
    const { body } = mock.requests[0]!
    assert.deepEqual(body.system, [{ type: 'text', text: 'Be brief.' }])
    assert.deepEqual(body.messages, [
      { role: 'user', content: [{ type: 'text', text: 'time?' }] },
      {
        role: 'assistant',
        content: [
          { type: 'text', text: 'Looking.' },
          { type: 'tool_use', id: 'a_1', name: 'time_now', input: { z: 1 } },
          { type: 'tool_use', id: 'b', name: 'time_now', input: {} },
        ],
      },
      {
        role: 'user',
        content: [
          { type: 'tool_result', tool_use_id: 'a_1', content: 'noon' },
          { type: 'tool_result', tool_use_id: 'b', content: 'refused', is_error: true },
          { type: 'text', text: 'and now?' },
        ],
      },
    ])
  })

  it('a conversation that begins with the assistant gets a user turn before it, and empty texts are left out', async () => {
    await run(
      { kind: 'text', text: 'ok' },
      conversation({ role: 'assistant', content: 'Hi!' }, { role: 'assistant', content: '  ' }, user('hello')),
    )
    const roles = (mock.requests[0]!.body.messages as { role: string; content: unknown[] }[]).map(({ role, content }) =>
      `${role} ${content.length}`
    )
    assert.deepEqual(roles, ['user 1', 'assistant 1', 'user 1'])
  })

  it('what does not change is marked for the cache', async () => {
    await run({ kind: 'text', text: 'ok' }, {
      ...conversation({ role: 'system', content: 'S' }, user('q')),
      cache_key: 's1',
    })
    const { system, messages } = mock.requests[0]!.body as {
      system: Record<string, unknown>[]
      messages: { content: Record<string, unknown>[] }[]
    }
    assert.deepEqual(system[0]?.cache_control, { type: 'ephemeral' })
    assert.deepEqual(messages[0]?.content[0]?.cache_control, { type: 'ephemeral' })
  })

  it('thinking has a budget within the limit, and not between a call and its result', async () => {
    await run({ kind: 'reasoning', thought: 'hm', text: 'ok' }, {
      ...conversation(user('q')),
      reasoning_effort: 'low',
      temperature: 0.2,
    })
    const first = mock.requests[0]!.body as {
      thinking: { budget_tokens: number }
      max_tokens: number
      temperature?: number
    }
    assert.ok(first.max_tokens > first.thinking.budget_tokens)
    assert.equal(first.temperature, undefined)
    await run({ kind: 'text', text: 'ok' }, {
      ...conversation(user('q'), {
        role: 'assistant',
        content: '',
        tool_calls: [{ call_id: 'a', name: 'time_now', arguments: {} }],
      }, { role: 'tool', call_id: 'a', name: 'time_now', content: 'x' }),
      reasoning_effort: 'low',
    })
    assert.equal(mock.requests[1]!.body.thinking, undefined)
  })

  it('a model that refuses the thinking budget is asked again without it', async () => {
    mock.script({
      kind: 'status',
      status: 400,
      body: '{"error":{"type":"invalid_request_error","message":"thinking.type.enabled is not supported"}}',
    })
    const events = await run({ kind: 'text', text: 'ok' }, { ...conversation(user('q')), reasoning_effort: 'high' })
    assert.equal(textOf(events), 'ok')
    assert.equal(mock.requests[1]!.body.thinking, undefined)
  })

  it('a call without arguments has an empty object, and torn arguments fail the answer', async () => {
    const block = {
      type: 'content_block_start',
      index: 0,
      content_block: { type: 'tool_use', id: 't1', name: 'time_now', input: {} },
    }
    const fine = await run(sse(START, block, stop('tool_use'), END))
    const call = fine.find((event) => event.type === 'tool_call')
    assert.deepEqual(call?.type === 'tool_call' && call.arguments, {})
    const torn = { type: 'content_block_delta', index: 0, delta: { type: 'input_json_delta', partial_json: '{"a":' } }
    const cut = failure(await run(sse(START, block, torn, stop('max_tokens'), END)))
    assert.equal(cut.class, 'invalid')
    assert.match(cut.message, /length limit/)
  })

  it('a sound call next to a broken one is not handed on', async () => {
    const block = (index: number) => ({
      type: 'content_block_start',
      index,
      content_block: { type: 'tool_use', id: `t${index}`, name: 'time_now', input: {} },
    })
    const torn = { type: 'content_block_delta', index: 1, delta: { type: 'input_json_delta', partial_json: '{"a":' } }
    const events = await run(sse(START, block(0), block(1), torn, stop('tool_use'), END))
    assert.deepEqual(events.map((event) => event.type), ['failed'])
  })

  for (
    const [type, kind] of [
      ['authentication_error', 'auth'],
      ['permission_error', 'auth'],
      ['billing_error', 'limit'],
      ['rate_limit_error', 'rate_limited'],
      ['overloaded_error', 'overloaded'],
      ['api_error', 'overloaded'],
      ['not_found_error', 'invalid'],
      ['invalid_request_error', 'invalid'],
    ] as const
  ) {
    it(`${type} in the stream is of class ${kind}`, async () => {
      const events = await run(sse(START, { type: 'error', error: { type, message: 'no' } }))
      assert.equal(failure(events).class, kind)
    })
  }

  it('a prompt that is too long is recognised by its text', async () => {
    const body =
      '{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 210000 tokens > 200000 maximum"}}'
    assert.equal(failure(await run({ kind: 'status', status: 400, body })).class, 'context_overflow')
  })

  it('a stream that ends before message_stop is cut, with the tokens seen so far', async () => {
    const events = await run(
      sse(START, { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: 'half' } }),
    )
    assert.equal(textOf(events), 'half')
    const failed = failure(events)
    assert.equal(failed.class, 'network')
    assert.equal(failed.usage?.input_tokens, 14)
    assert.equal(failed.usage?.estimated, true)
  })

  it('an address is understood however it is written', () => {
    for (
      const text of [
        'https://api.anthropic.com',
        'https://api.anthropic.com/',
        'https://api.anthropic.com/v1/',
        'api.anthropic.com/v1/messages',
      ]
    ) {
      assert.equal(anthropicBase(text), 'https://api.anthropic.com/v1')
    }
    assert.equal(anthropicBase('https://api.deepseek.com/anthropic'), 'https://api.deepseek.com/anthropic/v1')
  })
})
