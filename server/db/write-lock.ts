/** First in, first out; one holder. Waiting is bounded, so that a forgotten transaction shows up as an error. */
export class WriteLock {
  #held = false
  #queue: { resolve(): void; reject(error: Error): void; timer: ReturnType<typeof setTimeout> }[] = []
  #patience: number

  /** `patience` in milliseconds. */
  constructor(patience: number) {
    this.#patience = patience
  }

  get waiting(): number {
    return this.#queue.length
  }

  take(): Promise<void> {
    if (!this.#held) {
      this.#held = true
      return Promise.resolve()
    }
    return new Promise((resolve, reject) => {
      const waiter = {
        resolve,
        reject,
        timer: setTimeout(() => {
          this.#queue.splice(this.#queue.indexOf(waiter), 1)
          reject(new Error(`A write waited ${this.#patience / 1000} s for a transaction that did not end`))
        }, this.#patience),
      }
      this.#queue.push(waiter)
    })
  }

  give(): void {
    const next = this.#queue.shift()
    if (!next) {
      this.#held = false
      return
    }
    clearTimeout(next.timer)
    next.resolve()
  }
}
