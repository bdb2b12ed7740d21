import { createContext } from 'svelte'
import type { Pairing } from '$shared/channels.ts'
import { channels } from '../api/channels.ts'
import type { LiveStream } from '../stream.svelte.ts'

/** A code that ran out is only seen by looking. */
const CHECK_EVERY = 5000

/** Strangers on chat platforms who wait to be let in, kept up to date by the stream, for the badge and the page. */
export class Pairings {
  #items = $state.raw<Pairing[]>([])
  #now = $state(Date.now() / 1000)
  #failure = $state.raw<unknown>()
  readonly #stream: LiveStream
  readonly #api = channels()
  readonly #pending = $derived(this.#items.filter(({ expires_at }) => expires_at > this.#now))

  constructor(stream: LiveStream) {
    this.#stream = stream
  }

  /** Those that wait, the oldest first. */
  get pending(): Pairing[] {
    return this.#pending
  }

  /** Why the list could not be read; undefined once it could. */
  get failure(): unknown {
    return this.#failure
  }

  /** Loads and follows; returns the function that ends it. */
  start(): () => void {
    const leave = this.#stream.onResource(['pairing'], () => void this.load())
    const timer = setInterval(() => {
      if (this.#items.length > 0) this.#now = Date.now() / 1000
    }, CHECK_EVERY)
    void this.load()
    return () => {
      leave()
      clearInterval(timer)
      this.#items = []
    }
  }

  async load(): Promise<void> {
    try {
      const found = await this.#api.pairings()
      this.#items = found.toSorted((a, b) => a.created_at - b.created_at)
      this.#now = Date.now() / 1000
      this.#failure = undefined
    } catch (error) {
      this.#failure = error
    }
  }

  /** Rejects where nothing was decided; the list is right in any case. */
  async decide(id: string, decision: 'approve' | 'trust' | 'reject'): Promise<void> {
    try {
      await (decision === 'reject' ? this.#api.reject(id) : this.#api.approve(id, decision === 'trust'))
    } finally {
      await this.load()
    }
  }
}

/** The shell's pairings, for pages below it. */
export const [pairings, providePairings] = createContext<Pairings>()
