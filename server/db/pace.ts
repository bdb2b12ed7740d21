import process from 'node:process'

/** Milliseconds that a statement may take on the event loop. */
const SLOW = 4

/** Of this thread alone where the runtime can tell; older ones of Node can't. */
const cpuUsage = process.threadCpuUsage ?? process.cpuUsage

/**
 * Whether a statement is let onto the event loop. One that took long twice in a row goes to another thread for a while,
 * and for longer each time. The first may have been a stall of the machine, so of the second only processor time
 * counts: a hop to a thread costs many times what most statements take, and under load they would all get it.
 */
export class Pace {
  #scans: boolean
  #until = 0
  #pause = 5000
  #suspect = false

  /** `scans` when the plan says already that nothing bounds its time. */
  constructor(scans: boolean) {
    this.#scans = scans
  }

  get slow(): boolean {
    return this.#scans || (this.#until > 0 && performance.now() < this.#until)
  }

  /** Runs the statement on the event loop and learns from how long it took. */
  run<T>(statement: () => T): T {
    const before = this.#suspect ? cpuUsage() : undefined
    const start = performance.now()
    const result = statement()
    const tookLong = performance.now() - start > SLOW
    if (tookLong && before) {
      const { user, system } = cpuUsage(before)
      if ((user + system) / 1000 > SLOW) {
        this.#pause = Math.min(this.#pause * 2, 600_000)
        this.#until = performance.now() + this.#pause
      }
    }
    this.#suspect = tookLong
    return result
  }
}
