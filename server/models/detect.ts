import { FRAMEWORK, type Provider } from '../../shared/models.ts'
import type { Caller } from '../auth/principal.ts'
import { AppError } from '../errors.ts'
import { handful, LIKELY } from './choose-models.ts'
import type { ModelsDeps } from './deps.ts'
import type { Discovery } from './discovery.ts'
import type { ModelVerbs } from './model-verbs.ts'
import type { ProviderVerbs } from './provider-verbs.ts'
import type { ModelInfo } from './provider.ts'

type Env = Record<string, string | undefined>
type Deps = ModelsDeps & { providers: ProviderVerbs; models: ModelVerbs; discovery: Discovery }
type Found = { name: string; base_url: string | null; api_key: string | null }

/** Who adds them, in the audit log: the owner, by the environment that the server was started with. */
const STARTER: Caller = {
  kind: 'user',
  handle: 'owner',
  id: 'start',
  name: 'Found at start',
  scopes: new Set(['admin']),
}

const OLLAMA_MS = 1500
/** How long a first question waits for a search that runs, rather than being answered by the built-in rules. */
const PATIENCE_MS = 4000

/** Finds providers at start: keys in the environment, and an Ollama that runs. */
export function createDetection(deps: Deps) {
  const { store, log, now, providers, models, discovery } = deps
  let running: Promise<void> = Promise.resolve()
  let searches = 0

  /**
   * Adds a provider once in the life of a home, and its models once they could be listed: `detected_providers` holds
   * `name` from the first and `name/models` from the second, so a deleted one does not come back.
   */
  async function add(found: Found, signal: AbortSignal): Promise<void> {
    const { name } = found
    const existing = (await store.providers()).find((row) => row.name === name && row.framework === FRAMEWORK)
    if (!await store.wasDetected(name)) {
      await store.markDetected(name, now())
      // One that the owner made is the owner's business.
      if (existing) return store.markDetected(`${name}/models`, now())
    } else if (!existing || await store.wasDetected(`${name}/models`)) return
    const provider = existing ?? await create(found)
    const listed = await list(provider, signal)
    if (signal.aborted) return
    await addModels(provider, listed ?? likely(name))
    if (listed) await store.markDetected(`${name}/models`, now())
    log.info('models.detected', `Found the provider ${name}`, { provider: name, models: listed?.length ?? 0 })
  }

  const create = (found: Found): Promise<Provider> =>
    providers.create(STARTER, {
      ...found,
      framework: FRAMEWORK,
      kind: 'llm',
      enabled: true,
      metadata: { detected: true },
    })

  async function list(provider: Provider, signal: AbortSignal): Promise<ModelInfo[] | undefined> {
    const row = await store.provider(provider.id)
    if (!row) return undefined
    try {
      const listed = await discovery.discover(row, signal)
      return listed.length > 0 ? listed : undefined
    } catch (error) {
      if (!(error instanceof AppError)) throw error
      log.warn('models.unlisted', `The models of ${provider.name} could not be listed: ${error.message}`)
      return undefined
    }
  }

  async function addModels(provider: Provider, listed: ModelInfo[]): Promise<void> {
    const known = await store.models()
    const hasDefault = known.some((model) => model.is_classifier)
    for (const [index, info] of handful(provider.name, listed).entries()) {
      if (known.some((model) => model.provider_id === provider.id && model.model === info.id)) continue
      await models.create(STARTER, {
        provider_id: provider.id,
        model: info.id,
        enabled: true,
        is_classifier: index === 0 && !hasDefault,
        ...(info.display_name ? { display_name: info.display_name } : {}),
      })
    }
  }

  async function search(env: Env, signal: AbortSignal): Promise<void> {
    const ollama = findOllama(env, deps.outboundFetch ?? fetch, signal)
    for (const found of fromEnvironment(env)) await settle(found, signal)
    const local = await ollama
    if (local && !signal.aborted) await settle(local, signal)
  }

  /** One provider that can't be added is no reason to leave out the next. */
  async function settle(found: Found, signal: AbortSignal): Promise<void> {
    try {
      await add(found, signal)
    } catch (error) {
      if (signal.aborted) return
      log.warn('models.detection_failed', `The provider ${found.name} could not be added: ${(error as Error).message}`)
    }
  }

  return {
    detect(env: Env, signal: AbortSignal): Promise<void> {
      searches++
      running = running.then(() => search(env, signal)).finally(() => searches--)
      return running
    },
    /** Whether no search runs. */
    isSettled: (): boolean => searches === 0,
    /** Resolves when no search runs, or when that takes too long. */
    async settled(): Promise<void> {
      let timer: ReturnType<typeof setTimeout> | undefined
      const patience = new Promise<void>((resolve) => timer = setTimeout(resolve, PATIENCE_MS))
      await Promise.race([running, patience])
      clearTimeout(timer)
    },
  }
}

const likely = (vendor: string): ModelInfo[] => LIKELY[vendor] ? [{ id: LIKELY[vendor] }] : []

/** Keys stay where they are: the provider refers to the variable. */
function fromEnvironment(env: Env): Found[] {
  return [['openai', 'OPENAI'], ['anthropic', 'ANTHROPIC']].flatMap(([name = '', prefix]) => {
    const key = env[`${prefix}_API_KEY`]?.trim()
    const base_url = env[`${prefix}_BASE_URL`]?.trim() || null
    // An address alone is a server that needs no key.
    if (!key && !base_url) return []
    return [{ name, base_url, api_key: key ? `\${${prefix}_API_KEY}` : null }]
  })
}

/** An Ollama that answers, at `OLLAMA_HOST` (as its own client reads it) or where it is by default. */
async function findOllama(env: Env, fetcher: typeof fetch, signal: AbortSignal): Promise<Found | undefined> {
  const base = ollamaBase(env.OLLAMA_HOST?.trim())
  if (!base) return undefined
  try {
    const response = await fetcher(`${base}/api/tags`, {
      signal: AbortSignal.any([signal, AbortSignal.timeout(OLLAMA_MS)]),
    })
    const body = response.ok ? await response.json() as { models?: unknown } : undefined
    await response.body?.cancel().catch(() => {})
    if (!Array.isArray(body?.models) || body.models.length === 0) return undefined
    return { name: 'ollama', base_url: `${base}/v1`, api_key: null }
  } catch {
    // Nothing there, or something else: the usual case on a machine without Ollama.
    return undefined
  }
}

function ollamaBase(host: string | undefined): string | undefined {
  const text = host || '127.0.0.1:11434'
  const full = /^https?:\/\//i.test(text) ? text : `http://${text}`
  if (!URL.canParse(full)) return undefined
  const url = new URL(full)
  // What a server listens on is not what a client connects to.
  if (url.hostname === '0.0.0.0' || url.hostname === '[::]') url.hostname = '127.0.0.1'
  if (!url.port && !/^https?:/i.test(text)) url.port = '11434'
  return url.origin
}
