import type { SystemSnapshot } from '$lib/api/system.ts'

/** Three minutes of snapshots, one every two seconds. */
export const LENGTH = 90

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

  add(snapshot: SystemSnapshot): void {
    if (snapshot.timestamp <= this.latest.timestamp) return
    this.#snapshots = [...this.#snapshots.slice(1 - LENGTH), snapshot]
  }

  /** One number over time. */
  series(of: (snapshot: SystemSnapshot) => number): number[] {
    return this.#snapshots.map(of)
  }
}
