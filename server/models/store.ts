import type { Model, ModelKind, Provider } from '../../shared/models.ts'
import type { Db } from '../db/open.ts'
import { measure } from './measures.ts'

type ProviderTable = {
  id: number
  name: string
  framework: string
  kind: Provider['kind']
  base_url: string | null
  api_key: string | null
  api_key_display: string
  enabled: number
  metadata: string
  version: number
  created_at: number
  updated_at: number
}

type ModelTable = {
  id: number
  provider_id: number
  model: string
  kind: ModelKind
  display_name: string | null
  tier_hint: string | null
  enabled: number
  is_classifier: number
  metadata: string
  facts: string | null
  created_at: number
  updated_at: number
}

type Tables = {
  providers: ProviderTable
  models: ModelTable
  detected_providers: { name: string; at: number }
}

/** What was reported of a model, and by whom. */
export type Facts = {
  source: 'provider' | 'openrouter'
  context_window?: number
  max_output_tokens?: number
  input_cost_per_million?: number
  output_cost_per_million?: number
}

/** A provider with what only the server may know. */
export type StoredProvider = Provider & { sealed_key: string | null; version: number }
export type StoredModel = Model & { facts: Facts | null }

type NewProvider =
  & Pick<Provider, 'name' | 'framework' | 'kind' | 'base_url' | 'enabled' | 'metadata' | 'api_key_display'>
  & {
    sealed_key: string | null
  }
type NewModel =
  & Pick<
    Model,
    'provider_id' | 'model' | 'kind' | 'display_name' | 'tier_hint' | 'enabled' | 'is_classifier' | 'metadata'
  >
  & { facts: Facts | null }

/** Times are epoch milliseconds here. Inserts give `undefined` when the unique name is taken. */
export type ModelStore = {
  providers(): Promise<StoredProvider[]>
  provider(id: number): Promise<StoredProvider | undefined>
  addProvider(provider: NewProvider, at: number): Promise<StoredProvider | undefined>
  /** `undefined` when the new name is taken. */
  changeProvider(id: number, change: Partial<NewProvider>, at: number): Promise<StoredProvider | undefined>
  /** How many models went with it. */
  removeProvider(id: number): Promise<number>
  models(): Promise<StoredModel[]>
  model(id: number): Promise<StoredModel | undefined>
  addModel(model: NewModel, at: number): Promise<StoredModel | undefined>
  changeModel(id: number, change: Partial<NewModel>, at: number): Promise<StoredModel | undefined>
  removeModel(id: number): Promise<void>
  /** Gives one model the default flag and takes it from all others; of two at the same time, the last one has it. */
  makeDefault(id: number): Promise<void>
  wasDetected(name: string): Promise<boolean>
  markDetected(name: string, at: number): Promise<void>
}

export function createModelStore({ kysely }: { kysely: Db }): ModelStore {
  const db = kysely.withTables<Tables>()
  const joined = () =>
    db.selectFrom('models').innerJoin('providers', 'providers.id', 'models.provider_id').selectAll('models').select([
      'providers.name as provider_name',
      'providers.framework as framework',
      'providers.enabled as provider_enabled',
      'providers.base_url as provider_base_url',
    ])

  const provider = async (id: number) => {
    const row = await db.selectFrom('providers').selectAll().where('id', '=', id).executeTakeFirst()
    return row && toProvider(row)
  }
  const model = async (id: number) => {
    const row = await joined().where('models.id', '=', id).executeTakeFirst()
    return row && toModel(row)
  }

  return {
    providers: async () => (await db.selectFrom('providers').selectAll().orderBy('id').execute()).map(toProvider),
    provider,
    addProvider: async (input, at) => {
      const columns = providerColumns(input) as Omit<ProviderTable, 'id' | 'version' | 'created_at' | 'updated_at'>
      const row = await db.insertInto('providers')
        .values({ ...columns, version: 1, created_at: at, updated_at: at } as ProviderTable)
        .onConflict((conflict) => conflict.columns(['name', 'framework']).doNothing())
        .returningAll().executeTakeFirst()
      return row && toProvider(row)
    },
    changeProvider: async (id, change, at) => {
      try {
        await db.updateTable('providers')
          .set((eb) => ({ ...providerColumns(change), updated_at: at, version: eb('version', '+', 1) }))
          .where('id', '=', id).execute()
      } catch (error) {
        if (isTaken(error)) return undefined
        throw error
      }
      return provider(id)
    },
    removeProvider: async (id) => {
      const { n } = await db.selectFrom('models').select((eb) => eb.fn.countAll<number>().as('n'))
        .where('provider_id', '=', id).executeTakeFirstOrThrow()
      await db.deleteFrom('providers').where('id', '=', id).execute()
      return n
    },
    models: async () => (await joined().orderBy('models.id').execute()).map(toModel),
    model,
    addModel: async (input, at) => {
      const columns = modelColumns(input) as Omit<ModelTable, 'id' | 'created_at' | 'updated_at'>
      const row = await db.insertInto('models').values({ ...columns, created_at: at, updated_at: at } as ModelTable)
        .onConflict((conflict) => conflict.columns(['provider_id', 'model']).doNothing())
        .returning('id').executeTakeFirst()
      return row && model(row.id)
    },
    changeModel: async (id, change, at) => {
      try {
        await db.updateTable('models').set({ ...modelColumns(change), updated_at: at }).where('id', '=', id).execute()
      } catch (error) {
        if (isTaken(error)) return undefined
        throw error
      }
      return model(id)
    },
    removeModel: async (id) => void await db.deleteFrom('models').where('id', '=', id).execute(),
    makeDefault: async (id) =>
      void await db.updateTable('models').set((eb) => ({
        is_classifier: eb.case().when('id', '=', id).then(1).else(0).end(),
      }))
        .where((eb) => eb.or([eb('is_classifier', '=', 1), eb('id', '=', id)])).execute(),
    wasDetected: async (name) =>
      await db.selectFrom('detected_providers').select('name').where('name', '=', name).executeTakeFirst() !==
        undefined,
    markDetected: async (name, at) =>
      void await db.insertInto('detected_providers').values({ name, at })
        .onConflict((conflict) => conflict.column('name').doNothing()).execute(),
  }
}

