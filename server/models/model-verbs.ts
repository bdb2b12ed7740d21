import type { CreateModelInput, ListModelsQuery, Model, UpdateModelInput } from '../../shared/models.ts'
import type { Caller } from '../auth/principal.ts'
import { AppError, invalid, notFound } from '../errors.ts'
import type { Connections } from './connections.ts'
import type { ModelsDeps } from './deps.ts'
import type { Discovery } from './discovery.ts'
import { guessKind } from './providers/model-kind.ts'
import type { StoredModel } from './store.ts'

type Deps = ModelsDeps & { connections: Connections; discovery: Discovery }

/** Listing, adding, changing and removing models. */
export function createModelVerbs({ store, bus, audit, now, connections, discovery }: Deps) {
  const changed = async (
    caller: Caller,
    action: 'created' | 'updated' | 'deleted',
    model: StoredModel,
    detail: Record<string, unknown> = {},
  ): Promise<void> => {
    connections.forget()
    await audit?.({
      caller,
      action: `model.${action}`,
      target: String(model.id),
      detail: { runtime_id: model.runtime_id, ...detail },
    })
    bus.publish({ type: 'resource', resource: 'model', action, id: String(model.id) })
  }

  const get = async (id: number): Promise<StoredModel> => {
    const model = await store.model(id)
    if (!model) throw notFound('model', String(id))
    return model
  }

  return {
    async list(query: ListModelsQuery = {}): Promise<Model[]> {
      const enabledOnly = query.enabled_only !== undefined && !['0', 'false', ''].includes(query.enabled_only)
      return (await connections.rows()).models.filter((model) =>
        (query.provider_id === undefined || model.provider_id === query.provider_id) &&
        (query.framework === undefined || model.framework === query.framework) &&
        (query.kind === undefined || model.kind === query.kind) &&
        (!enabledOnly || (model.enabled && model.provider_enabled))
      ).map(visible)
    },

    async create(caller: Caller, input: CreateModelInput): Promise<Model> {
      const provider = await store.provider(input.provider_id)
      if (!provider) throw invalid('provider_id', `there is no provider ${input.provider_id}`)
      const model = await store.addModel({
        provider_id: provider.id,
        model: input.model,
        kind: input.kind ?? (provider.kind === 'llm' ? guessKind(input.model) : provider.kind),
        display_name: input.display_name || null,
        tier_hint: input.tier_hint || null,
        enabled: input.enabled ?? true,
        is_classifier: input.is_classifier ?? false,
        metadata: input.metadata ?? {},
        facts: discovery.facts(provider, input.model),
      }, now())
      if (!model) throw taken(`${provider.name}:${input.model}`)
      if (model.is_classifier) await store.makeDefault(model.id)
      await changed(caller, 'created', model)
      return visible(model)
    },

    async update(caller: Caller, id: number, input: UpdateModelInput): Promise<Model> {
      const before = await get(id)
      const renamed = input.model !== undefined && input.model !== before.model
      const change = {
        ...input,
        ...(input.display_name === undefined ? {} : { display_name: input.display_name || null }),
        ...(input.tier_hint === undefined ? {} : { tier_hint: input.tier_hint || null }),
        // What was reported of another model says nothing of this one.
        ...(renamed ? { facts: null } : {}),
      }
      const model = await store.changeModel(id, change, now())
      if (!model) throw taken(`${before.provider_name}:${input.model}`)
      if (input.is_classifier === true) await store.makeDefault(id)
      await changed(caller, 'updated', model, { fields: Object.keys(input) })
      return visible(model)
    },

    async remove(caller: Caller, id: number): Promise<void> {
      const model = await get(id)
      await store.removeModel(id)
      await changed(caller, 'deleted', model)
    },
  }
}

export type ModelVerbs = ReturnType<typeof createModelVerbs>

const visible = ({ facts: _facts, ...model }: StoredModel): Model => model

const taken = (id: string): AppError => new AppError('conflict', `${id} is there already. Change it instead.`)
