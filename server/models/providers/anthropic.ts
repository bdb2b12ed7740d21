import type { ModelInfo, ModelProvider, ProviderSettings } from '../provider.ts'
import { anthropicDecoder } from './anthropic-decoder.ts'
import { anthropicBody, type AnthropicOption } from './anthropic-request.ts'
import { anthropicBase } from './base-url.ts'
import { createAsking } from './refused-options.ts'
import { getJson, streamUpstream } from './upstream.ts'

const DEFAULT_BASE = 'https://api.anthropic.com'
const VERSION = '2023-06-01'

/** An endpoint that speaks Anthropic Messages. */
export function createAnthropic(settings: ProviderSettings): ModelProvider {
  const base = anthropicBase(settings.base_url || DEFAULT_BASE)
  const { host } = new URL(base)
  const headers: Record<string, string> = {
    ...(settings.api_key ? { 'x-api-key': settings.api_key } : {}),
    'anthropic-version': VERSION,
    ...settings.headers,
  }
  const asking = createAsking<AnthropicOption>({
    host,
    key: settings.api_key,
    url: `${base}/messages`,
    headers,
    refusedOption,
  })

  return {
    async listModels(signal) {
      const models: ModelInfo[] = []
      let after = ''
      // Bounded, for a server that always says "more" must not hold us.
      for (let page = 0; page < 10; page++) {
        const url = `${base}/models?limit=1000${after ? `&after_id=${encodeURIComponent(after)}` : ''}`
        const body = await getJson(host, settings, url, headers, signal) as ModelPage | null
        if (!Array.isArray(body?.data)) break
        for (const entry of body.data) if (typeof entry?.id === 'string') models.push(readModel(entry))
        if (!body.has_more || !body.last_id) break
        after = body.last_id
      }
      return models
    },
    stream(request, signal) {
      const open = asking(request.model, (refused) => anthropicBody(request, refused))
      return streamUpstream(host, settings, signal, open, anthropicDecoder(host, settings.api_key, request))
    },
  }
}

type Entry = { id: string; display_name?: string; max_input_tokens?: number; max_tokens?: number }
type ModelPage = { data?: (Entry | null)[]; has_more?: boolean; last_id?: string }

const readModel = (entry: Entry): ModelInfo => ({
  id: entry.id,
  kind: 'llm',
  ...(entry.display_name ? { display_name: entry.display_name } : {}),
  ...(typeof entry.max_input_tokens === 'number' ? { context_window: entry.max_input_tokens } : {}),
  ...(typeof entry.max_tokens === 'number' ? { max_output_tokens: entry.max_tokens } : {}),
})

function refusedOption(message: string, body: Record<string, unknown>): AnthropicOption | undefined {
  if ('thinking' in body && /thinking|budget_tokens/.test(message)) return 'thinking'
  const refused = /temperature.{0,60}(deprecated|not supported|unsupported)|(unsupported|unknown).{0,60}temperature/i
  return 'temperature' in body && refused.test(message) ? 'temperature' : undefined
}
