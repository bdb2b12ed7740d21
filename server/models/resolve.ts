import type { ModelOption } from '../../shared/models.ts'
import { invalid } from '../errors.ts'
import type { Connections } from './connections.ts'
import { measure, type Measures } from './measures.ts'
import type { ModelProvider } from './provider.ts'
import type { StoredModel, StoredProvider } from './store.ts'

/** A model that is ready to be called, with what is known of its limits and price. */
export type ResolvedModel = Measures & {
  /** `provider:model`. */
  runtime_id: string
  label: string
  provider: ModelProvider
  /** The provider's own name of it. */
  model: string
}

export const BUILTIN_ID = 'builtin:rules'

const BUILTIN_WINDOW = 32_768

/** Which model answers: the pin, else the default, else the first enabled, else the built-in rules. */
export function createResolve(
  { connections, builtin, settled, isSettled }: {
    connections: Connections
    builtin: ModelProvider
    /** Resolves when a search for providers that runs right now is over. */
    settled: () => Promise<void>
    /** Whether none runs. */
    isSettled: () => boolean
  },
) {
  const builtinRules: ResolvedModel = {
    runtime_id: BUILTIN_ID,
    label: 'Built-in assistant',
    provider: builtin,
    model: 'rules',
    context_window: BUILTIN_WINDOW,
    window_source: 'provider',
    price: null,
  }

  const usable = async (): Promise<StoredModel[]> => (await connections.rows()).models.filter(isUsable)

  const ready = async (model: StoredModel): Promise<ResolvedModel> => {
    const row = (await connections.rows()).providers.find((row) => row.id === model.provider_id)
    if (!row) throw invalid('model', `${model.runtime_id} is not connected any more`)
    return resolved(model, row, await connections.provider(row))
  }

  return {
    async resolve(pin: string | null): Promise<ResolvedModel> {
      if (pin === BUILTIN_ID) return builtinRules
      let models = await usable()
      if (pin !== null && pin !== '') {
        const pinned = pinnedOf(models, pin)
        if (pinned) return ready(pinned)
        throw invalid('model', refusal(pin, (await connections.rows()).models, models))
      }
      if (models.length === 0) {
        await settled()
        models = await usable()
      }
      const chosen = defaultOf(models)
      return chosen ? ready(chosen) : builtinRules
    },
    /**
     * As `resolve` would answer at this moment, when that takes neither a query nor a wait; undefined otherwise, also
     * for a pin that it would refuse.
     */
    resolveNow(pin: string | null): ResolvedModel | undefined {
      if (pin === BUILTIN_ID) return builtinRules
      const rows = connections.rowsNow()
      if (!rows) return undefined
      const models = rows.models.filter(isUsable)
      if (!pin && models.length === 0) return isSettled() ? builtinRules : undefined
      const model = pin ? pinnedOf(models, pin) : defaultOf(models)
      const row = model && rows.providers.find((row) => row.id === model.provider_id)
      const provider = row && connections.providerNow(row)
      return model && row && provider && resolved(model, row, provider)
    },
    /** Has in memory what `resolveNow` looks at; what goes wrong here, `resolve` tells. */
    async prepare(): Promise<void> {
      await connections.rows().catch(() => {})
    },
    async options(): Promise<ModelOption[]> {
      const models = await usable()
      const chosen = defaultOf(models)
      return [
        ...models.map((model) => ({
          runtime_id: model.runtime_id,
          label: labelOf(model),
          subtitle: model.provider_name,
          default: model === chosen,
        })),
        {
          runtime_id: BUILTIN_ID,
          label: builtinRules.label,
          subtitle: 'Rules, not a language model',
          default: !chosen,
        },
      ]
    },
  }
}

const isUsable = (model: StoredModel): boolean => model.kind === 'llm' && model.enabled && model.provider_enabled

const resolved = (model: StoredModel, row: StoredProvider, provider: ModelProvider): ResolvedModel => ({
  runtime_id: model.runtime_id,
  label: labelOf(model),
  provider,
  model: model.model,
  ...measure({ provider: row.name, base_url: row.base_url, ...model }),
})

const pinnedOf = (models: StoredModel[], pin: string): StoredModel | undefined =>
  models.find((model) => model.runtime_id === pin) ?? only(models, pin)

const labelOf = (model: StoredModel): string => model.display_name || model.model

const defaultOf = (models: StoredModel[]): StoredModel | undefined =>
  models.find((model) => model.is_classifier) ?? models[0]

/** People type `gpt-5` for `openai:gpt-5`; it counts when only one provider has it. */
function only(models: StoredModel[], name: string): StoredModel | undefined {
  const found = models.filter((model) => model.model === name)
  return found.length === 1 ? found[0] : undefined
}

function refusal(pin: string, all: StoredModel[], usable: StoredModel[]): string {
  const known = all.find((model) => model.runtime_id === pin || model.model === pin)
  const why = !known
    ? `${pin} is not connected`
    : known.kind !== 'llm'
    ? `${pin} is not a chat model`
    : usable.includes(known)
    ? `more than one provider has ${pin}`
    : `${pin} is switched off`
  const names = [...usable.map((model) => model.runtime_id), BUILTIN_ID]
  const shown = names.slice(0, 20).join(', ')
  return `${why}. Choose one of: ${shown}${names.length > 20 ? ', …' : ''}`
}
