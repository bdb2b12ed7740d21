import type { ModelInfo } from './provider.ts'

export type Vendor = {
  adapter: 'chat-completions' | 'anthropic' | 'plugin' | 'scripted' | 'speech'
  /** Null where only the owner knows it. */
  base_url: string | null
  /** Models that there is no list of to fetch. */
  models?: ModelInfo[]
}

const chat = (base_url: string | null): Vendor => ({ adapter: 'chat-completions', base_url })

/** Names that are known without an address. Any other name is an OpenAI-compatible endpoint with its own address. */
export const VENDORS: Readonly<Record<string, Vendor>> = {
  anthropic: { adapter: 'anthropic', base_url: 'https://api.anthropic.com' },
  openai: chat('https://api.openai.com/v1'),
  google: chat('https://generativelanguage.googleapis.com/v1beta/openai'),
  openrouter: chat('https://openrouter.ai/api/v1'),
  groq: chat('https://api.groq.com/openai/v1'),
  mistral: chat('https://api.mistral.ai/v1'),
  xai: chat('https://api.x.ai/v1'),
  deepseek: chat('https://api.deepseek.com/v1'),
  cerebras: chat('https://api.cerebras.ai/v1'),
  zai: chat('https://api.z.ai/api/paas/v4'),
  moonshot: chat('https://api.moonshot.ai/v1'),
  qwen: chat('https://dashscope-intl.aliyuncs.com/compatible-mode/v1'),
  ollama: chat('http://127.0.0.1:11434/v1'),
  local: chat(null),
  elevenlabs: {
    adapter: 'speech',
    base_url: 'https://api.elevenlabs.io',
    models: [
      { id: 'eleven_multilingual_v2', display_name: 'Eleven Multilingual v2', kind: 'tts' },
      { id: 'eleven_turbo_v2_5', display_name: 'Eleven Turbo v2.5', kind: 'tts' },
      { id: 'eleven_flash_v2_5', display_name: 'Eleven Flash v2.5', kind: 'tts' },
      { id: 'scribe_v1', display_name: 'Scribe v1', kind: 'stt' },
    ],
  },
  deepgram: {
    adapter: 'speech',
    base_url: 'https://api.deepgram.com',
    models: [
      { id: 'nova-3', display_name: 'Nova 3', kind: 'stt' },
      { id: 'nova-2', display_name: 'Nova 2', kind: 'stt' },
      { id: 'aura-2-thalia-en', display_name: 'Aura 2 Thalia', kind: 'tts' },
    ],
  },
  scripted: { adapter: 'scripted', base_url: 'http://scripted.invalid' },
}

/** Names to offer people; the scripted model is for development. */
export const VENDOR_NAMES = Object.keys(VENDORS).filter((name) => name !== 'scripted')

/** The vendor of a provider; `metadata.api: "anthropic"` marks a compatible endpoint under another name. */
export function vendorOf(name: string, metadata: Record<string, unknown>): Vendor {
  if (typeof metadata.plugin === 'string') return { adapter: 'plugin', base_url: null }
  const known = Object.hasOwn(VENDORS, name) ? VENDORS[name] : undefined
  if (known) return known
  return { adapter: metadata.api === 'anthropic' ? 'anthropic' : 'chat-completions', base_url: null }
}
