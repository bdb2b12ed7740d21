import { untrack } from 'svelte'
import type { PluginDetail, PluginLogLine, PluginNews } from '$shared/plugins.ts'
import { plugins } from '$lib/api/plugins.ts'
import type { LiveStream } from '$lib/stream.svelte.ts'

/** Lines that are kept on the page. */
const LINES = 1000
/** Points of the memory graph, as many as the server keeps. */
const POINTS = 300

type Sampled = Extract<PluginNews, { sample: unknown }>

/** One plugin as it runs: its log and what is measured of it, kept up to date by the stream. */
export class PluginLive {
  #memory = $state.raw<PluginDetail['memory']>([])
  #latest = $state.raw<Sampled>()
  #lines = $state.raw<PluginLogLine[]>()
  #failure = $state.raw<unknown>()
  #fetching = false
  #missed = false
  readonly #name: string
  readonly #stream: LiveStream
  readonly #onIncident: () => unknown

  constructor(name: string, stream: LiveStream, onIncident: () => unknown) {
    this.#name = name
    this.#stream = stream
    this.#onIncident = onIncident
  }

  get memory(): PluginDetail['memory'] {
    return this.#memory
  }

  /** What was measured last; undefined until something was, or when it runs no longer. */
  get latest(): Sampled | undefined {
    return this.#latest
  }

  /** The oldest first; undefined until they were asked for. */
  get lines(): PluginLogLine[] | undefined {
    return this.#lines
  }

  /** Why lines are missing. */
  get failure(): unknown {
    return this.#failure
  }

  /** Follows; returns the function that ends it. */
  start(): () => void {
    return this.#stream.onPlugin(this.#name, (news) => {
      if (!news) {
        if (this.#lines) void this.load()
      } else if ('line' in news) this.#hear(news.line)
      else this.#measure(news)
    })
  }

  /** What the server knows, whenever the page was loaded. */
  adopt({ memory, pid }: Pick<PluginDetail, 'memory' | 'pid'>): void {
    const last = memory.at(-1)?.at ?? 0
    const newer = untrack(() => this.#memory).filter(({ at }) => at > last)
    this.#memory = [...memory, ...newer].slice(-POINTS)
    if (pid === null) this.#latest = undefined
  }

  /** Lines that are not here yet. */
  async load(): Promise<void> {
    if (this.#fetching) return void (this.#missed = true)
    this.#fetching = true
    try {
      do {
        this.#missed = false
        const had = this.#lines?.at(-1)?.seq
        const found = await plugins().logs(this.#name, { limit: LINES, ...(had === undefined ? {} : { after: had }) })
        this.#add(found)
      } while (this.#missed)
      this.#failure = undefined
    } catch (error) {
      this.#failure = error
    } finally {
      this.#fetching = false
    }
  }

  #hear(line: PluginLogLine): void {
    if (!this.#lines) return
    const last = this.#lines.at(-1)?.seq ?? 0
    if (line.seq <= last && this.#lines.find(({ seq }) => seq === line.seq)?.at !== line.at) {
      // The server was started anew, and counts from the beginning.
      this.#lines = []
      void this.load()
    } else if (this.#fetching || line.seq > last + 1) void this.load()
    else this.#add([line])
  }

  #add(lines: PluginLogLine[]): void {
    const last = this.#lines?.at(-1)?.seq ?? 0
    this.#lines = [...this.#lines ?? [], ...lines.filter(({ seq }) => seq > last)].slice(-LINES)
  }

  #measure(news: Sampled): void {
    const before = this.#latest
    this.#latest = news
    const { at, bytes } = news.sample
    if (at > (this.#memory.at(-1)?.at ?? 0)) this.#memory = [...this.#memory, { at, bytes }].slice(-POINTS)
    if (before && before.last_incident_at !== news.last_incident_at) this.#onIncident()
  }
}
