import * as v from 'valibot'

/** `embedding` models are listed but neither chat nor speak. */
export const ModelKind = v.picklist(['llm', 'tts', 'stt', 'embedding'], 'must be llm, tts, stt or embedding')
export type ModelKind = v.InferOutput<typeof ModelKind>

const ProviderKind = v.picklist(['llm', 'tts', 'stt'], 'must be llm, tts or stt')

/** The only way in which models are reached; older clients' names for it are understood. */
export const FRAMEWORK = 'api-based'

const Framework = v.pipe(
  v.picklist([FRAMEWORK, 'agno', 'litellm'], `must be ${FRAMEWORK}`),
  v.transform(() => FRAMEWORK),
)

const ProviderName = v.pipe(
  v.string('must be text'),
  v.trim(),
  v.toLowerCase(),
  v.regex(/^[a-z0-9][a-z0-9._-]{0,63}$/, 'must be 1 to 64 letters, digits, dots, dashes or underscores'),
)

const Metadata = v.pipe(
  v.record(v.string(), v.unknown(), 'must be an object'),
  v.check((value) => JSON.stringify(value).length <= 20_000, 'must be smaller than 20,000 characters'),
)

/** A key, or a reference such as `${OPENAI_API_KEY}`; empty text or null removes it. */
const ApiKey = v.nullable(v.pipe(v.string('must be text'), v.trim(), v.maxLength(4096, 'is too long for a key')))
const BaseUrl = v.nullable(v.pipe(v.string('must be text'), v.trim(), v.maxLength(2048, 'is too long for an address')))

/** Older clients send 0 and 1. */
const Flag = v.union(
  [v.boolean(), v.pipe(v.picklist([0, 1]), v.transform((value) => value === 1))],
  'must be true or false',
)

export const CreateProviderInput = v.object({
  name: ProviderName,
  framework: v.nullish(Framework, FRAMEWORK),
  kind: v.nullish(ProviderKind, 'llm'),
  api_key: v.optional(ApiKey),
  base_url: v.optional(BaseUrl),
  enabled: v.nullish(Flag),
  metadata: v.nullish(Metadata),
})
export type CreateProviderInput = v.InferOutput<typeof CreateProviderInput>

/** A merge: what is left out stays. `framework` and `kind` may be repeated, not changed. */
export const UpdateProviderInput = v.object({
  name: v.optional(ProviderName),
  framework: v.optional(v.string('must be text')),
  kind: v.optional(v.string('must be text')),
  api_key: v.optional(ApiKey),
  base_url: v.optional(BaseUrl),
  enabled: v.optional(Flag),
  metadata: v.optional(Metadata),
})
export type UpdateProviderInput = v.InferOutput<typeof UpdateProviderInput>

export const TestProviderInput = v.object({ model: v.optional(v.pipe(v.string('must be text'), v.maxLength(300))) })

const ModelName = v.pipe(
  v.string('must be text'),
  v.trim(),
  v.minLength(1, 'must not be empty'),
  v.maxLength(300, 'must have at most 300 characters'),
)
const Label = v.nullable(
  v.pipe(v.string('must be text'), v.trim(), v.maxLength(200, 'must have at most 200 characters')),
)

export const CreateModelInput = v.object({
  provider_id: v.pipe(v.number('must be a number'), v.integer('must be a whole number')),
  model: ModelName,
  display_name: v.optional(Label),
  tier_hint: v.optional(Label),
  enabled: v.nullish(Flag),
  is_classifier: v.nullish(Flag),
  metadata: v.nullish(Metadata),
  kind: v.nullish(ModelKind),
})
export type CreateModelInput = v.InferOutput<typeof CreateModelInput>

/** A merge: what is left out stays. A model's provider never changes. */
export const UpdateModelInput = v.object({
  model: v.optional(ModelName),
  display_name: v.optional(Label),
  tier_hint: v.optional(Label),
  enabled: v.optional(Flag),
  is_classifier: v.optional(Flag),
  metadata: v.optional(Metadata),
  kind: v.optional(ModelKind),
})
export type UpdateModelInput = v.InferOutput<typeof UpdateModelInput>

export const ListModelsQuery = v.object({
  provider_id: v.optional(v.pipe(v.string(), v.regex(/^\d+$/, 'must be a number'), v.transform(Number))),
  framework: v.optional(v.string()),
  enabled_only: v.optional(v.string()),
  kind: v.optional(ModelKind),
})
export type ListModelsQuery = v.InferOutput<typeof ListModelsQuery>

export const AvailableModelsQuery = v.object({
  provider_id: v.pipe(
    v.string('is missing: the id of a provider'),
    v.regex(/^\d+$/, 'must be a number'),
    v.transform(Number),
  ),
  /** `1` asks the provider again instead of answering from memory. */
  refresh: v.optional(v.string()),
})

export const CatalogQuery = v.object({ provider: v.optional(v.string()) })

/** An endpoint with credentials (spec openagent-api §5). Times are epoch seconds. */
export type Provider = {
  id: number
  name: string
  framework: string
  kind: 'llm' | 'tts' | 'stt'
  base_url: string | null
  enabled: boolean
  metadata: Record<string, unknown>
  created_at: number
  created_at_iso: string
  updated_at: number
  updated_at_iso: string
  /** `****` and the last four characters, `${VAR}` for a reference, an em dash without a key. */
  api_key_display: string
}

/** One model of a provider (spec openagent-api §5). Prices are US dollars, null when nobody knows them. */
export type Model = {
  id: number
  provider_id: number
  provider_name: string
  framework: string
  kind: ModelKind
  /** `provider:model`; selects it everywhere. */
  runtime_id: string
  model: string
  display_name: string | null
  tier_hint: string | null
  enabled: boolean
  /** The default model; the name is OpenAgent's. */
  is_classifier: boolean
  provider_enabled: boolean
  metadata: Record<string, unknown>
  created_at: number
  created_at_iso: string
  updated_at: number
  updated_at_iso: string
  input_cost_per_million: number | null
  output_cost_per_million: number | null
  /** Tokens; an estimate when the source is `fallback`. */
  context_window: number
  window_source: 'provider' | 'openrouter' | 'fallback'
}

/** A model that a provider offers, whether or not it was added. */
export type AvailableModel = {
  id: string
  display_name: string
  kind: ModelKind
  runtime_id: string
  added: boolean
  context_window?: number
  costs?: { input_cost_per_million: number; output_cost_per_million: number }
}

export type AvailableModels = {
  provider_id: number
  provider: string
  framework: string
  models: AvailableModel[]
  /** Why the list is empty, for people. */
  error?: string
}

/** One choice of the model picker. */
export type ModelOption = { runtime_id: string; label: string; subtitle: string; default: boolean }
