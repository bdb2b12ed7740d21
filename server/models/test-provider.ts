import { AppError } from '../errors.ts'
import type { Connections } from './connections.ts'
import type { Discovery } from './discovery.ts'
import { chatModels } from './choose-models.ts'
import type { StoredProvider } from './store.ts'

export type TestResult = { ok: true; model: string; response: string } | { ok: false; error: string }

const TEST_MS = 60_000

/** One small question to one model: the named one, else one that is enabled, else one that the provider lists. */
export async function testProvider(
  row: StoredProvider,
  named: string | undefined,
  { connections, discovery, signal }: { connections: Connections; discovery: Discovery; signal: AbortSignal },
): Promise<TestResult> {
  const bounded = AbortSignal.any([signal, AbortSignal.timeout(TEST_MS)])
  const prefix = `${row.name}:`
  try {
    const model = (named?.startsWith(prefix) ? named.slice(prefix.length) : named) || await someModel()
    if (!model) return { ok: false, error: `${row.name} lists no chat model. Name one to test.` }
    const provider = await connections.provider(row)
    const request = {
      model,
      messages: [{
        role: 'user' as const,
        content: [{ type: 'text' as const, text: 'Reply with the single word: OK' }],
      }],
      // Enough for a model that thinks before it says the word.
      max_output_tokens: 1024,
    }
    let response = ''
    for await (const event of provider.stream(request, bounded)) {
      if (event.type === 'text') response += event.delta
      if (event.type === 'failed') {
        const late = event.message === 'aborted' && !signal.aborted
        return { ok: false, error: late ? `${row.name} did not answer within ${TEST_MS / 1000} s` : event.message }
      }
    }
    return { ok: true, model, response: response.trim() }
  } catch (error) {
    if (error instanceof AppError) return { ok: false, error: error.message }
    throw error
  }

  async function someModel(): Promise<string | undefined> {
    const { models } = await connections.rows()
    const own = models.filter((model) => model.provider_id === row.id && model.kind === 'llm')
    const added = own.find((model) => model.enabled) ?? own[0]
    return added?.model ?? chatModels(row.name, await discovery.discover(row, bounded))[0]?.id
  }
}
