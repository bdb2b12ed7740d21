import type { PluginNews } from '$shared/plugins.ts'
import type { SystemSnapshot } from '$shared/system.ts'
import type { TurnEvent } from '$shared/turn-events.ts'
import { createContext, untrack } from 'svelte'

/** Something that changed on the server. */
export type ResourceEvent = { resource: string; action: string; id?: string }

/** `paused` = closed on purpose while the tab is hidden. */
export type Connection = 'connecting' | 'online' | 'offline' | 'paused'

type Listeners<T> = Set<(value: T) => void>

const FIRST_DELAY = 500
const LONGEST_DELAY = 20_000
/** Browsers allow six HTTP/1.1 connections to a host over all tabs, so hidden tabs give theirs back. */
const HIDDEN_FOR = 60_000
/** A change often comes as several events. */
const DEBOUNCE = 150

/**
 * The one connection to `/api/stream` of this tab. It resumes by offset, retries with a growing delay, and tells
 * listeners when something may have been missed. Every `on…` returns the function that unsubscribes.
 */
export class LiveStream {
  #state = $state<Connection>('connecting')
  #retryAt = $state<number | undefined>()
  #source: EventSource | undefined
  #lastId = ''
  #delay = FIRST_DELAY
  #timer: ReturnType<typeof setTimeout> | undefined
  #hiddenTimer: ReturnType<typeof setTimeout> | undefined
  #started = false
  #everOpened = false
  readonly #probe: () => unknown
  readonly #turns: Listeners<TurnEvent> = new Set()
  readonly #system: Listeners<SystemSnapshot> = new Set()
  /** By the name of the plugin. */
  readonly #plugins = new Map<string, Listeners<PluginNews | undefined>>()
  readonly #resets: Listeners<string> = new Set()
  readonly #resources = new Set<ResourceListener>()

  /** `probe` is called after a failure, because an `EventSource` does not say whether it was refused. */
  constructor(probe: () => unknown) {
    this.#probe = probe
  }

  get state(): Connection {
    return this.#state
  }

  /** Epoch milliseconds of the next try, while offline. */
  get retryAt(): number | undefined {
    return this.#retryAt
  }

