import { createContext } from 'svelte'
import type { Approval } from '$shared/approvals.ts'
import { type Answer, approvals } from '../api/approvals.ts'
import { ApiError } from '../api/client.ts'
import type { LiveStream } from '../stream.svelte.ts'

/** Answers that are looked up at once after a break. */
const MOST_LOOKED_UP = 20

/**
 * The calls that wait for a yes, kept up to date by the stream, for the badge and the inbox. What is answered while
 * it is shown stays in its place until `forget`, so that nothing moves under the pointer and the answer is told.
 */
export class Inbox {
  #items = $state.raw<Approval[]>([])
  #missed = $state.raw<ReadonlySet<string>>(new Set())
  #loaded = $state(false)
  #failure = $state.raw<unknown>()
  #loading: Promise<void> | undefined
  #again = false
  readonly #stream: LiveStream
  readonly #api = approvals()
  readonly #pending = $derived(this.#items.filter(({ state }) => state === 'pending'))

  constructor(stream: LiveStream) {
    this.#stream = stream
  }

  /** Those that wait, and those answered since `forget`; the oldest first. */
  get items(): Approval[] {
    return this.#items
  }

  /** How many wait. */
  get count(): number {
    return this.#pending.length
  }

  /** Whether a call of a conversation waits. */
  waitsIn(sessionId: string): boolean {
    return this.#pending.some(({ session_id }) => session_id === sessionId)
  }

  get loaded(): boolean {
    return this.#loaded
  }

  /** Why the list could not be read; undefined once it could. */
  get failure(): unknown {
    return this.#failure
  }

  /** Whether one's own answer came after somebody else's. */
  wasLate(id: string): boolean {
    return this.#missed.has(id)
  }

  /** Loads and follows; returns the function that ends it. */
  start(): () => void {
    const reload = () => void this.load()
    const leave = [this.#stream.onResource(['approval'], reload), this.#stream.onReset(reload)]
    reload()
    return () => {
      for (const stop of leave) stop()
      this.#items = []
      this.#loaded = false
    }
  }

  /** Calls that come while one runs are joined into one that follows it. */
  load(): Promise<void> {
    if (this.#loading) this.#again = true
    else {
      this.#loading = this.#read().finally(() => {
        this.#loading = undefined
        if (!this.#again) return
        this.#again = false
        void this.load()
      })
    }
    return this.#loading
  }

  /** Rejects where nothing was decided; an answer that came too late is shown with the one that counts. */
  async decide(id: string, answer: Answer): Promise<void> {
    try {
      this.#put(await this.#api.decide(id, answer))
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 409) throw error
      this.#missed = new Set([...this.#missed, id])
      this.#put(await this.#api.get(id))
    }
  }

  /** Leaves what was answered to the history. */
  forget(): void {
    this.#items = this.#pending
    this.#missed = new Set()
  }

  async #read(): Promise<void> {
    try {
      const { approvals: pending } = await this.#api.list({ state: 'pending', limit: 200 })
      const waiting = new Set(pending.map(({ id }) => id))
      const answered = await this.#answers(this.#pending.filter(({ id }) => !waiting.has(id)))
      const settled = this.#items.filter(({ id, state }) => state !== 'pending' && !waiting.has(id))
      this.#items = sorted([...pending, ...settled, ...answered])
      this.#failure = undefined
      this.#loaded = true
    } catch (error) {
      this.#failure = error
    }
  }

  /** How those ended that wait no longer; one that is gone with its session is left out. */
  async #answers(gone: Approval[]): Promise<Approval[]> {
    const found = await Promise.all(
      gone.slice(-MOST_LOOKED_UP).map(({ id }) => this.#api.get(id).catch(() => undefined)),
    )
    return found.filter((one) => one !== undefined)
  }

  #put(approval: Approval): void {
    this.#items = sorted([...this.#items.filter(({ id }) => id !== approval.id), approval])
  }
}

/** Ids grow with time; each is kept once. */
const sorted = (items: Approval[]): Approval[] =>
  [...new Map(items.map((item) => [item.id, item])).values()].sort((a, b) => a.id < b.id ? -1 : 1)

/** The shell's inbox, for pages below it. */
export const [inbox, provideInbox] = createContext<Inbox>()
