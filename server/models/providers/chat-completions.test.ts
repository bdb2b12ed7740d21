// Longer than most: each case is something that a real upstream does, and they share one server.
import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { ask, collect, textOf } from '../../../test/contract/model-provider.ts'
import { type Behaviour, type MockUpstream, startMockUpstream } from '../../../test/support/mock-upstream.ts'
import type { ModelEvent, ModelRequest, ProviderSettings } from '../provider.ts'
import { chatBase } from './base-url.ts'
import { chatBody } from './chat-completions-request.ts'
import { createChatCompletions, readModels } from './chat-completions.ts'

const KEY = 'sk-very-secret-key-9876'

const sse = (...chunks: unknown[]): Behaviour => ({
  kind: 'raw',
  chunks: chunks.map((chunk) => `data: ${typeof chunk === 'string' ? chunk : JSON.stringify(chunk)}\n\n`),
})
const piece = (delta: unknown, finish_reason: string | null = null) => ({
  choices: [{ index: 0, delta, finish_reason }],
})
const call = (value: unknown) => piece({ tool_calls: [value] })

describe('chat completions', () => {
  let mock: MockUpstream

  beforeEach(async () => {
    mock = await startMockUpstream()
  })
  afterEach(() => mock.close())

  const provider = (more: Partial<ProviderSettings> = {}) =>
    createChatCompletions({ base_url: mock.url, api_key: KEY, ...more })
  const run = (
    behaviour: Behaviour | undefined,
    request: ModelRequest = ask('hello'),
    more: Partial<ProviderSettings> = {},
  ) => {
    if (behaviour) mock.script(behaviour)
    return collect(provider(more).stream(request, new AbortController().signal))
  }
  const failure = (events: ModelEvent[]) => {
    const last = events.at(-1)
    assert.equal(last?.type, 'failed', JSON.stringify(last))
    return last as Extract<ModelEvent, { type: 'failed' }>
  }
  const calls = (events: ModelEvent[]) =>
    events.flatMap((event) => event.type === 'tool_call' ? [{ name: event.name, arguments: event.arguments }] : [])

  describe('usage', () => {
    it('is asked for and counted, cached tokens apart', async () => {
      const last = (await run({ kind: 'text', text: 'a b c' })).at(-1)
      assert.deepEqual(last?.type === 'finish' && last.usage, {
        input_tokens: 11,
        output_tokens: 3,
        cache_read_tokens: 3,
      })
      assert.deepEqual(mock.requests[0]?.body.stream_options, { include_usage: true })
    })

    it('is not asked for again where the upstream refused the option, and is estimated then', async () => {
      const refusing = provider()
      const body = JSON.stringify({ error: { message: 'Unknown parameter: stream_options' } })
      mock.script({ kind: 'status', status: 400, body }, { kind: 'text', text: 'fine' }, {
        kind: 'text',
        text: 'again',
      })
      const first = await collect(refusing.stream(ask('hello'), new AbortController().signal))
      assert.equal(textOf(first), 'fine')
      const last = first.at(-1)
      assert.equal(last?.type === 'finish' && last.usage.estimated, true)
      await collect(refusing.stream(ask('hello'), new AbortController().signal))
      assert.deepEqual(mock.requests.map((request) => 'stream_options' in request.body), [true, false, false])
    })

    it('counts reasoning and comes also from upstreams that put it elsewhere', async () => {
      const usage = { prompt_tokens: 5, completion_tokens: 7, completion_tokens_details: { reasoning_tokens: 4 } }
      const last = (await run(sse(piece({ content: 'x' }), { ...piece({}, 'stop'), x_groq: { usage } }, '[DONE]'))).at(
        -1,
      )
      assert.deepEqual(last?.type === 'finish' && last.usage, {
        input_tokens: 5,
        output_tokens: 7,
        reasoning_tokens: 4,
      })
    })
  })

  it('a parameter that the model does not know is left out and the request sent again', async () => {
    const message =
      "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
    mock.script({ kind: 'status', status: 400, body: JSON.stringify({ error: { message } }) }, {
      kind: 'text',
      text: 'ok',
    })
    const events = await run(undefined, ask('hello', { max_output_tokens: 50, temperature: 0.3 }))
    assert.equal(textOf(events), 'ok')
    assert.equal(mock.requests[1]?.body.max_completion_tokens, 50)
    assert.equal(mock.requests[1]?.body.max_tokens, undefined)
    assert.equal(mock.requests[1]?.body.temperature, 0.3)
  })

  describe('tool calls', () => {
    it('of several indexes are put together from interleaved fragments', async () => {
      const events = await run(sse(
        call({ index: 0, id: 'a', type: 'function', function: { name: 'one', arguments: '' } }),
        call({ index: 1, id: 'b', type: 'function', function: { name: 'two', arguments: '{"y"' } }),
        call({ index: 0, function: { arguments: '{"x":' } }),
        call({ index: 1, function: { name: 'two', arguments: ':2}' } }),
        call({ index: 0, function: { arguments: '1}' } }),
        piece({}, 'tool_calls'),
        '[DONE]',
      ))
      assert.deepEqual(calls(events), [{ name: 'one', arguments: { x: 1 } }, { name: 'two', arguments: { y: 2 } }])
    })

    it('without ids or indexes, whole, and with arguments as an object are understood', async () => {
      const events = await run(sse(
        call({ function: { name: 'one', arguments: { x: 1 } } }),
        call({ function: { name: 'two', arguments: '{"y":2}' } }),
        piece({}, 'stop'),
        '[DONE]',
      ))
      assert.deepEqual(calls(events), [{ name: 'one', arguments: { x: 1 } }, { name: 'two', arguments: { y: 2 } }])
      const ids = events.flatMap((event) => event.type === 'tool_call' ? [event.call_id] : [])
      assert.equal(new Set(ids).size, 2)
      const last = events.at(-1)
      assert.equal(last?.type === 'finish' && last.reason, 'tool_calls')
    })

    it('that all have index 0 are kept apart by their ids', async () => {
      const events = await run(sse(
        call({ index: 0, id: 'a', function: { name: 'one', arguments: '{}' } }),
        call({ index: 0, id: 'b', function: { name: 'two', arguments: '{"y":2}' } }),
        piece({}, 'tool_calls'),
        '[DONE]',
      ))
      assert.deepEqual(calls(events), [{ name: 'one', arguments: {} }, { name: 'two', arguments: { y: 2 } }])
    })

    it('with empty, null or doubly packed arguments are understood', async () => {
      for (const [text, expected] of [['', {}], ['null', {}], ['"{\\"a\\":1}"', { a: 1 }]] as const) {
        const events = await run(
          sse(
            call({ index: 0, id: 'a', function: { name: 'one', arguments: text } }),
            piece({}, 'tool_calls'),
            '[DONE]',
          ),
        )
        assert.deepEqual(calls(events), [{ name: 'one', arguments: expected }])
      }
    })

    it('with arguments that are no JSON object fail the answer and are never handed on', async () => {
      for (const text of ['{"a":', '[1]', 'rm -rf']) {
        const events = await run(
          sse(
            call({ index: 0, id: 'a', function: { name: 'one', arguments: text } }),
            piece({}, 'tool_calls'),
            '[DONE]',
          ),
        )
        assert.equal(failure(events).class, 'invalid')
        assert.deepEqual(calls(events), [])
      }
    })
  })

  it('reasoning is read under each of its names, and content as parts', async () => {
    const events = await run(sse(
      piece({ reasoning_content: 'a' }),
      piece({ reasoning: 'b', content: null }),
      piece({ content: [{ type: 'text', text: 'c' }] }),
      piece({}, 'stop'),
      '[DONE]',
    ))
    assert.equal(textOf(events, 'reasoning'), 'ab')
    assert.equal(textOf(events), 'c')
  })

  it('an answer that comes whole, though a stream was asked for, is read', async () => {
    const body = {
      choices: [{
        message: { content: 'whole', tool_calls: [{ id: 'a', function: { name: 'one', arguments: '{}' } }] },
        finish_reason: 'tool_calls',
      }],
      usage: { prompt_tokens: 1, completion_tokens: 2 },
    }
    const events = await run({ kind: 'raw', json: true, chunks: [JSON.stringify(body)] })
    assert.deepEqual(events.map((event) => event.type), ['text', 'tool_call', 'finish'])
  })

  describe('failures', () => {
    const cases: [string, Behaviour, string, RegExp][] = [
      ['a refused key', { kind: 'status', status: 401 }, 'auth', /key was refused by 127\.0\.0\.1:\d+ \(401\)/],
      ['a forbidden model', { kind: 'status', status: 403 }, 'auth', /403/],
      ['an unknown model', { kind: 'status', status: 404 }, 'invalid', /does not know this model/],
      [
        'no credit',
        { kind: 'status', status: 429, body: '{"error":{"code":"insufficient_quota","message":"x"}}' },
        'limit',
        /no credit/,
      ],
      ['too many requests', { kind: 'status', status: 429 }, 'rate_limited', /limiting/],
      ['an overloaded server', { kind: 'status', status: 503 }, 'overloaded', /overloaded/],
      [
        'a page of a proxy',
        { kind: 'status', status: 502, body: '<html><h1>Bad gateway</h1></html>' },
        'overloaded',
        /^[^<]+$/,
      ],
      [
        'a long prompt, by its text',
        {
          kind: 'status',
          status: 400,
          body: '{"error":{"message":"This model\'s maximum context length is 8192 tokens"}}',
        },
        'context_overflow',
        /too long/,
      ],
      [
        'a long prompt, as llama.cpp says it',
        {
          kind: 'status',
          status: 400,
          body:
            '{"error":{"type":"exceed_context_size_error","message":"the request exceeds the available context size"}}',
        },
        'context_overflow',
        /too long/,
      ],
      [
        'a bad request, with its reason',
        { kind: 'status', status: 400, body: '{"error":{"message":"messages must not be empty"}}' },
        'invalid',
        /must not be empty/,
      ],
    ]
    for (const [name, behaviour, kind, message] of cases) {
      it(`${name} is of class ${kind}`, async () => {
        const failed = failure(await run(behaviour))
        assert.equal(failed.class, kind)
        assert.match(failed.message, message)
        assert.equal(failed.status, (behaviour as { status: number }).status)
      })
    }

    it('a web page in place of an answer says to check the address, and is not asked for again', async () => {
      const headers = { 'content-type': 'text/html; charset=utf-8' }
      const failed = failure(await run({ kind: 'status', status: 200, headers, body: '<html>Sign in</html>' }))
      assert.equal(failed.class, 'invalid')
      assert.match(failed.message, /^127\.0\.0\.1:\d+ answered with a web page\. Check the address/)
    })

    it('a key that the upstream echoes does not reach the message', async () => {
      const message = `Bad thing with ${KEY} and sk-other-12345678 in Bearer abc.def`
      const failed = failure(await run({ kind: 'status', status: 400, body: JSON.stringify({ error: { message } }) }))
      assert.ok(!/very-secret|other-1234|abc\.def/.test(failed.message), failed.message)
      const midway = failure(await run(sse({ error: { message } })))
      assert.ok(!/very-secret|other-1234|abc\.def/.test(midway.message), midway.message)
    })

    it('the time to wait is read in milliseconds, seconds and as a date', async () => {
      const wait = async (headers: Record<string, string>) =>
        failure(await run({ kind: 'status', status: 429, headers })).retry_after_ms
      assert.equal(await wait({ 'retry-after-ms': '1500', 'retry-after': '9' }), 1500)
      assert.equal(await wait({ 'retry-after': '2' }), 2000)
      const late = await wait({ 'retry-after': new Date(Date.now() + 5000).toUTCString() })
      assert.ok(late !== undefined && late > 2000 && late <= 5000)
      assert.equal(await wait({}), undefined)
    })

    it('a stream that is cut keeps its text and ends as failed, with what was counted', async () => {
      const events = await run({ kind: 'cut' })
      assert.equal(textOf(events), 'one two')
      const failed = failure(events)
      assert.equal(failed.class, 'network')
      assert.equal(failed.usage?.estimated, true)
    })

    it('a stream that ends politely but without a finish is cut, too', async () => {
      const failed = failure(await run(sse(piece({ content: 'half' }))))
      assert.equal(failed.class, 'network')
      assert.match(failed.message, /in the middle/)
    })

    it('a finish without [DONE], and [DONE] without a finish, are complete answers', async () => {
      for (
        const behaviour of [sse(piece({ content: 'all' }), piece({}, 'stop')), sse(piece({ content: 'all' }), '[DONE]')]
      ) {
        const last = (await run(behaviour)).at(-1)
        assert.equal(last?.type === 'finish' && last.reason, 'stop')
      }
    })

    it('broken JSON ends as failed, and strange lines are skipped', async () => {
      const broken = await run({ kind: 'malformed' })
      assert.equal(textOf(broken), 'one two')
      assert.equal(failure(broken).class, 'network')
      const events = await run({
        kind: 'raw',
        chunks: ['nonsense\n: ping\n\nid: 4\n\n', `data: ${JSON.stringify(piece({ content: 'ok' }, 'stop'))}\n\n`],
      })
      assert.equal(textOf(events), 'ok')
    })

    it('an error in the middle of the stream is classified, after the text before it', async () => {
      const events = await run({ kind: 'error_midway' })
      assert.equal(textOf(events), 'one two')
      assert.equal(failure(events).class, 'overloaded')
      const limited = await run(sse(piece({ content: 'x' }), { error: { code: 429, message: 'slow down' } }))
      assert.equal(failure(limited).class, 'rate_limited')
    })

    it('a server that does not answer, or stops answering, ends as failed in time', async () => {
      const silent = failure(await run({ kind: 'hang' }, ask('x'), { first_byte_timeout_ms: 800 }))
      assert.equal(silent.class, 'network')
      assert.match(silent.message, /did not answer within 0\.8 s/)
      const stuck = await run({ kind: 'hang_midway' }, ask('x'), { idle_timeout_ms: 800, first_byte_timeout_ms: 8000 })
      assert.equal(textOf(stuck), 'one two')
      assert.match(failure(stuck).message, /nothing more within 0\.8 s/)
    })

    it('a slow stream that keeps sending is not cut', async () => {
      const request = { ...ask('x'), model: 'tokens:8@20' }
      const events = await run(undefined, request, { idle_timeout_ms: 800, first_byte_timeout_ms: 800 })
      assert.equal(events.at(-1)?.type, 'finish')
    })

    it('a server that is not there is named', async () => {
      const failed = failure(await run(undefined, ask('x'), { base_url: 'http://127.0.0.1:9' }))
      assert.equal(failed.class, 'network')
      assert.match(failed.message, /127\.0\.0\.1:9 could not be reached/)
    })
  })

  it('an abort reaches the upstream and leaves nothing open', async () => {
    for (const kind of ['hang', 'hang_midway'] as const) {
      mock.script({ kind })
      const controller = new AbortController()
      const events = collect(provider().stream(ask('x'), controller.signal))
      while (mock.requests.length === 0) await new Promise((resolve) => setTimeout(resolve, 5))
      await new Promise((resolve) => setTimeout(resolve, 20))
      const aborted = performance.now()
      controller.abort()
      assert.equal(failure(await events).message, 'aborted')
      const seen = mock.requests.pop()
      while (seen?.abortedAt === undefined && performance.now() - aborted < 20_000) {
        await new Promise((resolve) => setTimeout(resolve, 2))
      }
      assert.ok(seen?.abortedAt !== undefined)
    }
  })

  it('a reader who leaves early closes the upstream request', async () => {
    mock.script({ kind: 'hang_midway' })
    for await (const event of provider().stream(ask('x'), new AbortController().signal)) {
      if (event.type === 'text') break
    }
    const left = performance.now()
    while (mock.requests[0]?.abortedAt === undefined && performance.now() - left < 20_000) {
      await new Promise((resolve) => setTimeout(resolve, 2))
    }
    assert.ok(mock.requests[0]?.abortedAt !== undefined)
  })

  it('the key is not sent where another host redirects to', async () => {
    let stolen = 0
    const thief = createServer((_request, response) => {
      stolen++
      response.end('{}')
    }).listen(0, '127.0.0.1')
    await new Promise((resolve) => thief.once('listening', resolve))
    const { port } = thief.address() as AddressInfo
    mock.script({ kind: 'status', status: 307, headers: { location: `http://127.0.0.1:${port}/v1/chat/completions` } })
    const failed = failure(await run(undefined))
    assert.match(failed.message, /redirects to/)
    assert.equal(stolen, 0)
    mock.script({ kind: 'status', status: 307, headers: { location: '/v1/chat/completions' } }, {
      kind: 'text',
      text: 'same host',
    })
    assert.equal(textOf(await run(undefined)), 'same host')
    thief.close()
  })

  it('pictures and files travel as parts, text files as text, and plain text as a string', async () => {
    await run({ kind: 'text', text: 'ok' })
    assert.deepEqual(mock.requests[0]?.body.messages, [{ role: 'user', content: 'hello' }])
    await run({ kind: 'text', text: 'ok' }, {
      ...ask(''),
      messages: [{
        role: 'user',
        content: [
          { type: 'text', text: 'see' },
          { type: 'image', media_type: 'image/png', data: 'aGk=' },
          { type: 'file', media_type: 'application/pdf', filename: 'a.pdf', data: 'aGk=' },
          { type: 'file', media_type: 'text/markdown', filename: 'a.md', data: btoa('# hi') },
        ],
      }],
    })
    const [message] = mock.requests[1]!.body.messages as { content: unknown[] }[]
    assert.deepEqual(message?.content, [
      { type: 'text', text: 'see' },
      { type: 'image_url', image_url: { url: 'data:image/png;base64,aGk=' } },
      { type: 'file', file: { filename: 'a.pdf', file_data: 'data:application/pdf;base64,aGk=' } },
      { type: 'text', text: 'File a.md:\n# hi' },
    ])
  })

  it('Mistral gets call ids of the form that it takes, the same for a call and its result', () => {
    const request: ModelRequest = {
      model: 'm',
      messages: [
        { role: 'assistant', content: '', tool_calls: [{ call_id: 'call_of-another', name: 'one', arguments: {} }] },
        { role: 'tool', call_id: 'call_of-another', name: 'one', content: 'x' },
      ],
    }
    const idsAt = (host: string) => {
      const [call, result] = chatBody(request, host, new Set()).messages as [
        { tool_calls: { id: string }[] },
        { tool_call_id: string },
      ]
      assert.equal(call.tool_calls[0]?.id, result.tool_call_id)
      return result.tool_call_id
    }
    assert.match(idsAt('api.mistral.ai'), /^[a-z0-9]{9}$/)
    assert.equal(idsAt('api.groq.com'), 'call_of-another')
  })

  it('models of every dialect are read with what they tell', () => {
    assert.deepEqual(
      readModels({
        data: [
          { id: 'a/b', name: 'A: B', context_length: 1000, pricing: { prompt: '0.0000025', completion: '0.00001' } },
          { id: 'whisper-1' },
          { id: 'local', max_model_len: 4096 },
          { id: 'llama', meta: { n_ctx_train: 8192 } },
          { id: 'auto', pricing: { prompt: '-1', completion: '-1' } },
          { object: 'no id' },
          null,
        ],
      }),
      [
        {
          id: 'a/b',
          kind: 'llm',
          display_name: 'A: B',
          context_window: 1000,
          input_cost_per_million: 2.5,
          output_cost_per_million: 10,
        },
        { id: 'whisper-1', kind: 'stt' },
        { id: 'local', kind: 'llm', context_window: 4096 },
        { id: 'llama', kind: 'llm', context_window: 8192 },
        { id: 'auto', kind: 'llm' },
      ],
    )
  })

  it('an address is understood however it is written', () => {
    for (
      const [text, base] of [
        ['https://api.openai.com', 'https://api.openai.com/v1'],
        ['https://api.openai.com/v1/', 'https://api.openai.com/v1'],
        ['https://openrouter.ai/api', 'https://openrouter.ai/api/v1'],
        ['https://api.groq.com/openai', 'https://api.groq.com/openai/v1'],
        ['https://api.groq.com/openai/v1/chat/completions', 'https://api.groq.com/openai/v1'],
        [
          'https://generativelanguage.googleapis.com/v1beta/openai',
          'https://generativelanguage.googleapis.com/v1beta/openai',
        ],
        ['localhost:11434', 'http://localhost:11434/v1'],
        ['192.168.1.5:8080/v1', 'http://192.168.1.5:8080/v1'],
        ['nas:1234', 'http://nas:1234/v1'],
        ['api.example.com', 'https://api.example.com/v1'],
      ] as const
    ) assert.equal(chatBase(text), base)
  })
})
