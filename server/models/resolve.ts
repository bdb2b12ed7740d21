import type { ModelOption } from '../../shared/models.ts'
import { invalid } from '../errors.ts'
import type { Connections } from './connections.ts'
import { measure, type Measures } from './measures.ts'
import type { ModelProvider } from './provider.ts'
import type { StoredModel } from './store.ts'

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
  { connections, builtin, settled }: {
    connections: Connections
    builtin: ModelProvider
    /** Resolves when a search for providers that runs right now is over. */
    settled: () => Promise<void>
  },
) {
  const rules: ResolvedModel = {
    runtime_id: BUILTIN_ID,
    label: 'Built-in assistant',
    provider: builtin,
    model: 'rules',
    context_window: BUILTIN_WINDOW,
    window_source: 'provider',
    price: null,
  }

  const usable = async (): Promise<StoredModel[]> =>
    (await connections.rows()).models.filter((model) => model.kind === 'llm' && model.enabled && model.provider_enabled)

  const ready = async (model: StoredModel): Promise<ResolvedModel> => {
    const provider = (await connections.rows()).providers.find((row) => row.id === model.provider_id)
    if (!provider) throw invalid('model', `${model.runtime_id} is not connected any more`)
    return {
      runtime_id: model.runtime_id,
      label: labelOf(model),
      provider: await connections.provider(provider),
      model: model.model,
      ...measure({ provider: provider.name, base_url: provider.base_url, ...model }),
    }
  }

  return {
    async resolve(pin: string | null): Promise<ResolvedModel> {
      if (pin === BUILTIN_ID) return rules
      let models = await usable()
      if (pin !== null && pin !== '') {
        const pinned = models.find((model) => model.runtime_id === pin) ?? only(models, pin)
        if (pinned) return ready(pinned)
        throw invalid('model', refusal(pin, (await connections.rows()).models, models))
      }
      if (models.length === 0) {
        await settled()
        models = await usable()
      }
      const chosen = defaultOf(models)
      return chosen ? ready(chosen) : rules
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
        { runtime_id: BUILTIN_ID, label: rules.label, subtitle: 'Rules, not a language model', default: !chosen },
      ]
    },
  }
}

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