const isTaken = (error: unknown): boolean => /unique constraint/i.test(error instanceof Error ? error.message : '')

function providerColumns({ sealed_key, enabled, metadata, ...rest }: Partial<NewProvider>) {
  return {
    ...rest,
    ...(sealed_key === undefined ? {} : { api_key: sealed_key }),
    ...(enabled === undefined ? {} : { enabled: Number(enabled) }),
    ...(metadata === undefined ? {} : { metadata: JSON.stringify(metadata) }),
  }
}

function modelColumns({ enabled, is_classifier, metadata, facts, ...rest }: Partial<NewModel>) {
  return {
    ...rest,
    ...(enabled === undefined ? {} : { enabled: Number(enabled) }),
    ...(is_classifier === undefined ? {} : { is_classifier: Number(is_classifier) }),
    ...(metadata === undefined ? {} : { metadata: JSON.stringify(metadata) }),
    ...(facts === undefined ? {} : { facts: facts && JSON.stringify(facts) }),
  }
}

const times = (row: { created_at: number; updated_at: number }) => ({
  created_at: row.created_at / 1000,
  created_at_iso: new Date(row.created_at).toISOString(),
  updated_at: row.updated_at / 1000,
  updated_at_iso: new Date(row.updated_at).toISOString(),
})

const toProvider = (row: ProviderTable): StoredProvider => ({
  id: row.id,
  name: row.name,
  framework: row.framework,
  kind: row.kind,
  base_url: row.base_url,
  enabled: row.enabled === 1,
  metadata: JSON.parse(row.metadata) as Record<string, unknown>,
  ...times(row),
  api_key_display: row.api_key_display,
  sealed_key: row.api_key,
  version: row.version,
})

type JoinedModel = ModelTable & {
  provider_name: string
  framework: string
  provider_enabled: number
  provider_base_url: string | null
}

function toModel(row: JoinedModel): StoredModel {
  const facts = row.facts === null ? null : JSON.parse(row.facts) as Facts
  const metadata = JSON.parse(row.metadata) as Record<string, unknown>
  const { context_window, window_source, price } = measure({
    provider: row.provider_name,
    base_url: row.provider_base_url,
    model: row.model,
    metadata,
    facts,
  })
  return {
    id: row.id,
    provider_id: row.provider_id,
    provider_name: row.provider_name,
    framework: row.framework,
    kind: row.kind,
    runtime_id: `${row.provider_name}:${row.model}`,
    model: row.model,
    display_name: row.display_name,
    tier_hint: row.tier_hint,
    enabled: row.enabled === 1,
    is_classifier: row.is_classifier === 1,
    provider_enabled: row.provider_enabled === 1,
    metadata,
    ...times(row),
    input_cost_per_million: price?.input_per_million ?? null,
    output_cost_per_million: price?.output_per_million ?? null,
    context_window,
    window_source,
    facts,
  }
}
