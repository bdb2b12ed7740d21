import type {
  AvailableModels,
  CreateModelInput,
  CreateProviderInput,
  ListModelsQuery,
  Model,
  ModelOption,
  Provider,
  UpdateModelInput,
  UpdateProviderInput,
} from '../../shared/models.ts'
import type { Caller } from '../auth/principal.ts'
import { notFound } from '../errors.ts'
import { createConnections } from './connections.ts'
import type { ModelsDeps } from './deps.ts'
import { createDetection } from './detect.ts'
import { createDiscovery } from './discovery.ts'
import { createModelVerbs } from './model-verbs.ts'
import { createPluginProviders } from './plugin-providers.ts'
import { createProviderVerbs } from './provider-verbs.ts'
import type { AudioFile } from './provider.ts'
import { createResolve, type ResolvedModel } from './resolve.ts'
import { testProvider, type TestResult } from './test-provider.ts'
import { createTranscribe, type Transcript } from './transcribe.ts'

export type { ResolvedModel } from './resolve.ts'
export type { Transcript, TranscriptCall } from './transcribe.ts'

/** Providers, their models, and which of them answers. Verbs with a caller publish and record what they change. */
export type Models = {
  providers(): Promise<Provider[]>
  createProvider(caller: Caller, input: CreateProviderInput): Promise<Provider>
  updateProvider(caller: Caller, id: number, input: UpdateProviderInput): Promise<Provider>
  /** How many models went with it. */
  removeProvider(caller: Caller, id: number): Promise<number>
  /** Asks one of its models for a word. */
  testProvider(id: number, model: string | undefined, signal: AbortSignal): Promise<TestResult>
  available(id: number, refresh: boolean, signal: AbortSignal): Promise<AvailableModels>
  list(query?: ListModelsQuery): Promise<Model[]>
  create(caller: Caller, input: CreateModelInput): Promise<Model>
  update(caller: Caller, id: number, input: UpdateModelInput): Promise<Model>
  remove(caller: Caller, id: number): Promise<void>
  /** For a session's pin (`provider:model`) or null. Throws `invalid_input` that names the valid ones. */
  resolve(pin: string | null): Promise<ResolvedModel>
  /** As `resolve` at this moment, without a query or a wait; undefined where it needs either, or refuses. */
  resolveNow(pin: string | null): ResolvedModel | undefined
  /** Reads what `resolveNow` looks at. */
  prepare(): Promise<void>
  /** What is said in a file; undefined where neither a plugin nor an enabled model of kind `stt` can write it down. */
  transcribe(file: AudioFile, signal: AbortSignal): Promise<Transcript | undefined>
  /** What a person may choose from, the built-in assistant last. */
  options(): Promise<ModelOption[]>
  /** Adds the providers that the environment names and an Ollama that runs; each once in the life of a home. */
  detect(env: Record<string, string | undefined>, signal: AbortSignal): Promise<void>
  /** Adds what plugins offer that was not offered before; to be called when they may offer something else. */
  lookAtPlugins(): void
}

export function createModels(deps: ModelsDeps): Models {
  const connections = createConnections(deps)
  const discovery = createDiscovery({ ...deps, connections })
  const providers = createProviderVerbs({ ...deps, connections })
  const models = createModelVerbs({ ...deps, connections, discovery })
  const detection = createDetection({ ...deps, providers, models, discovery })
  const lookAtPlugins = createPluginProviders({ ...deps, providers, models, discovery })
  const resolving = createResolve({ connections, builtin: deps.builtin, ...detection })

  const row = async (id: number) => {
    const found = (await connections.rows()).providers.find((provider) => provider.id === id)
    if (!found) throw notFound('provider', String(id))
    return found
  }

  return {
    providers: providers.list,
    createProvider: providers.create,
    updateProvider: providers.update,
    removeProvider: providers.remove,
    testProvider: async (id, model, signal) => testProvider(await row(id), model, { connections, discovery, signal }),
    available: async (id, refresh, signal) => discovery.available(await row(id), signal, refresh),
    list: models.list,
    create: models.create,
    update: models.update,
    remove: models.remove,
    ...resolving,
    transcribe: createTranscribe({ ...deps, connections }),
    detect: detection.detect,
    lookAtPlugins,
  }
}
