import type { Provider } from '$shared/models.ts'
import { models } from '$lib/api/models.ts'
import { explain } from '$lib/errors.ts'

/** How a provider answered when it was last asked from this browser; `at` is epoch seconds. */
export type TestResult = { at: number; ok: boolean; model?: string; text: string; of: number }

const PLACE = 'provider-tests'

/** Small questions to providers, and what came of the last ones. */
export class ProviderTests {
  #results = $state.raw<Record<string, TestResult>>(read())
  #running = $state.raw<Record<string, boolean>>({})

  running(provider: Provider): boolean {
    return this.#running[provider.id] === true
  }

  /** Undefined when it was never asked, or changed since. */
  last(provider: Provider): TestResult | undefined {
    const result = this.#results[provider.id]
    return result?.of === provider.updated_at ? result : undefined
  }

  async run(provider: Provider, model?: string): Promise<void> {
    if (this.running(provider)) return
    this.#running = { ...this.#running, [provider.id]: true }
    const of = provider.updated_at
    try {
      const { model: asked, response } = await models().testProvider(provider.id, model)
      this.#keep(provider.id, { ok: true, model: asked, text: response, of, at: Date.now() / 1000 })
    } catch (error) {
      this.#keep(provider.id, { ok: false, text: explain(error).what, of, at: Date.now() / 1000 })
    } finally {
      this.#running = { ...this.#running, [provider.id]: false }
    }
  }

  #keep(id: number, result: TestResult): void {
    this.#results = { ...this.#results, [id]: result }
    try {
      localStorage.setItem(PLACE, JSON.stringify(this.#results))
    } catch {
      // A full or closed storage: the result is still shown now.
    }
  }
}

function read(): Record<string, TestResult> {
  try {
    return JSON.parse(localStorage.getItem(PLACE) ?? '{}') as Record<string, TestResult>
  } catch {
    return {}
  }
}
