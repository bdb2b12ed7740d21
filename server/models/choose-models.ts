import type { ModelInfo } from './provider.ts'
import { canChat } from './providers/model-kind.ts'

const HANDFUL = 6

/** Families in the order in which people want them; a newer version of a family comes before an older one. */
const PREFERRED: Record<string, RegExp[]> = {
  openai: [
    /^gpt-5(\.\d+)?$/,
    /^gpt-5(\.\d+)?-mini$/,
    /^gpt-4\.1$/,
    /^gpt-4\.1-mini$/,
    /^gpt-4o$/,
    /^gpt-4o-mini$/,
    /^o\d(-mini)?$/,
  ],
  anthropic: [/^claude-sonnet/, /^claude-opus/, /^claude-haiku/, /^claude-3-[57]/],
}

/** For vendors whose list could not be had. */
export const LIKELY: Record<string, string> = { openai: 'gpt-4.1-mini', anthropic: 'claude-sonnet-4-5' }

/** Chat models of a provider, those that people want first. */
export function chatModels(vendor: string, models: ModelInfo[]): ModelInfo[] {
  const preferred = PREFERRED[vendor] ?? []
  const rank = (model: ModelInfo): number => {
    const place = preferred.findIndex((family) => family.test(model.id))
    return place === -1 ? preferred.length : place
  }
  return models.filter(canChat).map((model, index) => ({ model, index, rank: rank(model) })).sort((a, b) =>
    a.rank - b.rank ||
    (a.rank < preferred.length ? b.model.id.localeCompare(a.model.id, 'en', { numeric: true }) : a.index - b.index)
  ).map(({ model }) => model)
}

/** The few to start with: one of each family that people want, then whatever the provider lists first. */
export function handful(vendor: string, models: ModelInfo[]): ModelInfo[] {
  const sorted = chatModels(vendor, models)
  const families = PREFERRED[vendor] ?? []
  const best = families.flatMap((family) => sorted.find((model) => family.test(model.id)) ?? [])
  const rest = best.length > 0 ? [] : sorted
  return [...best, ...rest].slice(0, HANDFUL)
}
