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

/**
 * A list that is read a page at a time. What follows the newest page stays below it when that is loaded again: what it
 * pushed out is still there, and what left the list is gone.
 */
export class Paged<P extends Page, T> {
  readonly #options: Options<P, T>
  /** All rows when the last page was read, and where the next one begins. */
  #known = $state.raw<{ rows: T[]; next: string | null }>()
  busy = $state(false)
  failure = $state.raw<unknown>()
  /** What is known behind the last row of the newest page; undefined when nobody read on, or too much came since. */
  readonly #behind = $derived.by(() => {
    const { first, items, key } = this.#options
    const last = items(first()).at(-1)
    if (!this.#known || last === undefined) return undefined
    const at = this.#known.rows.findIndex((row) => key(row) === key(last))
    return at < 0 ? undefined : { rows: this.#known.rows.slice(at + 1), next: this.#known.next }
  })
  /** Where the next page begins; null when everything is here. */
  readonly next = $derived.by(() => this.#behind ? this.#behind.next : this.#options.first().nextCursor)
  readonly rows = $derived.by(() => {
    const { first, items, key } = this.#options
    const newest = items(first())
    const fresh = new Set(newest.map(key))
    return [...newest, ...(this.#behind?.rows ?? []).filter((row) => !fresh.has(key(row)))]
  })

  constructor(options: Options<P, T>) {
    this.#options = options
  }

  /** Adds the next page, if there is one. Throws what the request throws. */
  async read(limit?: number): Promise<void> {
    if (this.next === null) return
    const page = await this.#options.read(this.next, limit)
    this.#known = { rows: [...this.rows, ...this.#options.items(page)], next: page.nextCursor }
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

  /** Puts the new state of a row in its place behind the newest page, which is not read again by itself, or drops it. */
  changed(now: T, stays = true): void {
    const { key } = this.#options
    const known = this.#known
    if (!known) return
    this.#known = { ...known, rows: known.rows.flatMap((row) => key(row) !== key(now) ? [row] : stays ? [now] : []) }
  }

  /** Forgets the other pages: other filters are another list. */
  reset(): void {
    this.#known = undefined
    this.failure = undefined
  }
}
