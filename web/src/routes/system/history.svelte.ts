import type { SystemSnapshot } from '$shared/system.ts'

/** Three minutes of snapshots, one every two seconds. */
const LENGTH = 90
/** A chart that has just begun is drawn on a shorter scale, or it would be a speck. */
const SHORTEST = 30

/** The newest snapshots of the machine, oldest first. */
export class History {
  #snapshots = $state.raw<SystemSnapshot[]>([])

  constructor(first: SystemSnapshot) {
    this.#snapshots = [first]
  }

  get all(): SystemSnapshot[] {
    return this.#snapshots
  }

  get latest(): SystemSnapshot {
    return this.#snapshots.at(-1)!
  }

  /** How many places a chart has. */
  get length(): number {
    return Math.max(SHORTEST, this.#snapshots.length)
  }

  add(snapshot: SystemSnapshot): void {
    if (snapshot.timestamp <= this.latest.timestamp) return
    this.#snapshots = [...this.#snapshots.slice(1 - LENGTH), snapshot]
  }

  /** One number over time. */
  series(of: (snapshot: SystemSnapshot) => number): number[] {
    return this.#snapshots.map(of)
  }
}
