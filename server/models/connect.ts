import { AppError } from '../errors.ts'
import type { ModelProvider, PluginModels, ProviderSettings } from './provider.ts'
import type { StoredProvider } from './store.ts'
import { vendorOf } from './vendors.ts'

export type ConnectDeps = {
  secrets: { open(sealed: string): string }
  env: Record<string, string | undefined>
  outboundFetch?: typeof fetch | undefined
  pooled?: boolean | undefined
  /** What plugins that run answer for. */
  pluginModels?: (() => PluginModels[]) | undefined
}

const REFERENCE = /^\$\{([A-Za-z_][A-Za-z0-9_]*)\}$/

/** The variable that a key refers to, or undefined when it is a key. */
export const referenceOf = (key: string): string | undefined => REFERENCE.exec(key)?.[1]

/**
 * The provider behind a row, ready to be called. Adapters are loaded on first use; a key is opened, or its variable
 * read, only here.
 */
export async function connect(row: StoredProvider, deps: ConnectDeps): Promise<ModelProvider> {
  const { secrets, env } = deps
  const key = row.sealed_key === null ? null : secrets.open(row.sealed_key)
  const variable = key === null ? undefined : referenceOf(key)
  const value = variable === undefined ? key : env[variable] || undefined
  if (value === undefined) {
    return refusing(
      'auth',
      `The variable ${variable}, which holds the key of ${row.name}, is not set. Set it and restart.`,
    )
  }
  const vendor = vendorOf(row.name, row.metadata)
  const fetcher = deps.outboundFetch ?? (deps.pooled ? await pooledFetch() : undefined)
  const settings: ProviderSettings = {
    base_url: row.base_url ?? vendor.base_url,
    api_key: value,
    headers: headersOf(row.metadata),
    ...(fetcher ? { fetch: fetcher } : {}),
  }
  switch (vendor.adapter) {
    case 'anthropic':
      return (await import('./providers/anthropic.ts')).createAnthropic(settings)
    case 'chat-completions':
      return (await import('./providers/chat-completions.ts')).createChatCompletions(settings)
    case 'plugin': {
      const { plugin, provider } = row.metadata
      const find = () => deps.pluginModels?.().find((given) => given.plugin === plugin && given.name === provider)
      return (await import('./providers/plugin.ts')).createPluginProvider(String(plugin), find)
    }
    case 'scripted':
      return (await import('./providers/scripted.ts')).scripted()
    case 'speech':
      return refusing('invalid', `${row.name} speaks and listens; it has no chat models.`)
  }
}

let pooled: typeof fetch | undefined

/** One pool of connections for all providers. */
async function pooledFetch(): Promise<typeof fetch> {
  return pooled ??= (await import('./providers/pooled-fetch.ts')).createPooledFetch()
}

/** `metadata.headers`, for gateways that want one more. */
export function headersOf(metadata: Record<string, unknown>): Record<string, string> {
  const { headers } = metadata
  if (typeof headers !== 'object' || headers === null) return {}
  return Object.fromEntries(Object.entries(headers).filter((entry) => typeof entry[1] === 'string'))
}

/** A provider that can only say why it can't be used. */
const refusing = (kind: 'auth' | 'invalid', message: string): ModelProvider => ({
  listModels: () => Promise.reject(new AppError(kind === 'auth' ? 'unauthorized' : 'bad_gateway', message)),
  async *stream() {
    yield { type: 'failed', class: kind, message }
  },
})
