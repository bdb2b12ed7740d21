import process from 'node:process'

/** Milliseconds that a statement may take on the event loop. */
const SLOW = 4

/** So many stop everybody else, whatever it was that the statement waited for. */
const STUCK = 100

/** Milliseconds by the clock, and of processor time, since whenever. */
export type Meter = { clock(): number; cpu(): number }

/** Of this thread alone where the runtime can tell; older ones of Node can't. */
const cpuUsage = process.threadCpuUsage ?? process.cpuUsage

const machine: Meter = {
  clock: () => performance.now(),
  cpu() {
    const { user, system } = cpuUsage()
    return (user + system) / 1000
  },
}

/**
 * Whether a statement is let onto the event loop. One that took long twice in a row goes to another thread for a while,
 * and for longer each time. The first may have been a stall of the machine, so of the second only processor time
 * counts, unless it was stuck, as on a bad disk: a hop to a thread costs many times what most statements take, and on a
 * loaded machine they would all get it.
 */
export class Pace {
  #scans: boolean
  #meter: Meter
  #until = 0
  #pause = 5000
  #suspect = false

  /** `scans` when the plan says already that nothing bounds its time. */
  constructor(scans: boolean, meter = machine) {
    this.#scans = scans
    this.#meter = meter
  }

  get slow(): boolean {
    return this.#scans || (this.#until > 0 && this.#meter.clock() < this.#until)
  }

  /** Runs the statement on the event loop and learns from how long it took. */
  run<T>(statement: () => T): T {
    const meter = this.#meter
    const suspect = this.#suspect
    const worked = suspect ? meter.cpu() : 0
    const began = meter.clock()
    const result = statement()
    const took = meter.clock() - began
    this.#suspect = took > SLOW
    if (suspect && took > SLOW && (took > STUCK || meter.cpu() - worked > SLOW)) {
      this.#pause = Math.min(this.#pause * 2, 600_000)
      this.#until = meter.clock() + this.#pause
    }
    return result
  }
}
