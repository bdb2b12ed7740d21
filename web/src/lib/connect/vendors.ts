/** A vendor that a person may pick, with what its form needs to know. */
export type Vendor = {
  id: string
  label: string
  /** One line below the name. */
  about: string
  /** Sent only where the server does not know it by the name. */
  baseUrl: string
  /** It runs on the person's own machine or network, so the address is asked. */
  local: boolean
  key: 'required' | 'optional'
  /** How a key of theirs begins. */
  keyBegins?: string
  /** Where keys are made. */
  keysAt?: string
  /** How to get it going, for what runs locally. */
  start?: string
  /** Words in names of models that make a good first choice, best first. */
  prefers: string[]
}

const cloud = (
  id: string,
  label: string,
  about: string,
  baseUrl: string,
  more: Pick<Vendor, 'keyBegins' | 'keysAt' | 'prefers'>,
): Vendor => ({ id, label, about, baseUrl, local: false, key: 'required', ...more })

const local = (
  id: string,
  label: string,
  port: number,
  start: string,
  key: Vendor['key'] = 'optional',
): Vendor => ({
  id,
  label,
  about: 'On your own machine',
  baseUrl: `http://127.0.0.1:${port}/v1`,
  local: true,
  key,
  start,
  prefers: ['qwen', 'llama', 'gemma', 'mistral'],
})

/** In the order in which they are offered. */
export const VENDORS: Vendor[] = [
  cloud('openai', 'OpenAI', 'GPT models', 'https://api.openai.com/v1', {
    keyBegins: 'sk-',
    keysAt: 'https://platform.openai.com/api-keys',
    prefers: ['gpt-5-mini', 'gpt-5', 'gpt-4.1-mini', 'gpt-4o-mini'],
  }),
  cloud('anthropic', 'Anthropic', 'Claude models', 'https://api.anthropic.com', {
    keyBegins: 'sk-ant-',
    keysAt: 'https://console.anthropic.com/settings/keys',
    prefers: ['sonnet', 'haiku'],
  }),
  cloud('google', 'Google Gemini', 'Gemini models', 'https://generativelanguage.googleapis.com/v1beta/openai', {
    keyBegins: 'AIza',
    keysAt: 'https://aistudio.google.com/apikey',
    prefers: ['flash'],
  }),
  cloud('openrouter', 'OpenRouter', 'Many models, one key', 'https://openrouter.ai/api/v1', {
    keyBegins: 'sk-or-',
    keysAt: 'https://openrouter.ai/settings/keys',
    prefers: ['claude-sonnet', 'gpt-5-mini', ':free'],
  }),
  local('ollama', 'Ollama', 11434, 'ollama serve'),
  local('lmstudio', 'LM Studio', 1234, 'Developer → Start server'),
  local('llamacpp', 'llama.cpp', 8080, 'llama-server -m model.gguf'),
  local('vllm', 'vLLM', 8000, 'vllm serve MODEL'),
  cloud('groq', 'Groq', 'Open models, very fast', 'https://api.groq.com/openai/v1', {
    keyBegins: 'gsk_',
    keysAt: 'https://console.groq.com/keys',
    prefers: ['gpt-oss', 'llama'],
  }),
  cloud('mistral', 'Mistral', 'Mistral models', 'https://api.mistral.ai/v1', {
    keysAt: 'https://console.mistral.ai/api-keys',
    prefers: ['medium', 'small', 'large'],
  }),
  cloud('deepseek', 'DeepSeek', 'DeepSeek models', 'https://api.deepseek.com/v1', {
    keyBegins: 'sk-',
    keysAt: 'https://platform.deepseek.com/api_keys',
    prefers: ['chat'],
  }),
  cloud('xai', 'xAI', 'Grok models', 'https://api.x.ai/v1', {
    keyBegins: 'xai-',
    keysAt: 'https://console.x.ai',
    prefers: ['grok-4', 'grok'],
  }),
]

/** Any other server that speaks OpenAI's or Anthropic's protocol. */
export const CUSTOM: Vendor = {
  id: 'custom',
  label: 'Other',
  about: 'Any other compatible address',
  baseUrl: '',
  local: true,
  key: 'optional',
  prefers: [],
}

/** Vendors whose address the server knows by their name. */
const KNOWN_BY_NAME = new Set([
  ...['openai', 'anthropic', 'google', 'openrouter', 'ollama', 'groq', 'mistral', 'deepseek', 'xai'],
])

/** Whether a provider of this name needs no address. */
export const knownByName = (name: string): boolean => KNOWN_BY_NAME.has(name)

/** The vendor behind a provider's name: `openai`, and `openai-2` too. */
export const vendorOf = (name: string): Vendor | undefined =>
  VENDORS.find(({ id }) => id === name) ?? VENDORS.find(({ id }) => name.startsWith(`${id}-`))

/** `openai`, or `openai-2` when that is taken. */
export function freeName(vendor: Vendor, taken: readonly string[]): string {
  for (let number = 1;; number++) {
    const name = number === 1 ? vendor.id : `${vendor.id}-${number}`
    if (!taken.includes(name)) return name
  }
}

/** The model to offer first. */
export function firstChoice(models: readonly { id: string; kind?: string }[], vendor: Vendor): string {
  const chat = models.filter(({ kind }) => kind === undefined || kind === 'llm')
  for (const wish of vendor.prefers) {
    const found = chat.find(({ id }) => id.toLowerCase().includes(wish))
    if (found) return found.id
  }
  return chat[0]?.id ?? ''
}
