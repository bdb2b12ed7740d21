import type { CreateProviderInput, Provider, UpdateProviderInput } from '../../shared/models.ts'
import { FRAMEWORK } from '../../shared/models.ts'
import type { Caller } from '../auth/principal.ts'
import { AppError, invalid, notFound } from '../errors.ts'
import { headersOf, referenceOf } from './connect.ts'
import type { Connections } from './connections.ts'
import type { ModelsDeps } from './deps.ts'
import type { StoredProvider } from './store.ts'
import { vendorOf } from './vendors.ts'

type Deps = ModelsDeps & { connections: Connections }

const NO_KEY = '—'

/** Who adds the providers of plugins that the owner accepted, in the audit log. */
export const PLUGINS: Caller = {
  kind: 'user',
  handle: 'owner',
  id: 'plugins',
  name: 'A plugin that offers models',
  scopes: new Set(['admin']),
}

const ownedByPlugins = (): AppError => invalid('metadata.plugin', 'is set by the plugin itself; leave it as it is')

/** Creating, changing and removing providers. */
export function createProviderVerbs(deps: Deps) {
  const { store, secrets, bus, audit, now, connections } = deps
  const changed = async (
    caller: Caller,
    action: 'created' | 'updated' | 'deleted',
    provider: Provider,
    detail: Record<string, unknown>,
  ): Promise<void> => {
    connections.forget()
    await audit?.({
      caller,
      action: `provider.${action}`,
      target: String(provider.id),
      detail: { name: provider.name, ...detail },
    })
    bus.publish({ type: 'resource', resource: 'provider', action, id: String(provider.id) })
  }

  const get = async (id: number): Promise<StoredProvider> => {
    const provider = await store.provider(id)
    if (!provider) throw notFound('provider', String(id))
    return provider
  }

  const keyColumns = (key: string | null) => ({
    sealed_key: key ? secrets.seal(key) : null,
    api_key_display: displayOf(key),
  })

  return {
    list: async (): Promise<Provider[]> => (await connections.rows()).providers.map(visible),

    async create(caller: Caller, input: CreateProviderInput): Promise<Provider> {
      const { name, framework, kind } = input
      const metadata = input.metadata ?? {}
      const base_url = input.base_url || null
      if (metadata.plugin !== undefined && caller !== PLUGINS) throw ownedByPlugins()
      check({ name, base_url, metadata, key: input.api_key })
      const provider = await store.addProvider(
        {
          name,
          framework,
          kind,
          base_url,
          enabled: input.enabled ?? true,
          metadata,
          ...keyColumns(input.api_key ?? null),
        },
        now(),
      )
      if (!provider) throw taken(name)
      await changed(caller, 'created', provider, { base_url })
      return visible(provider)
    },

    async update(caller: Caller, id: number, input: UpdateProviderInput): Promise<Provider> {
      const before = await get(id)
      const { framework, kind, api_key, base_url, ...rest } = input
      if (framework !== undefined && framework !== before.framework && !['agno', 'litellm'].includes(framework)) {
        throw invalid('framework', `can't be changed (it is ${FRAMEWORK}); make another provider instead`)
      }
      if (kind !== undefined && kind !== before.kind) {
        throw invalid('kind', `can't be changed (it is ${before.kind}); make another provider instead`)
      }
      if (rest.metadata && caller !== PLUGINS && rest.metadata.plugin !== before.metadata.plugin) throw ownedByPlugins()
      const change = {
        ...rest,
        ...(base_url === undefined ? {} : { base_url: base_url || null }),
        ...(api_key === undefined || isDisplay(api_key, before) ? {} : keyColumns(api_key)),
      }
      check({ ...before, ...change, key: api_key })
      const provider = await store.changeProvider(id, change, now())
      if (!provider) throw taken(input.name ?? before.name)
      // Names of fields only: one of them may be a key.
      await changed(caller, 'updated', provider, {
        fields: Object.keys(change).map((field) => field.replace('sealed_key', 'api_key')),
      })
      return visible(provider)
    },

    async remove(caller: Caller, id: number): Promise<number> {
      const provider = await get(id)
      const { plugin } = provider.metadata
      if (deps.pluginModels?.().some((given) => given.plugin === plugin && given.name === provider.metadata.provider)) {
        throw new AppError(
          'conflict',
          `${provider.name} belongs to the plugin ${plugin}. Switch it off here, or disable the plugin.`,
        )
      }
      const purged = await store.removeProvider(id)
      connections.drop(id)
      await changed(caller, 'deleted', provider, { models_purged: purged })
      return purged
    },
  }
}

export type ProviderVerbs = ReturnType<typeof createProviderVerbs>

/** A provider without what only the server may know. */
const visible = ({ sealed_key: _key, version: _version, ...provider }: StoredProvider): Provider => provider

const taken = (name: string): AppError =>
  new AppError('conflict', `There is a provider named ${name} already. Change it, or choose another name.`)

/** A form that sends back what it was shown means "leave it". */
const isDisplay = (key: string | null, before: Provider): boolean =>
  key !== null && key === before.api_key_display && referenceOf(key) === undefined

function displayOf(key: string | null): string {
  if (!key) return NO_KEY
  if (referenceOf(key) !== undefined) return key
  // Of a short key the last four characters would be most of it.
  return key.length >= 12 ? `****${key.slice(-4)}` : '****'
}

function check(
  { name, base_url, metadata, key }: {
    name: string
    base_url: string | null
    metadata: Record<string, unknown>
    key: string | null | undefined
  },
): void {
  if (name === 'builtin') throw invalid('name', 'builtin is taken by the built-in assistant; choose another name')
  if (base_url !== null) checkUrl(base_url)
  else if (metadata.plugin === undefined && vendorOf(name, metadata).base_url === null) {
    throw invalid(
      'base_url',
      `is missing: ${name} is not a known vendor, so say where it is, such as http://127.0.0.1:8080/v1`,
    )
  }
  const secret = Object.keys(headersOf(metadata)).find((header) =>
    /^(authorization|x-api-key|api-key|cookie)$/i.test(header)
  )
  if (secret) throw invalid(`metadata.headers.${secret}`, 'metadata can be read by others; put the key into api_key')
  if (key && /\s/.test(key)) throw invalid('api_key', 'must not contain spaces or line breaks')
  if (key && /[^\x21-\x7e]/.test(key)) throw invalid('api_key', 'must consist of plain ASCII characters')
  const variable = key ? referenceOf(key) : undefined
  if (key?.startsWith('${') && variable === undefined) {
    throw invalid('api_key', 'a reference looks like ${OPENAI_API_KEY}')
  }
  if (variable?.startsWith('GATEHOUSE_')) {
    throw invalid('api_key', `${variable} belongs to this server and goes to no provider`)
  }
}

function checkUrl(text: string): void {
  const example = 'such as https://api.openai.com/v1'
  const full = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`
  if (!URL.canParse(full)) throw invalid('base_url', `must be an address ${example}`)
  const url = new URL(full)
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw invalid('base_url', `must begin with http:// or https://, ${example}`)
  }
  if (url.username || url.password) {
    throw invalid('base_url', 'must not contain a user name or password; put the key into api_key')
  }
}
