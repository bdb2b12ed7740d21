import type { LogEntry } from '$lib/api/logs.ts'

export type Row = { id: string; entry: LogEntry }

/** The entries on the page, newest first, and those that wait while somebody reads. */
export class Tail {
  #shown = $state.raw<Row[]>([])
  #fresh = $state.raw<Row[]>([])

  constructor(entries: LogEntry[]) {
    this.replace(entries)
  }

  get rows(): Row[] {
    return this.#shown
  }

  /** How many entries came since the page stood still. */
  get waiting(): number {
    const newest = this.#shown[0]
    if (!newest) return this.#fresh.length
    const at = this.#fresh.findIndex((row) => row.id === newest.id)
    return at < 0 ? this.#fresh.length : at
  }

  /** Shows a whole new answer at once. */
  replace(entries: LogEntry[]): void {
    this.#shown = this.#fresh = toRows(entries)
  }

  /** Keeps an answer back until `show` when `hold`. */
  take(entries: LogEntry[], hold: boolean): void {
    this.#fresh = toRows(entries)
    if (!hold) this.show()
  }

  show(): void {
    this.#shown = this.#fresh
  }
}

/** Entries have no id of their own; equal ones are numbered from the oldest, so that new ones change no id. */
function toRows(entries: LogEntry[]): Row[] {
  const seen = new Map<string, number>()
  const rows = entries.map((entry) => {
    const text = `${entry.ts} ${entry.event} ${entry.message}`
    const count = (seen.get(text) ?? 0) + 1
    seen.set(text, count)
    return { id: `${text} ${count}`, entry }
  })
  return rows.reverse()
}
