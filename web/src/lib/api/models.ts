import type {
  AvailableModels,
  CreateModelInput,
  CreateProviderInput,
  Model,
  ModelOption,
  Provider,
  UpdateModelInput,
  UpdateProviderInput,
} from '$shared/models.ts'
import { api, type Fetch } from './client.ts'

/** A provider's answer to a small question. */
export type TestAnswer = { ok: true; model: string; response: string }

/** What a form sends: what has a default is left out. */
export type NewProvider = Omit<CreateProviderInput, 'framework' | 'kind'>

/** Asking a provider waits for somebody else's server. */
const PATIENT = { timeout: 90_000 }

/** Providers, their models, and which of them answers. */
export const models = (fetch?: Fetch) => {
  const client = api(fetch)
  return {
    providers: async () => (await client.get<{ providers: Provider[] }>('/api/providers')).providers,
    createProvider: async (input: NewProvider) =>
      (await client.post<{ provider: Provider }>('/api/providers', input)).provider,
    updateProvider: async (id: number, change: UpdateProviderInput) =>
      (await client.patch<{ provider: Provider }>(`/api/providers/${id}`, change)).provider,
    removeProvider: (id: number) => client.delete<{ models_purged: number }>(`/api/providers/${id}`),
    /** Throws with the provider's own words when it does not answer. */
    testProvider: (id: number, model?: string, signal?: AbortSignal) =>
      client.post<TestAnswer>(`/api/providers/${id}/test`, model ? { model } : {}, { ...PATIENT, signal }),

    list: async () => (await client.get<{ models: Model[] }>('/api/models')).models,
    /** An empty list comes with `error`, which says why. */
    available: (providerId: number, { refresh = false, signal }: { refresh?: boolean; signal?: AbortSignal } = {}) =>
      client.get<AvailableModels>('/api/models/available', {
        query: { provider_id: providerId, refresh: refresh ? 1 : undefined },
        ...PATIENT,
        signal,
      }),
    options: async () => (await client.get<{ options: ModelOption[] }>('/api/models/options')).options,
    create: async (input: CreateModelInput) => (await client.post<{ model: Model }>('/api/models', input)).model,
    update: async (id: number, change: UpdateModelInput) =>
      (await client.patch<{ model: Model }>(`/api/models/${id}`, change)).model,
    remove: (id: number) => client.delete(`/api/models/${id}`),
  }
}
