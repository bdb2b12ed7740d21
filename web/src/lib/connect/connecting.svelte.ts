import type { AvailableModel, Provider } from '$shared/models.ts'
import { models } from '../api/models.ts'
import { CUSTOM, firstChoice, freeName, knownByName, type Vendor } from './vendors.ts'

type Step = 'vendor' | 'key' | 'model' | 'done'
type Api = ReturnType<typeof models>

/** The way from nothing to a model that answers: vendor, key, model, proof. */
export class Connecting {
  name = $state('')
  key = $state('')
  url = $state('')
  /** What a server of one's own speaks. */
  dialect = $state<'openai' | 'anthropic'>('openai')
  model = $state('')
  makeDefault = $state(true)
  #step = $state<Step>('vendor')
  #vendor = $state.raw<Vendor>(CUSTOM)
  #busy = $state('')
  #failure = $state.raw<unknown>()
  #offered = $state.raw<AvailableModel[]>([])
  #answer = $state('')
  #taken: string[] = []
  #provider: Provider | undefined
  #asking: AbortController | undefined
  readonly #api: Api

  constructor(api: Api = models()) {
    this.#api = api
  }

  get step(): Step {
    return this.#step
  }

  get vendor(): Vendor {
    return this.#vendor
  }

  /** What is being done, in words; empty when nothing is. */
  get busy(): string {
    return this.#busy
  }

  get failure(): unknown {
    return this.#failure
  }

  /** Models that the provider lists; empty when the person names one. */
  get offered(): AvailableModel[] {
    return this.#offered
  }

  /** What the model said. */
  get answer(): string {
    return this.#answer
  }

  /** Why it can't go on yet. */
  get obstacle(): string | undefined {
    if (this.#step === 'model') return this.model.trim() ? undefined : 'Choose a model first'
    if (this.#vendor.key === 'required' && !this.key.trim()) return 'Enter the key first'
    if (!this.url.trim() && !knownByName(this.name)) return 'Enter the address first'
    return this.name.trim() ? undefined : 'Give it a name first'
  }

  /** Finds out which names are taken and whether something answers already. */
  async start(): Promise<void> {
    const [providers, added] = await Promise.all([this.#api.providers(), this.#api.list()]).catch(() => [[], []])
    this.#taken = providers.map(({ name }) => name)
    this.makeDefault = !added.some(({ enabled, kind, provider_enabled }) =>
      enabled && provider_enabled && kind === 'llm'
    )
  }

  pick(vendor: Vendor): void {
    this.#vendor = vendor
    this.name = freeName(vendor, this.#taken)
    this.url = vendor.local || !knownByName(this.name) ? vendor.baseUrl : ''
    this.key = ''
    this.dialect = vendor.id === 'anthropic' ? 'anthropic' : 'openai'
    this.#failure = undefined
    this.#step = 'key'
  }

  /** Saves the provider and asks it for its models; without `list` the person names one. */
  connect({ list = true }: { list?: boolean } = {}): Promise<void> {
    return this.#attempt(list ? `Asking ${this.#vendor.label} for its models…` : 'Saving…', async (signal) => {
      const name = this.name.trim()
      this.#provider = await this.#api.createProvider({
        name,
        api_key: this.key.trim() || null,
        base_url: this.url.trim() || null,
        ...(this.dialect === 'anthropic' && name !== 'anthropic' ? { metadata: { api: 'anthropic' } } : {}),
      })
      this.#offered = list ? await this.#list(this.#provider.id, signal) : []
      this.model = firstChoice(this.#offered, this.#vendor)
      this.#step = 'model'
    }, () => this.#withdraw())
  }

  /** Asks the chosen model for a word, and adds it when it has said one. */
  choose({ untested = false }: { untested?: boolean } = {}): Promise<void> {
    const provider = this.#provider
    const model = this.model.trim()
    if (!provider) return Promise.resolve()
    return this.#attempt(`Asking ${model} for a word…`, async (signal) => {
      this.#answer = untested ? '' : (await this.#api.testProvider(provider.id, model, signal)).response
      const label = this.#offered.find(({ id }) => id === model)?.display_name
      await this.#api.create({
        provider_id: provider.id,
        model,
        is_classifier: this.makeDefault,
        ...(label && label !== model ? { display_name: label } : {}),
      })
      this.#provider = undefined
      this.key = ''
      this.#step = 'done'
    })
  }

  async back(): Promise<void> {
    this.#asking?.abort()
    this.#failure = undefined
    if (this.#step === 'key') this.#step = 'vendor'
    if (this.#step !== 'model') return
    this.#step = 'key'
    await this.#withdraw()
  }

  /** Called when the person goes elsewhere: half a connection helps nobody. */
  leave(): void {
    this.#asking?.abort()
    void this.#withdraw()
  }

  async #list(id: number, signal: AbortSignal): Promise<AvailableModel[]> {
    const { models: found, error } = await this.#api.available(id, { signal })
    if (error) throw new Error(error)
    const chat = found.filter(({ kind }) => kind === 'llm')
    if (chat.length === 0) throw new Error(`${this.#vendor.label} answered, but lists no chat models.`)
    return chat
  }

  async #attempt(
    doing: string,
    work: (signal: AbortSignal) => Promise<void>,
    undo?: () => Promise<void>,
  ): Promise<void> {
    if (this.#busy) return
    const asking = this.#asking = new AbortController()
    this.#busy = doing
    this.#failure = undefined
    try {
      await work(asking.signal)
    } catch (error) {
      if (!asking.signal.aborted) this.#failure = error
      await undo?.()
    } finally {
      this.#busy = ''
    }
  }

  /** A provider whose key failed would only stand in the way of the next try. */
  async #withdraw(): Promise<void> {
    const provider = this.#provider
    this.#provider = undefined
    if (provider) await this.#api.removeProvider(provider.id).catch(() => {})
  }
}
