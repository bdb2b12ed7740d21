import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { ModelEvent, ModelProvider, ModelRequest } from '../../server/models/provider.ts'
import type { FailureClass } from '../../shared/turn-events.ts'

/** What the implementation under test is to do next; how it is made to is its own business. */
export type Wish =
  | { kind: 'text'; text: string }
  | { kind: 'tool'; name: string; arguments: Record<string, unknown> }
  | { kind: 'reasoning'; thought: string; text: string }
  | { kind: 'fail'; class: FailureClass }
  /** Says something and then nothing more, for ever. */
  | { kind: 'hang_midway' }

/** A provider that will do as wished, and how to end what was started for it. */
export type Setup = (...wishes: Wish[]) => Promise<{ provider: ModelProvider; close(): Promise<void> }>

export const ask = (text: string, more: Partial<ModelRequest> = {}): ModelRequest => ({
  model: 'test',
  messages: [{ role: 'user', content: [{ type: 'text', text }] }],
  ...more,
})

export async function collect(stream: AsyncIterable<ModelEvent>): Promise<ModelEvent[]> {
  const events: ModelEvent[] = []
  for await (const event of stream) events.push(event)
  return events
}

export const textOf = (events: ModelEvent[], type: 'text' | 'reasoning' = 'text'): string =>
  events.map((event) => event.type === type ? event.delta : '').join('')

const TOOL = { name: 'time_now', description: 'The time', input_schema: { type: 'object', properties: {} } }

/** Promises of every `ModelProvider`; `cannot` names the wishes that an implementation can't be made to fulfil. */
export function modelProviderContract(
  name: string,
  setup: Setup,
  { cannot = {} }: { cannot?: Partial<Record<Wish['kind'], string>> } = {},
): void {
  const test = (title: string, wishes: Wish[], body: (provider: ModelProvider) => Promise<void>): void => {
    const skip = wishes.map((wish) => cannot[wish.kind]).find(Boolean)
    it(title, { skip: skip ?? false }, async () => {
      const { provider, close } = await setup(...wishes)
      try {
        await body(provider)
      } finally {
        await close()
      }
    })
  }
  const run = (provider: ModelProvider, request: ModelRequest, signal = new AbortController().signal) =>
    collect(provider.stream(request, signal))

  describe(`${name} keeps the promises of a model provider`, () => {
    test('text comes in pieces and ends with one finish that counts tokens', [
      { kind: 'text', text: 'Grüße aus 東京 👋 and more' },
    ], async (provider) => {
      const events = await run(provider, ask('hello'))
      assert.equal(textOf(events), 'Grüße aus 東京 👋 and more')
      const last = events.at(-1)
      assert.equal(last?.type, 'finish')
      assert.equal(events.filter((event) => event.type === 'finish' || event.type === 'failed').length, 1)
      if (last?.type !== 'finish') return
      assert.equal(last.reason, 'stop')
      assert.ok(last.usage.input_tokens > 0)
      assert.ok(last.usage.output_tokens > 0)
    })

    test('a tool call comes once and whole, and the finish says so', [
      { kind: 'tool', name: 'time_now', arguments: { zone: 'Europe/Berlin', n: [1, 2, { deep: 'ü' }] } },
    ], async (provider) => {
      const events = await run(provider, ask('what time is it?', { tools: [TOOL] }))
      const calls = events.filter((event) => event.type === 'tool_call')
      assert.equal(calls.length, 1)
      assert.equal(calls[0]?.name, 'time_now')
      assert.ok(calls[0]?.call_id)
      assert.deepEqual(calls[0]?.arguments, { zone: 'Europe/Berlin', n: [1, 2, { deep: 'ü' }] })
      const last = events.at(-1)
      assert.equal(last?.type === 'finish' && last.reason, 'tool_calls')
    })

    test('reasoning is kept apart from the text', [
      { kind: 'reasoning', thought: 'let me see', text: 'the answer' },
    ], async (provider) => {
      const events = await run(provider, ask('think'))
      assert.equal(textOf(events, 'reasoning'), 'let me see')
      assert.equal(textOf(events), 'the answer')
    })

    for (const kind of ['auth', 'rate_limited', 'overloaded', 'context_overflow', 'invalid'] as const) {
      test(`a refusal of kind ${kind} is the only event and says what to do`, [{ kind: 'fail', class: kind }], async (
        provider,
      ) => {
        const events = await run(provider, ask('hello'))
        assert.equal(events.length, 1)
        const failed = events[0]
        assert.equal(failed?.type === 'failed' && failed.class, kind)
        assert.ok(failed?.type === 'failed' && failed.message.length > 10)
      })
    }

    test('an abort ends the stream at once as failed, with what was said before', [{ kind: 'hang_midway' }], async (
      provider,
    ) => {
      const controller = new AbortController()
      const events: ModelEvent[] = []
      let abortedAt = 0
      for await (const event of provider.stream(ask('slow'), controller.signal)) {
        events.push(event)
        if (event.type === 'text' && abortedAt === 0) {
          setTimeout(() => {
            abortedAt = performance.now()
            controller.abort()
          }, 20)
        }
      }
      assert.ok(performance.now() - abortedAt < 5000)
      const last = events.at(-1)
      assert.deepEqual(last?.type === 'failed' && [last.class, last.message], ['network', 'aborted'])
      assert.ok(textOf(events).length > 0)
    })

    test(
      'a signal that was aborted before gives one failed event',
      [{ kind: 'text', text: 'never' }],
      async (provider) => {
        const events = await run(provider, ask('hello'), AbortSignal.abort())
        assert.deepEqual(events.map((event) => event.type), ['failed'])
      },
    )

    test('two streams at once do not mix', [{ kind: 'text', text: 'one two three' }, {
      kind: 'text',
      text: 'one two three',
    }], async (provider) => {
      const both = await Promise.all([run(provider, ask('a')), run(provider, ask('b'))])
      for (const events of both) assert.equal(textOf(events), 'one two three')
    })

    test('a conversation with calls and results is understood', [{ kind: 'text', text: 'fine' }], async (provider) => {
      const events = await run(
        provider,
        ask('', {
          tools: [TOOL],
          cache_key: 'session-1',
          max_output_tokens: 100,
          temperature: 0.5,
          messages: [
            { role: 'system', content: 'Be brief.' },
            { role: 'user', content: [{ type: 'text', text: 'time?' }] },
            { role: 'assistant', content: '', tool_calls: [{ call_id: 'tg:1', name: 'time_now', arguments: {} }] },
            { role: 'tool', call_id: 'tg:1', name: 'time_now', content: 'noon' },
            { role: 'assistant', content: 'It is noon.' },
            {
              role: 'user',
              content: [{ type: 'text', text: 'and this?' }, { type: 'image', media_type: 'image/png', data: 'aGk=' }],
            },
          ],
        }),
      )
      assert.equal(events.at(-1)?.type, 'finish')
    })

    test('models are listed with their ids', [], async (provider) => {
      const models = await provider.listModels(new AbortController().signal)
      assert.ok(models.length > 0)
      for (const model of models) assert.ok(model.id)
    })
  })
}
