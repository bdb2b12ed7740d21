/** Rows to draw, and the empty space above and below them, in pixels. */
export type Window = { start: number; end: number; before: number; after: number }

/** Where each row of a long list stands: measured heights where they are known, guesses elsewhere. */
export class Heights {
  #measured = new Map<string, number>()
  #guess: (index: number) => number
  #ids: readonly string[] = []
  /** By index: a guess reads a whole turn, which may not be done again for each row that is measured. */
  #guesses: number[] = []
  /** `tops[i]` is the top of row i; the last one is the height of all. */
  #tops: number[] = [0]

  constructor(guess: (index: number) => number) {
    this.#guess = guess
  }

  /** Height of the whole list. */
  get total(): number {
    return this.#tops.at(-1)!
  }

  /** Sets the rows and lays them out. */
  layout(ids: readonly string[]): void {
    this.#ids = ids
    this.#guesses = []
    this.#place()
  }

  /** Records measured heights; true when one differs from what was laid out. */
  measure(sizes: Iterable<[id: string, height: number]>): boolean {
    let changed = false
    for (const [id, height] of sizes) {
      if (height === 0 || this.#measured.get(id) === height) continue
      this.#measured.set(id, height)
      changed = true
    }
    if (changed) this.#place()
    return changed
  }

  /** Forgets measurements, as when the width changes. */
  forget(): void {
    this.#measured.clear()
    this.layout(this.#ids)
  }

  #place(): void {
    const tops = [0]
    for (const [i, id] of this.#ids.entries()) {
      tops.push(tops[i]! + (this.#measured.get(id) ?? (this.#guesses[i] ??= this.#guess(i))))
    }
    this.#tops = tops
  }

  top(index: number): number {
    return this.#tops[index] ?? this.total
  }

  /** The row at a distance from the top of the list. */
  at(y: number): number {
    let low = 0
    let high = this.#ids.length - 1
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if (this.#tops[middle]! <= y) low = middle
      else high = middle - 1
    }
    return Math.max(0, low)
  }

  /** The rows between two distances from the top. */
  window(from: number, to: number): Window {
    if (this.#ids.length === 0) return { start: 0, end: 0, before: 0, after: 0 }
    const start = this.at(from)
    const end = this.at(Math.max(from, to)) + 1
    return { start, end, before: this.top(start), after: this.total - this.top(end) }
  }
}
