/** A vendor of the first-run card. */
export type Vendor = {
  id: string
  label: string
  /** What the provider is called on the server. */
  name: string
  /** Left out where the server knows it by the name. */
  base_url?: string
  /** The person may or must write the address. */
  asksUrl?: boolean
  key: 'required' | 'optional' | 'none'
  /** Where keys are made. */
  keysAt?: string
  keyLooksLike?: string
  /** Words in names of models that make a good first choice, best first. */
  prefers: string[]
}

export const VENDORS: Vendor[] = [
  {
    ...{ id: 'openai', label: 'OpenAI', name: 'openai', key: 'required', keyLooksLike: 'sk-…' },
    ...{
      keysAt: 'https://platform.openai.com/api-keys',
      prefers: ['gpt-5-mini', 'gpt-5', 'gpt-4.1-mini', 'gpt-4o-mini'],
    },
  },
  {
    ...{ id: 'anthropic', label: 'Anthropic', name: 'anthropic', key: 'required', keyLooksLike: 'sk-ant-…' },
    ...{ keysAt: 'https://console.anthropic.com/settings/keys', prefers: ['sonnet', 'haiku'] },
  },
  {
    ...{ id: 'google', label: 'Google Gemini', name: 'google', key: 'required', keyLooksLike: 'AIza…' },
    ...{ keysAt: 'https://aistudio.google.com/apikey', prefers: ['flash'] },
  },
  {
    ...{ id: 'openrouter', label: 'OpenRouter', name: 'openrouter', base_url: 'https://openrouter.ai/api/v1' },
    ...{ key: 'required', keyLooksLike: 'sk-or-…', keysAt: 'https://openrouter.ai/settings/keys' },
    ...{ prefers: ['claude-sonnet', 'gpt-5-mini', ':free'] },
  },
  {
    ...{ id: 'ollama', label: 'Ollama', name: 'ollama', base_url: 'http://127.0.0.1:11434/v1', asksUrl: true },
    ...{ key: 'none', prefers: ['qwen', 'llama', 'gemma'] },
  },
  {
    ...{ id: 'groq', label: 'Groq', name: 'groq', base_url: 'https://api.groq.com/openai/v1', key: 'required' },
    ...{ keyLooksLike: 'gsk_…', keysAt: 'https://console.groq.com/keys', prefers: ['llama', 'gpt-oss'] },
  },
  {
    ...{ id: 'mistral', label: 'Mistral', name: 'mistral', base_url: 'https://api.mistral.ai/v1', key: 'required' },
    ...{ keysAt: 'https://console.mistral.ai/api-keys', prefers: ['medium', 'small', 'large'] },
  },
  {
    ...{
      id: 'deepseek',
      label: 'DeepSeek',
      name: 'deepseek',
      base_url: 'https://api.deepseek.com/v1',
      key: 'required',
    },
    ...{ keysAt: 'https://platform.deepseek.com/api_keys', prefers: ['chat'] },
  },
  {
    ...{ id: 'other', label: 'Other (OpenAI-compatible)', name: 'custom', asksUrl: true, key: 'optional' },
    ...{ base_url: '', prefers: [] },
  },
]

/** The model to offer first. */
export function firstChoice(models: readonly { id: string }[], vendor: Vendor): string {
  for (const wish of vendor.prefers) {
    const found = models.find((model) => model.id.toLowerCase().includes(wish))
    if (found) return found.id
  }
  return models[0]?.id ?? ''
}