  /** Events of all turns of one's own sessions, in order. */
  onTurn(listener: (event: TurnEvent) => void): () => void {
    return subscribe(this.#turns, listener)
  }

  /** The log no longer reaches back to where this tab was: load again. */
  onReset(listener: (reason: string) => void): () => void {
    return subscribe(this.#resets, listener)
  }

  /** Snapshots of the machine every two seconds; they flow only while somebody listens. */
  onSystem(listener: (snapshot: SystemSnapshot) => void): () => void {
    const leave = subscribe(this.#system, listener)
    if (this.#system.size === 1) this.#reopen()
    return () => {
      leave()
      if (this.#system.size === 0) this.#reopen()
    }
  }

  /**
   * A plugin's log as it is written and what is measured of it. Undefined means that some may have been missed: fetch
   * what came since.
   */
  onPlugin(name: string, listener: (news: PluginNews | undefined) => void): () => void {
    const known = this.#plugins.get(name)
    const listeners = known ?? new Set<(news: PluginNews | undefined) => void>()
    this.#plugins.set(name, listeners)
    const leave = subscribe(listeners, listener)
    if (!known) this.#reopen()
    return () => {
      leave()
      if (listeners.size > 0 || !this.#plugins.delete(name)) return
      this.#reopen()
    }
  }

  /**
   * Changes of the named resources, gathered for a moment. An empty list means that some may have been missed
   * (the connection was away, or did not stand yet when the page was loaded): fetch again.
   */
  onResource(resources: string[], listener: (events: ResourceEvent[]) => void): () => void {
    const entry = new ResourceListener(resources, listener)
    this.#resources.add(entry)
    return () => {
      entry.stop()
      this.#resources.delete(entry)
    }
  }

  /** Connects; returns the function that ends it all. */
  start(): () => void {
    this.#started = true
    const wake = () => this.#wake()
    const visibility = () => this.#visibility()
    addEventListener('online', wake)
    document.addEventListener('visibilitychange', visibility)
    this.#open()
    return () => {
      this.#started = false
      removeEventListener('online', wake)
      document.removeEventListener('visibilitychange', visibility)
      clearTimeout(this.#hiddenTimer)
      this.#close()
    }
  }

  /** Tries again at once. */
  retry(): void {
    this.#delay = FIRST_DELAY
    this.#open()
  }

  #open(): void {
    this.#close()
    if (!this.#started) return
    // Callers are often effects; they must not run again because the state that is read here changes.
    if (untrack(() => this.#state) !== 'offline') this.#state = 'connecting'
    const plugins = [...this.#plugins.keys()].map((name) => `plugin:${name}`)
    const topics = ['sessions', 'resources', ...(this.#system.size > 0 ? ['system'] : []), ...plugins]
    const query = new URLSearchParams({ topics: topics.join(','), ...(this.#lastId ? { after: this.#lastId } : {}) })
    const source = new EventSource(`/api/stream?${query}`)
    this.#source = source
    source.onopen = () => this.#opened()
    source.onerror = () => this.#failed()
    source.addEventListener('hello', (event) => (this.#lastId = event.lastEventId))
    source.addEventListener('turn', (event) => {
      this.#lastId = event.lastEventId
      tell(this.#turns, JSON.parse(event.data) as TurnEvent)
    })
    source.addEventListener('resource', (event) => {
      const change = JSON.parse(event.data) as ResourceEvent
      for (const listener of this.#resources) listener.hear(change)
    })
    source.addEventListener('system', (event) => tell(this.#system, JSON.parse(event.data) as SystemSnapshot))
    source.addEventListener('plugin', (event) => {
      const news = JSON.parse(event.data) as PluginNews
      const listeners = this.#plugins.get(news.name)
      if (listeners) tell(listeners, news)
    })
    source.addEventListener('reset', (event) => {
      this.#lastId = event.lastEventId
      this.#missedResources()
      tell(this.#resets, (JSON.parse(event.data) as { reason?: string }).reason ?? '')
    })
  }

  #opened(): void {
    this.#state = 'online'
    this.#retryAt = undefined
    this.#delay = FIRST_DELAY
    // The first time too: what a page shows was loaded before the connection stood.
    this.#missedResources()
    // Without an offset nothing can be replayed, so what came meanwhile is only found by loading again.
    if (this.#everOpened && !this.#lastId) tell(this.#resets, 'reconnected')
    this.#everOpened = true
  }

  #missedResources(): void {
    for (const listener of this.#resources) listener.missed()
    for (const listeners of this.#plugins.values()) tell(listeners, undefined)
  }

  #failed(): void {
    this.#close()
    this.#state = 'offline'
    const delay = this.#delay * (0.75 + Math.random() / 2)
    this.#delay = Math.min(LONGEST_DELAY, this.#delay * 2)
    this.#retryAt = Date.now() + delay
    this.#timer = setTimeout(() => this.#open(), delay)
    this.#probe()
  }

  /** For a change of topics: only while a connection is up, for every other way leads through `#open` anyway. */
  #reopen(): void {
    if (this.#source) this.#open()
  }

  #wake(): void {
    if (this.#source?.readyState !== EventSource.OPEN) this.retry()
  }

  #visibility(): void {
    clearTimeout(this.#hiddenTimer)
    if (document.visibilityState === 'visible') return this.#wake()
    this.#hiddenTimer = setTimeout(() => {
      this.#close()
      this.#state = 'paused'
    }, HIDDEN_FOR)
  }

  #close(): void {
    clearTimeout(this.#timer)
    this.#source?.close()
    this.#source = undefined
  }
}

class ResourceListener {
  #heard: ResourceEvent[] = []
  #missed = false
  #timer: ReturnType<typeof setTimeout> | undefined
  readonly #resources: string[]
  readonly #listener: (events: ResourceEvent[]) => void

  constructor(resources: string[], listener: (events: ResourceEvent[]) => void) {
    this.#resources = resources
    this.#listener = listener
  }

  hear(event: ResourceEvent): void {
    if (!this.#resources.includes(event.resource)) return
    this.#heard.push(event)
    this.#later()
  }

  missed(): void {
    this.#missed = true
    this.#later()
  }

  stop(): void {
    clearTimeout(this.#timer)
  }

  #later(): void {
    this.#timer ??= setTimeout(() => {
      const events = this.#missed ? [] : this.#heard
      this.#timer = undefined
      this.#heard = []
      this.#missed = false
      this.#listener(events)
    }, DEBOUNCE)
  }
}

function subscribe<T>(listeners: Listeners<T>, listener: (value: T) => void): () => void {
  listeners.add(listener)
  return () => void listeners.delete(listener)
}

function tell<T>(listeners: Listeners<T>, value: T): void {
  for (const listener of [...listeners]) listener(value)
}

/** The shell's stream, for pages below it. */
export const [liveStream, provideLiveStream] = createContext<LiveStream>()
