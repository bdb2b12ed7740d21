import type { AvailableModels } from '../../shared/models.ts'
import { AppError } from '../errors.ts'
import type { Connections } from './connections.ts'
import type { ModelInfo } from './provider.ts'
import { guessKind } from './providers/model-kind.ts'
import type { Facts, ModelStore, StoredModel, StoredProvider } from './store.ts'
import { vendorOf } from './vendors.ts'

const KEPT_MS = 10 * 60_000

/** What providers say they offer, asked at most every ten minutes. */
export function createDiscovery(
  { connections, store, now }: { connections: Connections; store: ModelStore; now: () => number },
) {
  const kept = new Map<string, { at: number; models: ModelInfo[] }>()

  /** Throws `AppError` when the provider can't be asked. */
  async function discover(row: StoredProvider, signal: AbortSignal, refresh = false): Promise<ModelInfo[]> {
    const bundled = vendorOf(row.name, row.metadata).models
    if (bundled) return bundled
    const key = `${row.id}@${row.version}`
    const known = kept.get(key)
    if (known && !refresh && now() - known.at < KEPT_MS) return known.models
    const provider = await connections.provider(row)
    const models = await provider.listModels(signal)
    kept.set(key, { at: now(), models })
    if (kept.size > 100) kept.delete(kept.keys().next().value ?? '')
    return models
  }

  /** Keeps what the provider says now of the models that were added, when it differs from what is known. */
  async function learn(row: StoredProvider, own: StoredModel[], found: ModelInfo[]): Promise<void> {
    for (const model of own) {
      const info = found.find((candidate) => candidate.id === model.model)
      const facts = info && factsOf(row, info)
      if (!facts || JSON.stringify(facts) === JSON.stringify(model.facts)) continue
      await store.changeModel(model.id, { facts }, now())
      connections.forget()
    }
  }

  return {
    discover,
    /** The list for people, with what is added already; a provider that can't be asked gives an empty one and why. */
    async available(row: StoredProvider, signal: AbortSignal, refresh: boolean): Promise<AvailableModels> {
      const head = { provider_id: row.id, provider: row.name, framework: row.framework }
      const own = (await connections.rows()).models.filter((model) => model.provider_id === row.id)
      const added = new Set(own.map((model) => model.model))
      try {
        const found = await discover(row, signal, refresh)
        await learn(row, own, found)
        return { ...head, models: found.map((info) => offer(row, info, added)) }
      } catch (error) {
        if (!(error instanceof AppError)) throw error
        return { ...head, models: [], error: error.message }
      }
    },
    /** What the provider said of one model when it was last asked; never asks. */
    facts(row: StoredProvider, model: string): Facts | null {
      const info = kept.get(`${row.id}@${row.version}`)?.models.find((candidate) => candidate.id === model)
      return info ? factsOf(row, info) : null
    },
  }
}

export type Discovery = ReturnType<typeof createDiscovery>

/** The measures within a listed model; null when it has none. */
function factsOf(row: StoredProvider, info: ModelInfo): Facts | null {
  const facts: Facts = {
    source: row.name === 'openrouter' ? 'openrouter' : 'provider',
    ...(info.context_window === undefined ? {} : { context_window: info.context_window }),
    ...(info.max_output_tokens === undefined ? {} : { max_output_tokens: info.max_output_tokens }),
    ...(info.input_cost_per_million === undefined ? {} : { input_cost_per_million: info.input_cost_per_million }),
    ...(info.output_cost_per_million === undefined ? {} : { output_cost_per_million: info.output_cost_per_million }),
  }
  return Object.keys(facts).length > 1 ? facts : null
}

function offer(row: StoredProvider, info: ModelInfo, added: ReadonlySet<string>): AvailableModels['models'][number] {
  const { input_cost_per_million: input, output_cost_per_million: output } = info
  return {
    id: info.id,
    display_name: info.display_name ?? info.id,
    kind: info.kind ?? guessKind(info.id),
    runtime_id: `${row.name}:${info.id}`,
    added: added.has(info.id),
    ...(info.context_window === undefined ? {} : { context_window: info.context_window }),
    ...(input === undefined || output === undefined
      ? {}
      : { costs: { input_cost_per_million: input, output_cost_per_million: output } }),
  }
}
