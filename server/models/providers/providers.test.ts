import { modelProviderContract, type Setup, type Wish } from '../../../test/contract/model-provider.ts'
import { type Behaviour, startMockUpstream } from '../../../test/support/mock-upstream.ts'
import type { ModelProvider, ProviderSettings } from '../provider.ts'
import { createAnthropic } from './anthropic.ts'
import { createChatCompletions } from './chat-completions.ts'
import { createPooledFetch } from './pooled-fetch.ts'
import { type Answer, delay, fail, reasoning, scripted, toolCall } from './scripted.ts'

const STATUS: Record<string, number> = { auth: 401, rate_limited: 429, overloaded: 529, invalid: 400 }
const OVERFLOW = JSON.stringify({ error: { code: 'context_length_exceeded', message: 'too long' } })

function behaviour(wish: Wish): Behaviour {
  if (wish.kind !== 'fail') return wish
  return wish.class === 'context_overflow'
    ? { kind: 'status', status: 400, body: OVERFLOW }
    : { kind: 'status', status: STATUS[wish.class] ?? 500 }
}

const upstream = (create: (settings: ProviderSettings) => ModelProvider): Setup => async (...wishes) => {
  const mock = await startMockUpstream()
  mock.script(...wishes.map(behaviour))
  return { provider: create({ base_url: mock.url, api_key: 'sk-test-123456' }), close: mock.close }
}

function answer(wish: Wish): Answer {
  switch (wish.kind) {
    case 'text':
      return wish.text
    case 'tool':
      return toolCall(wish.name, wish.arguments)
    case 'reasoning':
      return [reasoning(wish.thought), wish.text]
    case 'fail':
      return fail(wish.class)
    case 'hang_midway':
      return ['one two', delay(60_000)]
  }
}

modelProviderContract('chat-completions', upstream(createChatCompletions))
modelProviderContract(
  'chat-completions over pooled connections',
  upstream((settings) => createChatCompletions({ ...settings, fetch: createPooledFetch() })),
)
modelProviderContract('anthropic', upstream(createAnthropic))
modelProviderContract(
  'scripted',
  (...wishes) => Promise.resolve({ provider: scripted(wishes.map(answer)), close: () => Promise.resolve() }),
)
