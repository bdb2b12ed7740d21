type Page = { nextCursor: string | null }

type Options<P extends Page, T> = {
  /** The newest page, which its page of the site loads again when something changes. */
  first: () => P
  /** Reads the page behind a cursor. */
  read: (cursor: string, limit?: number) => Promise<P>
  items: (page: P) => T[]
  /** What is the same for two states of one row. */
  key: (item: T) => unknown
}

/** A list that is read a page at a time: what was read of older pages stays below the newest one. */
export class Paged<P extends Page, T> {
  readonly #options: Options<P, T>
  #older = $state.raw<T[]>([])
  #cursor = $state.raw<string | null>()
  busy = $state(false)
  failure = $state.raw<unknown>()
  /** Where the next page begins; null when everything is here. */
  readonly next = $derived.by(() => this.#cursor === undefined ? this.#options.first().nextCursor : this.#cursor)
  readonly rows = $derived.by(() => {
    const { first, items, key } = this.#options
    const newest = items(first())
    const fresh = new Set(newest.map(key))
    return [...newest, ...this.#older.filter((item) => !fresh.has(key(item)))]
  })

  constructor(options: Options<P, T>) {
    this.#options = options
  }

  /** Adds the next page, if there is one. Throws what the request throws. */
  async read(limit?: number): Promise<void> {
    if (this.next === null) return
    const page = await this.#options.read(this.next, limit)
    this.#older = [...this.#older, ...this.#options.items(page)]
    this.#cursor = page.nextCursor
  }

  /** Runs what a button asks for, by default the next page; what went wrong stands in `failure`. */
  async act(work: () => Promise<void> = () => this.read()): Promise<void> {
    this.busy = true
    this.failure = undefined
    try {
      await work()
    } catch (error) {
      this.failure = error
    } finally {
      this.busy = false
    }
  }

  /** Puts the new state of a row in its place among the older ones, which are not read again by themselves, or drops it. */
  changed(now: T, stays = true): void {
    const { key } = this.#options
    this.#older = this.#older.flatMap((item) => key(item) !== key(now) ? [item] : stays ? [now] : [])
  }

  /** Forgets the older pages: other filters are another list. */
  reset(): void {
    this.#older = []
    this.#cursor = undefined
    this.failure = undefined
  }
}
