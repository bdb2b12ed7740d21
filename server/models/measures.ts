import { FALLBACK_WINDOW, type KnownModel, knownModel, LOCAL_FALLBACK_WINDOW } from './known-models.ts'
import type { Facts } from './store.ts'
import { VENDORS } from './vendors.ts'

/** US dollars per million tokens. */
export type Price = { input_per_million: number; output_per_million: number; cache_read_per_million?: number }

export type Measures = {
  context_window: number
  window_source: 'provider' | 'openrouter' | 'fallback'
  max_output_tokens?: number
  price: Price | null
}

type Subject = {
  provider: string
  base_url: string | null
  model: string
  metadata: Record<string, unknown>
  facts: Facts | null
}

/**
 * Window, limit and price of a model: the owner's word first (`metadata.context_window`, `max_output_tokens`,
 * `input_cost_per_million`, `output_cost_per_million`), then what was reported, then the bundled estimates.
 */
export function measure({ provider, base_url, model, metadata, facts }: Subject): Measures {
  const known = knownModel(model)
  const local = provider === 'ollama'
  const reported = count(metadata.context_window) ?? facts?.context_window
  const own = atVendor(provider, base_url, known)
  // An estimate is sent upstream as a limit only where it surely holds; elsewhere the server's own limit is better.
  const output = count(metadata.max_output_tokens) ?? facts?.max_output_tokens ??
    (own ? known?.max_output_tokens : undefined)
  return {
    context_window: reported ??
      (local
        ? Math.min(known?.context_window ?? LOCAL_FALLBACK_WINDOW, LOCAL_FALLBACK_WINDOW)
        : known?.context_window) ??
      FALLBACK_WINDOW,
    window_source: reported === undefined
      ? 'fallback'
      : count(metadata.context_window) === undefined
      ? facts?.source ?? 'provider'
      : 'provider',
    ...(output === undefined ? {} : { max_output_tokens: output }),
    price: ownPrice(metadata) ?? reportedPrice(facts) ?? (own ? estimatedPrice(known) : null),
  }
}

function ownPrice(metadata: Record<string, unknown>): Price | null {
  const { input_cost_per_million: input, output_cost_per_million: output } = metadata
  if (typeof input !== 'number' || typeof output !== 'number' || input < 0 || output < 0) return null
  return { input_per_million: input, output_per_million: output }
}

function reportedPrice(facts: Facts | null): Price | null {
  if (facts?.input_cost_per_million === undefined || facts.output_cost_per_million === undefined) return null
  return { input_per_million: facts.input_cost_per_million, output_per_million: facts.output_cost_per_million }
}

/** Whether the provider is the vendor whose family this is: another address under its name is another server. */
function atVendor(provider: string, base_url: string | null, known: KnownModel | undefined): boolean {
  if (known?.price?.vendor !== provider) return false
  return base_url === null || sameHost(base_url, VENDORS[provider]?.base_url ?? null)
}

function estimatedPrice(known: KnownModel | undefined): Price | null {
  const price = known?.price
  if (!price) return null
  return {
    input_per_million: price.input,
    output_per_million: price.output,
    ...(price.cache_read === undefined ? {} : { cache_read_per_million: price.cache_read }),
  }
}

const sameHost = (a: string, b: string | null): boolean =>
  b !== null && URL.canParse(a) && URL.canParse(b) && new URL(a).host === new URL(b).host

const count = (value: unknown): number | undefined =>
  typeof value === 'number' && Number.isInteger(value) && value > 0 ? value : undefined
