/** What is known of a model without asking anybody. */
export type KnownModel = {
  /** Tokens. */
  context_window: number
  max_output_tokens?: number
  /** US dollars per million tokens at the vendor itself: an estimate, for prices change. */
  price?: { vendor: string; input: number; output: number; cache_read?: number }
}

const of = (
  context_window: number,
  max_output_tokens?: number,
  vendor?: string,
  input = 0,
  output = 0,
  cache_read?: number,
): KnownModel => ({
  context_window,
  ...(max_output_tokens ? { max_output_tokens } : {}),
  ...(vendor ? { price: { vendor, input, output, ...(cache_read === undefined ? {} : { cache_read }) } } : {}),
})

/**
 * Estimates for well-known families, the first match counts. They are used only where the provider reports nothing;
 * a family that is not here has no price, never a guessed one.
 */
const FAMILIES: [RegExp, KnownModel][] = [
  [/^gpt-5-nano\b/, of(400_000, 128_000, 'openai', 0.05, 0.4, 0.005)],
  [/^gpt-5-mini\b/, of(400_000, 128_000, 'openai', 0.25, 2, 0.025)],
  [/^gpt-5(-\d{4}|$)/, of(400_000, 128_000, 'openai', 1.25, 10, 0.125)],
  [/^gpt-5/, of(400_000, 128_000)],
  [/^gpt-4\.1-nano\b/, of(1_047_576, 32_768, 'openai', 0.1, 0.4, 0.025)],
  [/^gpt-4\.1-mini\b/, of(1_047_576, 32_768, 'openai', 0.4, 1.6, 0.1)],
  [/^gpt-4\.1(-\d{4}|$)/, of(1_047_576, 32_768, 'openai', 2, 8, 0.5)],
  [/^gpt-4o-mini(-\d{4}|$)/, of(128_000, 16_384, 'openai', 0.15, 0.6, 0.075)],
  [/^gpt-4o(-2024-(08|11)|$)/, of(128_000, 16_384, 'openai', 2.5, 10, 1.25)],
  [/^gpt-4(o|-turbo)/, of(128_000, 4096)],
  [/^gpt-4/, of(8192, 4096)],
  [/^gpt-3\.5/, of(16_385, 4096)],
  [/^o3-mini\b|^o4-mini\b/, of(200_000, 100_000, 'openai', 1.1, 4.4)],
  [/^o[134]/, of(200_000, 100_000)],
  [/^gpt-oss/, of(131_072)],
  [/^claude-haiku-4-5/, of(200_000, 64_000, 'anthropic', 1, 5, 0.1)],
  [/^claude-sonnet-4/, of(200_000, 64_000, 'anthropic', 3, 15, 0.3)],
  [/^claude-opus-4-5/, of(200_000, 64_000, 'anthropic', 5, 25, 0.5)],
  [/^claude-opus-4(-1|-0|-2025)/, of(200_000, 32_000, 'anthropic', 15, 75, 1.5)],
  [/^claude-3-7-sonnet/, of(200_000, 64_000, 'anthropic', 3, 15, 0.3)],
  [/^claude-3-5-haiku/, of(200_000, 8192, 'anthropic', 0.8, 4, 0.08)],
  [/^claude-3-5-sonnet/, of(200_000, 8192, 'anthropic', 3, 15, 0.3)],
  [/^claude-3-/, of(200_000, 4096)],
  [/^claude/, of(200_000, 32_000)],
  [/^gemini-2\.5-flash-lite/, of(1_048_576, 65_536, 'google', 0.1, 0.4)],
  [/^gemini-2\.5-flash/, of(1_048_576, 65_536, 'google', 0.3, 2.5)],
  [/^gemini-2\.0-flash/, of(1_048_576, 8192, 'google', 0.1, 0.4)],
  [/^gemini/, of(1_048_576, 65_536)],
  [/^grok-4/, of(256_000)],
  [/^grok/, of(131_072)],
  [/^deepseek/, of(128_000)],
  [/^(mistral|ministral|devstral|codestral|magistral)/, of(128_000)],
  [/^mixtral/, of(32_768)],
  [/^kimi/, of(131_072)],
  [/^glm-4/, of(128_000)],
  [/^qwen3/, of(131_072)],
  [/^qwen/, of(32_768)],
  [/^(meta-)?llama-?(3\.[123]|4)/, of(131_072)],
  [/^(meta-)?llama-?3/, of(8192)],
  [/^gemma-?3/, of(131_072)],
  [/^phi-?4/, of(16_384)],
]

/** Facts by a model's name, whatever folder (`openai/gpt-4o`) or upper case it comes with. */
export function knownModel(model: string): KnownModel | undefined {
  const name = model.toLowerCase().replace(/^.*\//, '')
  return FAMILIES.find(([family]) => family.test(name))?.[1]
}

/** Tokens of a window that nobody has told the size of. */
export const FALLBACK_WINDOW = 200_000

/** Ollama loads models with small windows unless told otherwise, whatever the model could take. */
export const LOCAL_FALLBACK_WINDOW = 32_768
