import { FRAMEWORK } from '../../shared/models.ts'
import type { ModelsDeps } from './deps.ts'
import type { Discovery } from './discovery.ts'
import type { ModelVerbs } from './model-verbs.ts'
import type { PluginModels } from './provider.ts'
import { PLUGINS, type ProviderVerbs } from './provider-verbs.ts'
import type { StoredProvider } from './store.ts'

type Deps = ModelsDeps & { providers: ProviderVerbs; models: ModelVerbs; discovery: Discovery }

/**
 * Models of plugins in the one list. A provider is added when its plugin first offers it, each of its models once, so
 * that what the owner removed or switched off stays so; both stay, and say why they can't answer, while it is off.
 */
export function createPluginProviders({ store, log, pluginModels, providers, models, discovery }: Deps) {
  let running: Promise<void> = Promise.resolve()
  /** What was looked at last, by provider: most looks find nothing new. */
  const seen = new Map<string, string>()

  async function add(given: PluginModels): Promise<void> {
    const { plugin, name, label } = given
    const known = (await store.providers()).find(({ metadata }) =>
      metadata.plugin === plugin && metadata.provider === name
    )
    const offered = new Set(known ? known.metadata.offered as string[] : [])
    const fresh = given.models.filter(({ id }) => !offered.has(id))
    if (fresh.length === 0) return
    const metadata = { plugin, provider: name, label, offered: [...offered, ...fresh.map(({ id }) => id)] }
    const { id } = known ? await providers.update(PLUGINS, known.id, { metadata }) : await providers.create(PLUGINS, {
      name: (plugin === name ? plugin : `${plugin}.${name}`).toLowerCase(),
      framework: FRAMEWORK,
      kind: 'llm',
      metadata,
    })
    const row = await store.provider(id) as StoredProvider
    // So that their windows and prices are known as they are added.
    await discovery.discover(row, AbortSignal.timeout(1000), true)
    for (const { id: model, display_name } of fresh) {
      await models.create(PLUGINS, { provider_id: id, model, ...(display_name ? { display_name } : {}) })
    }
  }

  return (): void => {
    running = running.then(async () => {
      for (const given of pluginModels?.() ?? []) {
        const key = `${given.plugin}.${given.name}`
        const print = JSON.stringify(given.models)
        if (seen.get(key) === print) continue
        seen.set(key, print)
        await add(given).catch((error: Error) =>
          log.warn('models.plugin_refused', `The models of the plugin ${given.plugin} were not added: ${error.message}`)
        )
      }
    })
  }
}
