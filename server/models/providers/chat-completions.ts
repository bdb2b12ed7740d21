import type { ModelInfo, ModelProvider, ProviderSettings } from '../provider.ts'
import { AppError } from '../../errors.ts'
import { chatBase } from './base-url.ts'
import { chatDecoder } from './chat-completions-decoder.ts'
import { chatBody, type Optional, refusedOption } from './chat-completions-request.ts'
import { guessKind } from './model-kind.ts'
import { createAsking } from './refused-options.ts'
import { transcribeAt } from './transcription.ts'
import { getJson, streamUpstream } from './upstream.ts'

const DEFAULT_BASE = 'https://api.openai.com/v1'

/** An endpoint that speaks OpenAI's chat completions: OpenAI, OpenRouter, Ollama, vLLM, llama.cpp, LM Studio, Groq… */
export function createChatCompletions(settings: ProviderSettings): ModelProvider {
  const base = chatBase(settings.base_url || DEFAULT_BASE)
  const { host } = new URL(base)
  const headers: Record<string, string> = {
    ...(settings.api_key ? { authorization: `Bearer ${settings.api_key}` } : {}),
    ...settings.headers,
  }
  const asking = createAsking<Optional>({
    host,
    key: settings.api_key,
    url: `${base}/chat/completions`,
    headers,
    refusedOption,
  })

  return {
    async listModels(signal) {
      try {
        const listed = readModels(await getJson(host, settings, `${base}/models`, headers, signal))
        if (listed.length > 0) return listed
      } catch (error) {
        if (!(error instanceof AppError) || error.code !== 'bad_gateway') throw error
        const tags = await ollamaTags(base, settings, headers, signal)
        if (tags.length > 0) return tags
        throw error
      }
      return ollamaTags(base, settings, headers, signal)
    },
    stream(request, signal) {
      const open = asking(request.model, (refused) => chatBody(request, host, refused))
      return streamUpstream(host, settings, signal, open, chatDecoder(host, settings.api_key, request))
    },
    transcribe: (model, file, signal) => transcribeAt({ base, headers, settings }, model, file, signal),
  }
}

type Listed = {
  id?: unknown
  name?: unknown
  display_name?: unknown
  type?: unknown
  context_length?: unknown
  context_window?: unknown
  max_context_length?: unknown
  max_model_len?: unknown
  max_completion_tokens?: unknown
  top_provider?: { context_length?: unknown; max_completion_tokens?: unknown } | null
  pricing?: { prompt?: unknown; completion?: unknown } | null
  meta?: { n_ctx?: unknown; n_ctx_train?: unknown } | null
}

/** `{data:[…]}` or a bare list, with the extras of OpenRouter, Groq, Mistral, vLLM, LM Studio and llama.cpp. */
export function readModels(body: unknown): ModelInfo[] {
  const list = Array.isArray(body) ? body : (body as { data?: unknown } | null)?.data
  if (!Array.isArray(list)) return []
  return list.flatMap((entry: Listed | null) => {
    if (typeof entry?.id !== 'string' || entry.id === '') return []
    const window = count(entry.top_provider?.context_length) ?? count(entry.context_length) ??
      count(entry.context_window) ?? count(entry.max_context_length) ?? count(entry.max_model_len) ??
      count(entry.meta?.n_ctx) ?? count(entry.meta?.n_ctx_train)
    const output = count(entry.max_completion_tokens) ?? count(entry.top_provider?.max_completion_tokens)
    const name = entry.display_name ?? entry.name
    const input = perMillion(entry.pricing?.prompt)
    const completion = perMillion(entry.pricing?.completion)
    return [{
      id: entry.id,
      kind: guessKind(entry.id),
      ...(typeof name === 'string' && name !== entry.id ? { display_name: name } : {}),
      ...(window ? { context_window: window } : {}),
      ...(output ? { max_output_tokens: output } : {}),
      ...(input === undefined ? {} : { input_cost_per_million: input }),
      ...(completion === undefined ? {} : { output_cost_per_million: completion }),
    }]
  })
}

/** Ollama's own list, for versions that have no `/v1/models`; empty for whatever is not an Ollama. */
async function ollamaTags(
  base: string,
  settings: ProviderSettings,
  headers: Record<string, string>,
  signal: AbortSignal,
): Promise<ModelInfo[]> {
  const { origin, host } = new URL(base)
  try {
    const body = await getJson(host, settings, `${origin}/api/tags`, headers, signal) as { models?: unknown } | null
    if (!Array.isArray(body?.models)) return []
    return body.models.flatMap((entry: { name?: unknown; model?: unknown } | null) => {
      const id = entry?.model ?? entry?.name
      return typeof id === 'string' ? [{ id, kind: guessKind(id) }] : []
    })
  } catch (error) {
    if (error instanceof AppError) return []
    throw error
  }
}

const count = (value: unknown): number | undefined =>
  typeof value === 'number' && Number.isFinite(value) && value > 0 ? Math.floor(value) : undefined

/** OpenRouter prices one token, in a string; −1 means that it varies. */
function perMillion(value: unknown): number | undefined {
  const price = typeof value === 'string' && value !== '' ? Number(value) : NaN
  return price >= 0 ? Math.round(price * 1e12) / 1e6 : undefined
}
