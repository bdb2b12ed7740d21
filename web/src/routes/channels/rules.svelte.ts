import type { ChannelRoute } from '$shared/channels.ts'
import { ApiError, type Tagged } from '$lib/api/client.ts'
import { channels } from '$lib/api/channels.ts'

/** A rule in the list; `key` stays the same while it is moved and changed. */
export type Row = { key: number; rule: ChannelRoute }

/** The ordered rules of where messages go, as they are being edited. What is in force changes only with `save`. */
export class RouteRules {
  #base = $state.raw<Tagged<ChannelRoute[]>>({ data: [], etag: null })
  #rows = $state.raw<Row[]>([])
  #elsewhere = $state.raw<Tagged<ChannelRoute[]>>()
  #saving = $state(false)
  #failure = $state.raw<unknown>()
  #next = 1
  readonly #api = channels()
  readonly #dirty = $derived(JSON.stringify(this.drafts) !== JSON.stringify(this.#base.data))

  constructor(rules: Tagged<ChannelRoute[]>) {
    this.#adopt(rules)
  }

  get rows(): Row[] {
    return this.#rows
  }

  get drafts(): ChannelRoute[] {
    return this.#rows.map(({ rule }) => rule)
  }

  get dirty(): boolean {
    return this.#dirty
  }

  /** The rules as somebody else left them while these were being edited. */
  get elsewhere(): Tagged<ChannelRoute[]> | undefined {
    return this.#elsewhere
  }

  get saving(): boolean {
    return this.#saving
  }

  get failure(): unknown {
    return this.#failure
  }

  /** Puts a rule at the end, for the first that matches counts and the exact ones stand in front. */
  add(rule: ChannelRoute): void {
    this.#rows = [...this.#rows, { key: this.#next++, rule }]
  }

  change(key: number, rule: ChannelRoute): void {
    this.#rows = this.#rows.map((row) => (row.key === key ? { key, rule } : row))
  }

  /** Returns what brings it back. */
  remove(key: number): () => void {
    const at = this.#rows.findIndex((row) => row.key === key)
    const row = this.#rows[at]!
    this.#rows = this.#rows.filter((one) => one.key !== key)
    return () => (this.#rows = this.#rows.toSpliced(at, 0, row))
  }

  /** Moves one up (-1) or down (1); false at the end of the list. */
  move(key: number, by: -1 | 1): boolean {
    const at = this.#rows.findIndex((row) => row.key === key)
    const to = at + by
    if (to < 0 || to >= this.#rows.length) return false
    this.#rows = this.#rows.toSpliced(at, 1).toSpliced(to, 0, this.#rows[at]!)
    return true
  }

  /** The rules as they are in force now. */
  hear(rules: Tagged<ChannelRoute[]>): void {
    if (this.#saving || rules.etag === this.#base.etag) return
    if (this.#dirty) this.#elsewhere = rules
    else this.#adopt(rules)
  }

  /** False when it was refused, or the rules have changed meanwhile. */
  async save(over: Tagged<ChannelRoute[]> = this.#base): Promise<boolean> {
    this.#saving = true
    this.#failure = undefined
    try {
      this.#adopt(await this.#api.saveRoutes(this.drafts, over.etag))
      return true
    } catch (error) {
      if (error instanceof ApiError && error.status === 412) this.#elsewhere = await this.#api.routes()
      else this.#failure = error
      return false
    } finally {
      this.#saving = false
    }
  }

  /** Gives the changes up; returns what brings them back. */
  discard(): () => void {
    const rows = this.#rows
    this.#adopt(this.#elsewhere ?? this.#base)
    return () => (this.#rows = rows)
  }

  #adopt(rules: Tagged<ChannelRoute[]>): void {
    this.#base = rules
    this.#elsewhere = undefined
    this.#failure = undefined
    this.#rows = rules.data.map((rule) => ({ key: this.#next++, rule }))
  }
}
